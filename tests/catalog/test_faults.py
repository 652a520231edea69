"""What is left out of annotations is counted by kind, and few are told otherwise than many."""

from psol_ray.catalog.faults import Faults


def test_few_are_a_remark_and_many_a_gap() -> None:
    faults = Faults()
    faults.of("a.json", 300)
    faults.add("a.json", "odd boxes", ["1.jpg", "2.jpg"])
    faults.add("a.json", "odd boxes", iter(["3.jpg"]), 1)
    faults.add("a.json", "rows", [])
    assert faults.told() == {"remarks": ["a.json: left out 3 odd boxes (1.jpg, 2.jpg, 3.jpg)"], "gaps": []}
    faults.add("a.json", "odd boxes", ["4.jpg"], 1200)
    faults.add("b.json", "odd boxes", ["5.jpg"])
    assert faults.told() == {
        "remarks": [],
        "gaps": [
            "catalog: a.json: left out 1,203 odd boxes (1.jpg, 2.jpg, 3.jpg and 1200 more); mend them, and run"
            " `psol index --overwrite`",
            "catalog: b.json: left out 1 odd boxes (5.jpg); mend them, and run `psol index --overwrite`",
        ],
    }
