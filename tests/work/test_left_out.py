"""When a stage goes on without images, what it says, and what a later run knows of it."""

import json
from pathlib import Path

import pytest
from synthetic.tables import catalog_of, image

from psol_ray.errors import ImagesAway, UserError
from psol_ray.tables import RunDir, StageDir
from psol_ray.work.jobs import Job
from psol_ray.work.left_out import LeftOut

IMAGES = catalog_of(*(image(f"{name}.jpg") for name in "abcdefgh"))


@pytest.fixture
def stage(tmp_path: Path) -> StageDir:
    return RunDir(str(tmp_path)).stage("boxes")


def away(*names: str) -> ImagesAway:
    return ImagesAway([f"{name}.jpg" for name in names], "No such file or directory")


def test_a_few_images_are_gone_without_and_more_stop_the_stage_with_a_sentence(stage: StageDir) -> None:
    left_out = LeftOut(stage, 8, max_share=0.25)
    assert left_out.of(IMAGES) == []
    left_out.add_away(away("c"))
    left_out.add_away(away("c", "a"))  # one that is known counts once
    assert left_out.of(IMAGES) == ["a.jpg", "c.jpg"]
    with pytest.raises(UserError) as raised:
        left_out.add_away(away("h"), {"host-2", "host-1"})
    assert str(raised.value) == (
        "boxes: 3 of 8 images cannot be opened on host-1, host-2 (c.jpg, a.jpg, h.jpg: No such file or directory),"
        " more than data.max_unreadable (0.25) allows; mount their folder there or put them back, and the same command"
        " goes on from here"
    )


def test_by_default_not_one_image_may_be_away() -> None:
    with pytest.raises(UserError, match=r"images: 1 of 0 images cannot be opened \(a.jpg: No such"):
        LeftOut().add_away(away("a"))


def test_a_run_that_goes_on_makes_parts_anew_that_lack_images(stage: StageDir) -> None:
    parts = {name: IMAGES.slice(2 * i, 2) for i, name in enumerate(["part-ab", "part-cd", "part-ef", "part-gh"])}
    earlier = LeftOut(stage, 8, max_share=0.5, skip=True)
    earlier.add_away(away("a"))
    earlier.add_set_aside(Job("part-cd", parts["part-cd"]), {})
    left_out, todo = LeftOut.resume(stage, parts, ["part-gh"], 0.5, skip=True)
    assert todo == ["part-ab", "part-gh"]
    assert left_out.of(IMAGES) == ["c.jpg", "d.jpg"]
    left_out.add_away(away("b", "g", "h", "a"))  # what was away before does not count twice
    left_out, todo = LeftOut.resume(stage, parts, [], 0.5, skip=False)
    assert todo == ["part-ab", "part-cd", "part-gh"]
    assert left_out.of(IMAGES) == []


def test_a_run_that_ends_before_it_has_looked_again_forgets_nothing(stage: StageDir) -> None:
    parts = {name: IMAGES.slice(4 * i, 4) for i, name in enumerate(["part-ad", "part-eh"])}
    made = LeftOut(stage, 8, max_share=0.5)
    made.add_away(away("a"))
    made.add_set_aside(Job("part-eh", parts["part-eh"]), {"part": "part-eh"})
    first, _ = LeftOut.resume(stage, parts, [], 0.5, skip=False)
    first.add_away(away("h"))  # and is interrupted, before it comes to part-ad
    second, todo = LeftOut.resume(stage, parts, [], 0.5, skip=False)
    assert todo == ["part-ad", "part-eh"]
    second.add_set_aside(Job("part-ad", parts["part-ad"]), {"part": "part-ad"})
    assert [record["part"] for record in json.loads(stage.read_text("set_aside.json") or "")] == ["part-eh", "part-ad"]


def test_the_sentence_counts_those_whose_rows_say_nothing(stage: StageDir) -> None:
    left_out = LeftOut(stage, 1000, max_share=0.5)
    assert left_out.gaps([]) == []
    left_out.add_away(away(*"abcdefgh"), {"host"})
    assert left_out.gaps(["b.jpg", "c.jpg", "d.jpg", "e.jpg"]) == [
        "boxes: 4 of 1,000 images could not be opened (b.jpg, c.jpg, d.jpg and 1 more: No such file or directory on"
        " host); put them back and run `psol boxes --overwrite`"
    ]


def test_a_part_that_was_set_aside_is_written_down_and_left_out_where_it_is_to_be_skipped(stage: StageDir) -> None:
    record = {"part": "part-x", "deaths": []}
    job = Job("part-x 1/2", IMAGES.slice(0, 3), part="part-x")
    left_out = LeftOut(stage, 8)
    assert not left_out.add_set_aside(job, record)
    assert left_out.of(IMAGES) == []
    assert json.loads(stage.read_text("set_aside.json") or "") == [{"job": "part-x 1/2", **record}]
    # The next run does not have it die first.
    left_out, todo = LeftOut.resume(stage, {"part-x": IMAGES}, ["part-x"], 0, skip=True)
    assert todo == ["part-x"]
    assert left_out.of(IMAGES) == ["a.jpg", "b.jpg", "c.jpg"]
    assert not left_out.add_set_aside(job, record)  # it dies also with none of them opened
    (gap,) = left_out.gaps(["a.jpg", "b.jpg"])
    assert gap == (
        "boxes: 2 of 8 images are of parts that were set aside because their workers died (a.jpg, b.jpg);"
        f" {stage.path}/set_aside.json has the causes, mend them and run `psol boxes --overwrite`"
    )


def test_images_of_parts_that_were_set_aside_are_no_images_that_are_away() -> None:
    left_out = LeftOut(None, 8, max_share=0.125, skip=True)
    assert left_out.add_set_aside(Job("part-x", IMAGES.slice(0, 5)), {})
    assert left_out.of(IMAGES) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    left_out.add_away(away("h"))
    assert len(left_out.of(IMAGES)) == 6
