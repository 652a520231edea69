import csv
import os
from pathlib import Path

import pytest
from PIL import Image

from psol_ray.demo import make_demo
from psol_ray.demo.outlines import class_names
from psol_ray.errors import UserError


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "deep" / "demo"
    make_demo(root, num_train=2, num_val=1)
    return root


def test_every_class_has_its_images_in_both_splits(demo: Path) -> None:
    expected = {f"train/{name}/{index:03d}.jpg" for name in class_names() for index in range(2)}
    expected |= {f"val/{name}/000.jpg" for name in class_names()}
    assert set(contents(demo)) == expected | {"boxes.csv"}


def test_boxes_name_each_image_once_and_lie_inside_it(demo: Path) -> None:
    with open(demo / "boxes.csv", newline="", encoding="utf-8") as file:
        assert file.readline() == "image_id,x0,y0,x1,y1\n"
        rows = list(csv.reader(file))
    assert sorted(row[0] for row in rows) == sorted(set(contents(demo)) - {"boxes.csv"})
    for image_id, *corners in rows:
        x0, y0, x1, y1 = map(int, corners)
        with Image.open(demo / image_id) as image:
            assert image.mode == "RGB"
            assert image.format == "JPEG"
            assert 0 <= x0 < x1 <= image.width
            assert 0 <= y0 < y1 <= image.height


def test_same_seed_same_bytes_another_seed_other_images(demo: Path, tmp_path: Path) -> None:
    make_demo(tmp_path / "again", num_train=2, num_val=1)
    make_demo(tmp_path / "other", seed=1, num_train=1, num_val=0)
    first, again, other = contents(demo), contents(tmp_path / "again"), contents(tmp_path / "other")
    assert first == again
    assert not any(first[image_id] == data for image_id, data in other.items())


def test_no_two_images_are_the_same(demo: Path) -> None:
    assert len(set(contents(demo).values())) == len(contents(demo))


def test_fewer_images_are_the_first_of_more(demo: Path, tmp_path: Path) -> None:
    make_demo(tmp_path / "few", num_train=1, num_val=1)
    more, few = contents(demo), contents(tmp_path / "few")
    few_rows, more_rows = few.pop("boxes.csv").splitlines(), more["boxes.csv"].splitlines()
    assert few.items() <= more.items()
    assert set(few_rows) < set(more_rows)


def test_progress_counts_every_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    make_demo(tmp_path / "demo", num_train=0, num_val=1, on_progress=lambda *call: calls.append(call))
    total = len(class_names())
    assert calls == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interrupted_demo_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise error

    with pytest.raises(error):
        make_demo(tmp_path / "demo", num_train=1, num_val=0, on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_finished_demo_is_left_alone(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    make_demo(os.fspath(demo), seed=5, num_train=3, num_val=3)
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before
    assert [path.name for path in demo.parent.iterdir()] == [demo.name]


def test_demo_that_another_process_finished_first_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "demo"

    def finish_elsewhere(done: int, total: int) -> None:
        if done == total:
            root.mkdir()
            (root / "boxes.csv").write_text("theirs")

    make_demo(root, num_train=0, num_val=1, on_progress=finish_elsewhere)
    assert contents(tmp_path) == {"demo/boxes.csv": b"theirs"}


def test_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"exists but holds no boxes\.csv"):
        make_demo(tmp_path)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(("seed", "num_train", "num_val"), [(-1, 1, 1), (0, -1, 1), (0, 1, -2)])
def test_negative_argument_is_refused(tmp_path: Path, seed: int, num_train: int, num_val: int) -> None:
    with pytest.raises(UserError, match="below 0"):
        make_demo(tmp_path / "demo", seed=seed, num_train=num_train, num_val=num_val)
    assert not (tmp_path / "demo").exists()
