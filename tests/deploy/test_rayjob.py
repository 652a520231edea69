"""deploy/rayjob.yaml is what the operator's own definition takes, and asks for the cluster that it says."""

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from psol_ray.cli.parse import parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy/rayjob.yaml").read_text()


@pytest.fixture
def job() -> dict[str, Any]:
    # Through a copy, because anchors are one object.
    loaded: dict[str, Any] = copy.deepcopy(yaml.safe_load(TEXT))
    return loaded


@pytest.fixture
def definition(shared: Path) -> dict[str, Any]:
    """KubeRay's schema of a RayJob, in which a field that it does not know is an error, as with `kubectl apply`."""
    path = shared / "kuberay/ray.io_rayjobs.yaml"
    if not path.exists():
        pytest.skip(f"{path} is not there: KubeRay's ray-operator/config/crd/bases/ray.io_rayjobs.yaml")
    versions = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]  # 1.4 MB, 8 s in Python
    [schema] = [version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1"]
    _forbid_unknown_fields(schema)
    schema["properties"]["metadata"] = {"type": "object"}  # whose fields are those of every object
    found: dict[str, Any] = schema
    return found


def _forbid_unknown_fields(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for inner in schema.values():
            _forbid_unknown_fields(inner)


def test_the_operators_definition_accepts_it(definition: dict[str, Any], job: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(definition)
    assert [error.message for error in validator.iter_errors(job)] == []
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxreplicas"] = 8
    [error] = validator.iter_errors(job)
    assert "maxreplicas" in error.message


def test_it_is_a_job_on_a_cluster_of_its_own(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"].keys() == {
        "entrypoint",
        "backoffLimit",
        "submissionMode",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "rayClusterSpec",
    }
    # A driver that failed goes on where it stopped; a mistake is not repeated without end.
    assert 1 <= job["spec"]["backoffLimit"] <= 3
    assert job["spec"]["shutdownAfterJobFinishes"] is True


def test_the_head_does_no_work_and_workers_come_and_go(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is True
    # As strings, which the operator makes flags of `ray start` of.
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    [gpu] = cluster["workerGroupSpecs"]
    assert (gpu["minReplicas"], gpu["maxReplicas"]) == (0, 8)
    [container] = gpu["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert "nvidia.com/gpu" in {toleration["key"] for toleration in gpu["template"]["spec"]["tolerations"]}


def test_every_pod_mounts_data_results_and_shared_memory(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts.keys() == {"/data", "/runs", "/dev/shm"}
        assert {mount["name"] for mount in mounts.values()} <= volumes
        assert "readOnly" not in mounts["/runs"]
        # The second autoscaler's condition.
        assert pod["restartPolicy"] == "Never"


def test_its_entrypoint_is_accepted(job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # Where deploy/Dockerfile has the project.
    assert "\nWORKDIR /opt/psol\n" in (ROOT / "deploy/Dockerfile").read_text()
    python, script, *arguments = shlex.split(job["spec"]["entrypoint"].replace("/opt/psol/", ""))
    assert (python, script) == ("python", "jobs/run.py")
    config = parse(["run", *arguments]).config
    assert config is not None
    assert config.cluster.workers == job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"]
    assert (config.data.root, config.run_dir) == ("/data/imagenet", "/runs/imagenet")


def test_its_comments_name_what_it_makes(job: dict[str, Any]) -> None:
    name = job["metadata"]["name"]
    assert re.findall(r"kubectl logs --follow (\S+)", TEXT) == [f"job/{name}"]
    assert re.findall(r"kubectl delete rayjob (\S+)", TEXT) == [name]
