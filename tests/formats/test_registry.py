"""A format is one file and one line of the registry."""

import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from psol_ray.formats import (
    coco,
    csv,
    fiftyone,
    labelstudio,
    parquet,
    psol_json,
    registry,
    review,
    voc,
    wsol,
    wsol_maps,
    yolo,
)
from psol_ray.formats.base import Format
from psol_ray.formats.registry import FORMATS, WRITTEN, find_format

# For the type checker: a module is a format.
MODULES: dict[str, Format] = {
    "csv": csv,
    "wsol": wsol,
    "wsol_maps": wsol_maps,
    "psol_json": psol_json,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
    "parquet": parquet,
    "fiftyone": fiftyone,
    "labelstudio": labelstudio,
    "review": review,
}


def test_every_name_finds_its_module() -> None:
    assert {name: find_format(name) for name in FORMATS} == MODULES
    assert typing.get_args(registry.FormatName) == tuple(FORMATS)
    assert typing.get_args(registry.WrittenName) == WRITTEN
    assert set(FORMATS) - set(WRITTEN) == {"review"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_reads_and_writes_in_one_file(name: str) -> None:
    for function, takes in (("read", 3), ("write", 4)) if name in WRITTEN else (("read", 3),):
        found = getattr(find_format(name), function)
        assert len(inspect.signature(found).parameters) == takes
        assert Path(inspect.getfile(found)).name == f"{name}.py"


def test_names_and_settings_load_nothing() -> None:
    code = "import sys, json, psol_ray.formats.settings; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert loaded.isdisjoint({"numpy", "pyarrow", "cv2", "torch", *FORMATS.values()})
