"""Rows of the predictions table from networks that say what they are told."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from psol_ray.images.batch import DecodedBatch
from psol_ray.models.networks import Outputs
from psol_ray.prediction.networks import NetworkView
from psol_ray.prediction.predict import Predictor
from psol_ray.prediction.views import View
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS
from psol_ray.tables.schemas import boxes_array


class Decoder:
    """Every image holds its number, read from its name; those named `bad` cannot be read."""

    def __init__(self, side: int = 2) -> None:
        self.side, self.batches = side, list[int]()

    def decode(self, paths: Sequence[str], regions_N4: Any = None, flips_N: Any = None) -> DecodedBatch:  # noqa: ARG002
        self.batches.append(len(paths))
        values = [0 if path == "bad" else int(path) for path in paths]
        images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, self.side, self.side, 3)
        return DecodedBatch(images, np.array([path != "bad" for path in paths]))


def box_of(images_NHWC: torch.Tensor) -> Outputs:
    x = images_NHWC[:, 0, 0, 0].float() / 100
    return Outputs(torch.stack([x, x, torch.full_like(x, 0.5), torch.full_like(x, 0.25)], dim=1)[:, None], None)


def boxes_by_class(num_classes: int) -> Any:
    """A tenth of the image for class 0, two tenths for class 1, and so on."""

    def locate(images_NHWC: torch.Tensor) -> Outputs:
        side_R = torch.arange(1, num_classes + 1) / 10
        box_R4 = torch.stack([side_R * 0, side_R * 0, side_R, side_R], dim=1)
        return Outputs(box_R4.expand(len(images_NHWC), -1, -1), None)

    return locate


def class_of(num_classes: int) -> Any:
    def classify(images_NHWC: torch.Tensor) -> Outputs:
        distance = torch.arange(num_classes) - images_NHWC[:, 0, 0, :1].float()
        return Outputs(None, -distance.abs())

    return classify


def images_of(count: int, width: int = 200, height: int = 100) -> pa.Table:
    columns = {field.name: pa.nulls(count, field.type) for field in CATALOG}
    sizes = {"width": pa.array([width] * count, pa.int32()), "height": pa.array([height] * count, pa.int32())}
    return pa.table({**columns, **sizes, "image_id": [str(i) for i in range(count)]}).cast(CATALOG)


CPU = torch.device("cpu")
WHOLE = View.make("whole", 2, 1)


def make_predictor(localizer: Any, *classifiers: Any, decoder: Decoder | None = None) -> Predictor:
    """Of networks that see whole images of 2 x 2 pixels."""
    views = [NetworkView(network, WHOLE) for network in (localizer, *classifiers)]
    decoders = {2: decoder or Decoder()}
    return Predictor(views[0], views[1:], [decoders], batch_size=2, device=CPU, autocast=contextlib.nullcontext)


def test_boxes_are_in_pixels_and_inside_the_image() -> None:
    done: list[int] = []
    predictor = make_predictor(box_of, class_of(9))
    table = predictor.predict(images_of(3), ["0", "10", "80"], done.append)
    assert table.schema == PREDICTIONS
    assert boxes_array(table).tolist() == pytest.approx(
        np.array([[0, 0, 100, 25], [20, 10, 120, 35], [160, 80, 200, 100]])
    )
    assert done == [2, 3]


@pytest.mark.parametrize(("num_classes", "expected"), [(9, [3, 2, 4, 1, 5]), (4, [3, 2, 1, 0]), (1, [0])])
def test_labels_are_the_five_most_probable_or_as_many_as_there_are(num_classes: int, expected: list[int]) -> None:
    predictor = make_predictor(box_of, class_of(num_classes))
    (row,) = predictor.predict(images_of(1), ["3"], lambda _: None).to_pylist()
    assert set(row["top_labels"]) == set(expected)
    assert row["top_labels"][0] == expected[0]
    assert row["top_probs"] == sorted(row["top_probs"], reverse=True)
    assert sum(row["top_probs"]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("paths", [["1", "bad", "2"], ["bad", "bad", "bad"]])
def test_an_unreadable_image_has_no_box_and_no_label(paths: list[str]) -> None:
    predictor = make_predictor(box_of, class_of(9))
    table = predictor.predict(images_of(3), paths, lambda _: None)
    bad = [path == "bad" for path in paths]
    assert np.isnan(boxes_array(table)).all(axis=1).tolist() == bad
    assert [labels == [] for labels in table.column("top_labels").to_pylist()] == bad
    assert [probs == [] for probs in table.column("top_probs").to_pylist()] == bad


def test_networks_that_see_squares_of_one_size_decode_once() -> None:
    small, large = Decoder(), Decoder(4)
    make_predictor(box_of, class_of(9), class_of(9), decoder=small).predict(
        images_of(3), ["1", "2", "3"], lambda _: None
    )
    assert small.batches == [2, 1]
    views = NetworkView(box_of, WHOLE), [NetworkView(class_of(9), View.make("whole", 4, 1))]
    predictor = Predictor(*views, [{2: small, 4: large}], batch_size=2, device=CPU, autocast=contextlib.nullcontext)
    predictor.predict(images_of(1), ["1"], lambda _: None)
    assert (small.batches, large.batches) == ([2, 1, 1], [1])


def test_a_joint_network_runs_once() -> None:
    calls = []

    def joint(images_NHWC: torch.Tensor) -> Outputs:
        calls.append(len(images_NHWC))
        return Outputs(box_of(images_NHWC).boxes_NR4, class_of(9)(images_NHWC).logits_NK)

    table = make_predictor(joint, joint).predict(images_of(2), ["1", "4"], lambda _: None)
    assert calls == [2]
    assert [labels[0] for labels in table.column("top_labels").to_pylist()] == [1, 4]


def test_an_image_without_a_size_in_the_catalog_is_unreadable() -> None:
    images = pa.concat_tables([images_of(1), images_of(1, width=0, height=0), images_of(1)])
    table = make_predictor(box_of, class_of(9)).predict(images, ["1", "2", "3"], lambda _: None)
    assert np.isnan(boxes_array(table)).all(axis=1).tolist() == [False, True, False]
    assert [bool(labels) for labels in table.column("top_labels").to_pylist()] == [True, False, True]


def by_joint_network(num_classes: int) -> Predictor:
    def joint(images_NHWC: torch.Tensor) -> Outputs:
        boxes_NR4 = boxes_by_class(num_classes)(images_NHWC).boxes_NR4
        return Outputs(boxes_NR4, class_of(num_classes)(images_NHWC).logits_NK)

    return make_predictor(joint, joint)


def by_two_networks(num_classes: int) -> Predictor:
    return make_predictor(boxes_by_class(num_classes), class_of(num_classes))


@pytest.mark.parametrize("make", [by_joint_network, by_two_networks])
@pytest.mark.parametrize("num_classes", [9, 1])
def test_of_boxes_by_class_the_first_class_has_the_image_s(make: Any, num_classes: int) -> None:
    table = make(num_classes).predict(images_of(3), ["4", "0", "7"], lambda _: None)
    tops = [labels[0] for labels in table.column("top_labels").to_pylist()]
    assert tops == ([4, 0, 7] if num_classes == 9 else [0, 0, 0])
    expected = [[0, 0, 20 * (top + 1), 10 * (top + 1)] for top in tops]
    assert boxes_array(table).tolist() == pytest.approx(np.array(expected))


def test_a_second_round_is_the_localizer_s_boxes() -> None:
    done: list[int] = []
    images = pa.concat_tables([images_of(3), images_of(1, width=0, height=0)])
    table = make_predictor(box_of).locate(images, ["10", "bad", "80", "1"], done.append)
    assert table.schema == BOXES
    assert table.column("status").to_pylist() == ["ok", "unreadable", "ok", "unreadable"]
    boxes_N4 = boxes_array(table)
    assert boxes_N4[[0, 2]].tolist() == pytest.approx(np.array([[20, 10, 120, 35], [160, 80, 200, 100]]))
    assert np.isnan(boxes_N4[[1, 3]]).all()
    area_N = table.column("area_fraction").to_numpy()
    assert area_N.tolist() == pytest.approx([0.125, np.nan, 0.04, np.nan], nan_ok=True)
    for name in ("mean_heat", "explained_variance_ratio", "sign_margin"):
        assert np.isnan(table.column(name).to_numpy()).all()
        assert table.column(name).null_count == 0
    assert done == [2, 4]


def test_a_localizer_alone_leaves_images_without_labels() -> None:
    table = make_predictor(box_of).predict(images_of(2), ["10", "bad"], lambda _: None)
    assert table.schema == PREDICTIONS
    assert table.column("top_labels").to_pylist() == [[], []]
    assert np.isnan(boxes_array(table)).all(axis=1).tolist() == [False, True]


def says(*probs: float) -> Any:
    """A classifier that is this sure of each class, whatever it sees."""
    return lambda images_NHWC: Outputs(None, torch.tensor(probs).log().expand(len(images_NHWC), -1))


def test_of_several_classifiers_probabilities_are_averaged_and_not_logits() -> None:
    """Logits would average to the second class: 0.9 * 0.0001 is less than 0.0999 * 0.3."""
    table = make_predictor(box_of, says(0.9, 0.0999, 0.0001), says(0.0001, 0.3, 0.6999)).predict(
        images_of(1), ["1"], lambda _: None
    )
    (row,) = table.to_pylist()
    assert row["top_labels"] == [0, 2, 1]
    assert row["top_probs"] == pytest.approx([0.45005, 0.35, 0.19995], abs=1e-5)


def test_a_classifier_of_more_classes_has_only_those_of_the_catalog() -> None:
    classifier = NetworkView(says(0.1, 0.2, 0.3, 0.4), WHOLE, columns=[3, 0])
    predictor = Predictor(
        NetworkView(box_of, WHOLE),
        [classifier],
        [{2: Decoder()}],
        batch_size=2,
        device=CPU,
        autocast=contextlib.nullcontext,
    )
    (row,) = predictor.predict(images_of(1), ["1"], lambda _: None).to_pylist()
    assert row["top_labels"] == [0, 1]
    assert row["top_probs"] == pytest.approx([0.4, 0.1])


def test_ten_crops_are_averaged_and_the_box_is_that_of_the_middle() -> None:
    seen: list[torch.Tensor] = []

    def classify(images_NHWC: torch.Tensor) -> Outputs:
        seen.append(images_NHWC)
        # The first two crops are sure of class 0, the other eight of class 1.
        return says(*((0.9, 0.1) if len(seen) <= 2 else (0.2, 0.8)))(images_NHWC)

    views = NetworkView(box_of, View.make("center", 2, 0.5)), [NetworkView(classify, View.make("ten", 2, 0.5))]
    predictor = Predictor(*views, [{4: Decoder(4)}], batch_size=2, device=CPU, autocast=contextlib.nullcontext)
    (row,) = predictor.predict(images_of(1), ["10"], lambda _: None).to_pylist()
    assert len(seen) == 10
    assert {images.shape for images in seen} == {(1, 2, 2, 3)}
    assert row["top_labels"] == [1, 0]
    assert row["top_probs"] == pytest.approx([0.66, 0.34])
    # 200 x 100 pixels, of which the middle half is seen: from (50, 25), 100 x 50 large.
    assert [row[name] for name in ("x0", "y0", "x1", "y1")] == pytest.approx([60, 30, 110, 42.5])
