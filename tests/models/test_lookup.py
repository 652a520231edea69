"""The backbone that a setting names."""

import pytest

from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.lookup import backbone_of


def test_a_name_that_is_known_is_found() -> None:
    assert backbone_of("boxes", "vgg16") == find_backbone("vgg16")


def test_an_unknown_name_is_told_with_the_field_s_path() -> None:
    with pytest.raises(UserError, match=r"^classifier\.backbone: .*'resnet5O' is unknown; expected one of vgg16, "):
        backbone_of("classifier", "resnet5O")
