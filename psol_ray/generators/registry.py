"""Every generator by the name that `boxes.method` has for it. Light: a generator is imported once it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from psol_ray.errors import UserError
from psol_ray.generators.class_maps.settings import ClassMapSettings
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.imported.settings import ImportedSettings
from psol_ray.generators.localizer.settings import LocalizerSettings

if TYPE_CHECKING:
    from psol_ray.generators.base import Generator
    from psol_ray.tables import RunDir

__all__ = ["GENERATORS", "Entry", "MethodName", "find_generator"]


@dataclass(frozen=True)
class Entry:
    """A generator's settings, the section of `boxes` that holds them, and `module:class` of the generator.

    DDT's section is `boxes` itself.
    """

    settings: type
    section: str
    generator: str


GENERATORS = {
    "ddt": Entry(DdtSettings, "", "psol_ray.generators.ddt.generator:Ddt"),
    "cam": Entry(ClassMapSettings, "class_maps", "psol_ray.generators.class_maps.generator:Cam"),
    "grad_cam": Entry(ClassMapSettings, "class_maps", "psol_ray.generators.class_maps.generator:GradCam"),
    "localizer": Entry(LocalizerSettings, "localizer", "psol_ray.generators.localizer.generator:Localizer"),
    "imported": Entry(ImportedSettings, "imported", "psol_ray.generators.imported.generator:Imported"),
}

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(GENERATORS)]


def find_generator(boxes: Any, run: "RunDir") -> "Generator":
    """The generator that `boxes.method` names, with its settings; nothing is read yet.

    Args:
        boxes: the section `boxes` of the configuration.
        run: whose boxes they are.

    Raises:
        UserError: settings of another method are given, which would be of no use.
    """
    _check_sections(boxes)
    entry = GENERATORS[boxes.method]
    module, _, name = entry.generator.partition(":")
    settings = getattr(boxes, entry.section) if entry.section else boxes
    return getattr(import_module(module), name)(settings, boxes, run)


def _check_sections(boxes: Any) -> None:
    own = GENERATORS[boxes.method].section
    for section, settings in {entry.section: entry.settings for entry in GENERATORS.values()}.items():
        if section not in ("", own) and getattr(boxes, section) != settings():
            methods = " or ".join(name for name, entry in GENERATORS.items() if entry.section == section)
            raise UserError(
                f"boxes.{section}: found settings beside boxes.method {boxes.method}, which has no use for them;"
                f" set boxes.method to {methods}, or leave them out"
            )
