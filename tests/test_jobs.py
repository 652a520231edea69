"""The scripts and settings in jobs/, and the cluster file, are what they say."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from psol_ray.cli.parse import COMMANDS, parse
from psol_ray.models.backbones import find_backbone

ROOT = Path(__file__).parents[1]
JOBS = ROOT / "jobs"


def test_every_command_has_a_script_and_no_other_script_is_there() -> None:
    assert {path.stem for path in JOBS.glob("*.py")} == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_script_calls_its_command(command: str) -> None:
    script = [sys.executable, str(JOBS / f"{command}.py"), "--help"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=True)
    assert COMMANDS[command] in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "layout"), [("demo", "demo"), ("cub", "cub"), ("cub_laptop", "cub"), ("imagenet", "imagenet")]
)
def test_settings_are_accepted_and_name_real_backbones(name: str, layout: str) -> None:
    config = parse(["run", "--config", str(JOBS / f"{name}.yaml")]).config
    assert config.data.layout == layout
    for section in (config.boxes, config.localizer, config.classifier, config.joint):
        assert find_backbone(section.backbone).name == section.backbone


def test_ray_accepts_the_cluster_file() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "no_such_field": 1}, schema)
