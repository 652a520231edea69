"""What a network can do is known before work begins."""

import pytest

from psol_ray.cli.parse import parse
from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.trial import check_map, check_training

MIXER = "gmlp_ti16_224"  # whose layers are as many as the patches of its own size


def training(backbone: str, input_size: int = 224) -> SavedNetwork:
    return SavedNetwork(backbone, input_size, 1, 3)


@pytest.mark.parametrize(
    ("backbone", "input_size"),
    [
        ("vgg_gap", 448),
        (MIXER, 224),
        ("swin_tiny_patch4_window7_224", 448),  # its channels come last
        ("test_vit", 448),  # its patches are a sequence
        ("deit_tiny_distilled_patch16_224", 448),
    ],
)
def test_a_map_is_found(backbone: str, input_size: int) -> None:
    check_map("boxes", backbone, input_size)


@pytest.mark.parametrize(
    ("backbone", "input_size"),
    [
        ("vgg_gap", 96),
        ("inception_v3", 160),
        (MIXER, 224),
        ("resnetv2_18", 160),
        ("test_vit", 192),
        ("deit_tiny_distilled_patch16_224", 224),
    ],
)
def test_a_network_that_can_be_trained_is_no_matter(backbone: str, input_size: int) -> None:
    check_training("joint", training(backbone, input_size))


def test_a_size_that_does_not_fit_is_told_with_the_one_that_does() -> None:
    with pytest.raises(UserError) as complaint:
        check_map("boxes", MIXER, 448)
    told = str(complaint.value)
    assert told == (
        f"boxes.input_size: found 448, of which backbone {MIXER!r} takes no images (Input height (448) doesn't match"
        " model (224)), expected 224, for which it is made; use --boxes.input_size 224"
    )
    advice = told.rpartition("; use ")[2].split()
    assert (
        parse(["boxes", "--run_dir=r", "--data.root=d", "--boxes.backbone", MIXER, *advice]).config.boxes.input_size
        == 224
    )
    with pytest.raises(UserError, match=r"^classifier\.input_size: found 160, .*; use --classifier\.input_size 224$"):
        check_training("classifier", training(MIXER, 160))
    with pytest.raises(UserError, match=r"^localizer\.input_size: found 8, .*; use --localizer\.input_size 299$"):
        check_training("localizer", training("inception_v3", 8))


def test_a_table_that_is_too_short_for_a_size_is_found_by_running() -> None:
    # Its relative positions are looked up by number, which shapes do not tell.
    with pytest.raises(UserError, match=r"^boxes\.input_size: found 448, .*index \d+ is out of bounds.* 224$"):
        check_map("boxes", "mvitv2_tiny", 448)


def test_a_network_that_can_never_be_trained_is_told() -> None:
    for backbone, reason in (
        ("crossvit_tiny_240", "its last layers take 96, 192 features, not one number"),
        ("efficientvim_m1", "its last layers take 128, 192, 320 features"),
    ):
        told = rf"^joint\.backbone: '{backbone}' cannot be trained \({reason}.*\); give another one"
        with pytest.raises(UserError, match=told):
            check_training("joint", training(backbone, 240))


def test_an_unknown_backbone_is_told_with_its_field() -> None:
    with pytest.raises(UserError, match=r"^boxes\.backbone: .*'resnet5O' is unknown"):
        check_map("boxes", "resnet5O", 448)
    with pytest.raises(UserError, match=r"^joint\.backbone: .*'resnet5O' is unknown"):
        check_training("joint", training("resnet5O"))
