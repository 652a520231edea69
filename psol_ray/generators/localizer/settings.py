"""Settings of boxes by an earlier localizer."""

from dataclasses import dataclass

__all__ = ["LocalizerSettings"]


@dataclass(frozen=True)
class LocalizerSettings:
    """An earlier run's localizer (method localizer), for a second round."""

    path: str | None = None
    """The model.safetensors of `psol train localizer` or `joint` that draws the pseudo boxes."""
