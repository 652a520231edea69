"""Every generator by its name: where its settings are, and that nothing is loaded before it is asked for."""

import subprocess
import sys
from dataclasses import field as dataclass_field
from dataclasses import fields, is_dataclass, make_dataclass
from importlib import import_module
from typing import Any, get_args

import pytest

from psol_ray.config import BoxesConfig, Config
from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.registry import GENERATORS, MethodName, find_generator

from .conftest import World

METHODS = list(GENERATORS)


def class_of(method: str) -> Any:
    module, _, name = GENERATORS[method].generator.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("method", METHODS)
def test_every_entry_is_a_generator_with_a_title_of_its_own(method: str) -> None:
    generator = class_of(method)
    assert issubclass(generator, Generator)
    assert generator.title
    assert generator.__doc__
    assert [class_of(other).title for other in METHODS].count(generator.title) == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_entry_s_settings_are_a_section_of_boxes_or_boxes_themselves(method: str) -> None:
    entry = GENERATORS[method]
    assert is_dataclass(entry.settings)
    if not entry.section:
        assert issubclass(BoxesConfig, entry.settings)
        return
    (section,) = (field for field in fields(BoxesConfig) if field.name == entry.section)
    assert section.type is entry.settings
    assert getattr(BoxesConfig(), entry.section) == entry.settings()


def test_sections_of_the_configuration_are_those_of_the_registry() -> None:
    sections = {field.name for field in fields(BoxesConfig) if is_dataclass(field.type)}
    assert sections == {entry.section for entry in GENERATORS.values() if entry.section}
    (boxes,) = (field for field in fields(Config) if field.name == "boxes")
    assert boxes.type is BoxesConfig
    assert set(get_args(MethodName)) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_its_generator_with_its_settings(world: World, method: str) -> None:
    config = world.config(method)
    generator = find_generator(config, world.run)
    assert type(generator) is class_of(method)
    section = GENERATORS[method].section
    assert generator._settings is (getattr(config, section) if section else config)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("ddt", {"backbone": "test_resnet", "note": "64 pixels, bilinear"}),
        ("cam", {"backbone": "test_resnet", "note": "32 pixels, threshold 0.2"}),
        ("grad_cam", {"backbone": "test_resnet", "note": "32 pixels, threshold 0.2"}),
        ("localizer", None),
        ("imported", None),
    ],
)
def test_a_generator_says_which_row_of_the_papers_table_is_its_own(
    world: World, method: str, expected: dict[str, str] | None
) -> None:
    generator = world.generator(method)
    assert generator.paper_row(generator.depends_on()) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_field_that_is_added_to_any_section_changes_no_fingerprint(world: World, method: str) -> None:
    """Fingerprints hold the names of what boxes depend on: what is new, and has its default, made no boxes other."""

    def with_a_field_more(value: Any) -> Any:
        more = make_dataclass("More", [("dummy", int, dataclass_field(default=1))], bases=(type(value),), frozen=True)
        return more(**{field.name: getattr(value, field.name) for field in fields(value)})

    config = world.config(method)
    section = GENERATORS[method].section
    changed = world.config(method, **({section: with_a_field_more(getattr(config, section))} if section else {}))
    changed = with_a_field_more(changed)
    assert changed.dummy == 1
    expected = find_generator(config, world.run).depends_on()
    assert find_generator(changed, world.run).depends_on() == expected
    assert "dummy" not in expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 3}, {"compile": True}, {"decode_threads": 7}, {"hw_decoder_share": 0.5}, {"memory_gb": 2.5}],
    ids=lambda changes: next(iter(changes)),
)
def test_how_fast_a_network_runs_is_no_part_of_what_boxes_depend_on(
    world: World, method: str, changes: dict[str, Any]
) -> None:
    assert world.generator(method, **changes).depends_on() == world.generator(method).depends_on()


@pytest.mark.parametrize("method", [method for method in METHODS if GENERATORS[method].section])
def test_ddt_s_settings_are_no_part_of_what_other_methods_boxes_depend_on(world: World, method: str) -> None:
    changes = {"backbone": "vgg16", "weights": "elsewhere", "input_size": 7, "upsample": "nearest"}
    assert world.generator(method, **changes).depends_on() == world.generator(method).depends_on()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("section", "fields", "methods"),
    [
        ("class_maps", {"threshold": 0.7}, "cam or grad_cam"),
        ("localizer", {"path": "elsewhere"}, "localizer"),
        ("imported", {"format": "wsol"}, "imported"),
    ],
)
def test_settings_of_a_method_that_draws_no_boxes_are_refused(
    world: World, method: str, section: str, fields: dict[str, Any], methods: str
) -> None:
    settings = type(getattr(BoxesConfig(), section))(**fields)
    if section == GENERATORS[method].section:
        assert world.generator(method, **{section: settings})
        return
    with pytest.raises(UserError) as complaint:
        world.generator(method, **{section: settings})
    assert str(complaint.value) == (
        f"boxes.{section}: found settings beside boxes.method {method}, which has no use for them; set boxes.method to"
        f" {methods}, or leave them out"
    )


def test_what_boxes_depend_on_is_known_without_torch(world: World) -> None:
    """Asked in a process of its own, for every method."""
    code = f"""
import sys
sys.modules["torch"] = None
from psol_ray.config import BoxesConfig
from psol_ray.generators.class_maps.settings import ClassMapSettings
from psol_ray.generators.imported.settings import ImportedSettings
from psol_ray.generators.localizer.settings import LocalizerSettings
from psol_ray.generators.registry import find_generator
from psol_ray.tables import RunDir
folder = {str(world.folder)!r}
maps = dict(class_maps=ClassMapSettings(classifier=folder + "/classifier.safetensors"))
sections = dict(
    ddt=dict(weights="random"),
    cam=maps,
    grad_cam=maps,
    localizer=dict(localizer=LocalizerSettings(path=folder + "/localizer.safetensors")),
    imported=dict(imported=ImportedSettings(path=folder + "/imported")),
)
for method in {METHODS!r}:
    config = BoxesConfig(method=method, **sections[method])
    print(method, bool(find_generator(config, RunDir(folder + "/run")).depends_on()))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stdout.split() == [word for method in METHODS for word in (method, "True")], found.stderr
