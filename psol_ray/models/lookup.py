"""The backbone that a setting names. Light: networks are imported once one is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psol_ray.errors import UserError

if TYPE_CHECKING:
    from psol_ray.models.backbones import Backbone

__all__ = ["backbone_of"]


def backbone_of(section: str, name: str) -> Backbone:
    """The backbone that the field `backbone` of a section names.

    Raises:
        UserError: it is unknown; the message starts with the field's path.
    """
    from psol_ray.models.backbones import find_backbone

    try:
        return find_backbone(name)
    except UserError as error:
        raise UserError(f"{section}.backbone: {error}") from None
