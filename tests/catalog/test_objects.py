"""Which of several classes an image is of."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog.objects import Objects, main_classes
from psol_ray.geometry.readings import Reading

SMALL, LARGE, NONE = (0, 0, 2, 2), (0, 0, 3, 3), (np.nan,) * 4


def of(*objects: tuple[int, str | None, tuple[float, ...]]) -> Objects:
    rows, names, boxes = zip(*objects, strict=True)
    return Objects(np.array(rows), pa.array(names, pa.string()), np.array(boxes, float))


@pytest.mark.parametrize(
    ("objects", "classes", "kept"),
    [
        ([(0, "cat", SMALL), (0, "dog", LARGE)], ["dog"], [False, True]),
        (
            [(0, "cat", SMALL), (0, "dog", LARGE), (0, "cat", SMALL), (0, "cat", SMALL)],
            ["cat"],
            [True, False, True, True],
        ),
        ([(0, "dog", SMALL), (0, "cat", SMALL)], ["dog"], [True, False]),
        ([(0, "dog", NONE), (0, "cat", SMALL)], ["cat"], [False, True]),
        ([(0, "dog", NONE), (0, "cat", NONE)], ["dog"], [True, False]),
        ([(1, "cat", SMALL), (0, "dog", LARGE), (1, None, LARGE)], ["dog", "cat"], [True, True, False]),
        ([(1, "cat", (3, 3, 0, 0)), (1, "dog", SMALL)], [None, "cat"], [True, False]),
        (
            [(0, "cafe\u0301", SMALL), (0, "caf\u00e9", SMALL), (0, "dog", (0, 0, 2, 3))],
            ["caf\u00e9"],
            [True, True, False],
        ),
    ],
)
def test_the_class_of_the_largest_area_or_the_first(
    objects: list[tuple[int, str | None, tuple[float, ...]]], classes: list[str | None], kept: list[bool]
) -> None:
    found, kept_M = main_classes(len(classes), of(*objects), Reading.of("pixels"))
    assert found.to_pylist() == classes
    assert kept_M.tolist() == kept


def test_areas_are_of_boxes_as_they_are_read() -> None:
    objects = of((0, "cat", (50, 50, 60, 60)), (0, "dog", (0, 0, 20, 20)))
    for coordinates, expected in (("pixels", "dog"), ("pixels_xywh", "cat")):
        assert main_classes(1, objects, Reading.of(coordinates))[0].to_pylist() == [expected]  # type: ignore[arg-type]


def test_some_images_and_several_tables() -> None:
    objects = of((0, "cat", SMALL), (2, "dog", LARGE), (1, "eel", NONE))
    some = objects.of_images(np.array([False, True, True]))
    assert (some.row_M.tolist(), some.names.to_pylist()) == ([1, 0], ["dog", "eel"])
    assert some.boxed_M.tolist() == [True, False]
    both = Objects.joined([objects, some], [3, 2])
    assert both.row_M.tolist() == [0, 2, 1, 4, 3]
