"""Which classes are suspicious, and why."""

from psol_ray.report.suspects import suspects

from .conftest import Run


def test_narrow_signs_little_variance_and_no_foreground(run: Run) -> None:
    kinds = {
        0: {},
        1: {"sign_margin": 0.4},
        2: {"explained_variance_ratio": 0.05},
        3: {"status": "no_foreground"},
        4: {},
    }
    for label, measured in kinds.items():
        for number in range(3):
            run.add(f"{label}_{number}.png", label=label, on_disk=False)
            run.boxes[-1] |= {"sign_margin": 0.9, "explained_variance_ratio": 0.2} | measured
    run.add("broken.png", label=0, on_disk=False)  # of it nothing was measured
    tables = run.tables()
    found = suspects(tables["boxes"], tables["catalog"])
    assert [(suspect.class_name, suspect.images, suspect.reasons) for suspect in found] == [
        ("class_1", 3, ["sign decided less than half as clearly as others"]),
        ("class_2", 3, ["explains less than half of what others do"]),
        ("class_3", 3, ["often no foreground"]),
    ]
    page = run.page()
    assert "3 of 5 classes" in page.text("suspects")
    assert "less than half as clearly" in page.text("suspects")


def test_without_a_measure_nobody_is_suspected(run: Run) -> None:
    run.add("a.png", on_disk=False)
    tables = run.tables()
    assert suspects(tables["boxes"], tables["catalog"]) == []
    assert "suspects" not in run.page().elements
