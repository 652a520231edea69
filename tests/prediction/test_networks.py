"""Networks as they arrive at a worker."""

import pickle

import pytest
import torch
from synthetic.networks import file_of, pictures

from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_classifier_state
from psol_ray.prediction.networks import PretrainedNetwork, TrainedNetwork, load_networks
from psol_ray.prediction.views import View

CPU = torch.device("cpu")
CENTRE = [0.25, 0.25, 0.5, 0.5]
SIZE = 64
WHOLE, CENTER = (View.make(name, SIZE, 0.875) for name in ("whole", "center"))  # type: ignore[arg-type]


def test_a_trained_network_says_after_its_journey_what_its_file_says() -> None:
    travelled = pickle.loads(pickle.dumps(TrainedNetwork(file_of([CENTRE]), WHOLE)))
    arrived = travelled.load(CPU)
    assert arrived.view == WHOLE
    assert arrived.columns is None
    with torch.inference_mode():
        outputs = arrived.network(pictures(2, SIZE))
    torch.testing.assert_close(outputs.boxes_NR4, torch.tensor([[CENTRE], [CENTRE]]))
    assert outputs.logits_NK is None


def test_a_classifier_of_the_localizer_s_file_is_the_same_network_with_a_view_of_its_own() -> None:
    data = file_of([CENTRE], 3)
    boxes, (same, other) = load_networks(
        TrainedNetwork(data, WHOLE), [TrainedNetwork(data, CENTER), TrainedNetwork(file_of([], 3), WHOLE)], CPU
    )
    assert same.network is boxes.network
    assert (boxes.view, same.view, other.view) == (WHOLE, CENTER, WHOLE)
    assert other.network is not boxes.network


def test_a_localizer_alone_needs_no_classifier() -> None:
    boxes, classes = load_networks(TrainedNetwork(file_of([CENTRE]), WHOLE), [], CPU)
    assert boxes.view == WHOLE
    assert classes == []


@pytest.mark.parametrize("name", ["test_efficientnet"])
def test_a_published_classifier_keeps_which_of_its_classes_are_the_catalog_s(name: str) -> None:
    state = load_classifier_state(find_backbone(name), "random")
    arrived = pickle.loads(pickle.dumps(PretrainedNetwork(name, state, [7, 3], CENTER))).load(CPU)
    assert (arrived.columns, arrived.view) == ([7, 3], CENTER)
    with torch.inference_mode():
        outputs = arrived.network(pictures(1, SIZE))
    assert outputs.logits_NK is not None
    assert outputs.logits_NK.shape == (1, 1000)
