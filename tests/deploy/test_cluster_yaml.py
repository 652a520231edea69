"""cluster.yaml is what Ray's schema, its bootstrap of AWS and its provider take, and starts what it says."""

import json
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from moto import mock_aws

from psol_ray import __version__
from psol_ray.cli.parse import parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
REGION = "us-west-2"


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """boto3 in an account with the role that docs/clusters.md has made."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        # Ray writes the key pair that it makes into ~/.ssh.
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        import boto3  # late, so that it is moto's

        iam = boto3.client("iam")
        iam.create_role(RoleName="psol", AssumeRolePolicyDocument=json.dumps(_TRUST))
        policy = (ROOT / "deploy/aws_policy.json").read_text()
        iam.put_role_policy(RoleName="psol", PolicyName="psol", PolicyDocument=policy)
        iam.create_instance_profile(InstanceProfileName="psol")
        iam.add_role_to_instance_profile(InstanceProfileName="psol", RoleName="psol")
        yield boto3


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def resolved(aws: Any) -> dict[str, Any]:  # noqa: ARG001
    """What `ray up` makes of the file."""
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(yaml.safe_load(TEXT))
    validate_config(prepared)
    found: dict[str, Any] = bootstrap_aws(AWSNodeProvider.fillout_available_node_types_resources(prepared))
    return found


def test_rays_schema_accepts_it(cluster: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "no_such_field": 1}, schema)


def test_three_places_are_to_be_edited(cluster: dict[str, Any]) -> None:
    assert re.findall(r"EDIT \d", TEXT) == ["EDIT 1", "EDIT 2", "EDIT 3"]
    # What names an account, a file system or a region stands in these alone.
    marked = [cluster["provider"]["region"], cluster["docker"]["image"], cluster["initialization_commands"][-1]]
    rest = re.sub("|".join(map(re.escape, marked)), "", " ".join(TEXT.split()))
    assert not re.findall(r"us-west|\d{12}|fs-0", rest)


def test_the_head_does_no_work_and_workers_come_and_go(resolved: dict[str, Any]) -> None:
    head, gpu = (resolved["available_node_types"][name] for name in ("head", "gpu"))
    assert resolved["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}
    assert (gpu["resources"]["CPU"], gpu["resources"]["GPU"]) == (16, 1)
    assert (gpu["min_workers"], gpu["max_workers"], resolved["max_workers"]) == (0, 8, 8)
    assert resolved["idle_timeout_minutes"] == 5


def test_every_machine_has_role_image_and_disk(aws: Any, resolved: dict[str, Any]) -> None:
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(resolved["provider"], resolved["cluster_name"])
    for name, node_type in resolved["available_node_types"].items():
        provider.create_node(node_type["node_config"], {"ray-user-node-type": name}, 1)
    ec2 = aws.client("ec2")
    machines = {
        machine["InstanceType"]: machine
        for reservation in ec2.describe_instances()["Reservations"]
        for machine in reservation["Instances"]
    }
    assert machines.keys() == {"m6i.2xlarge", "g6.4xlarge"}
    for machine in machines.values():
        assert machine["IamInstanceProfile"]["Arn"].endswith("instance-profile/psol")
        assert machine["ImageId"].startswith("resolve:ssm:/aws/service/deeplearning/ami/x86_64/")
        [disk] = machine["BlockDeviceMappings"]
        [volume] = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert volume["Size"] >= 200
    # The driver must stay; a machine of the pool may go.
    assert {name: machine.get("InstanceLifecycle") for name, machine in machines.items()} == {
        "m6i.2xlarge": None,
        "g6.4xlarge": "spot",
    }


def test_nothing_is_copied_to_machines_or_installed_on_them(resolved: dict[str, Any]) -> None:
    # Left out of the file, these would be those of Ray's defaults, which install another Ray.
    commands = [resolved[f"{kind}setup_commands"] for kind in ("", "head_", "worker_")]
    assert commands == [[], [], []]
    assert resolved["file_mounts"] == {}


def test_containers_of_workers_have_gpus_and_the_jpeg_decoder(cluster: dict[str, Any]) -> None:
    docker = cluster["docker"]
    assert docker["image"].endswith(f"/psol:{__version__}")
    assert "--gpus all" in docker["worker_run_options"]
    [capabilities] = [o.partition("=")[2] for o in docker["worker_run_options"] if "CAPABILITIES" in o]
    assert "video" in capabilities.split(",")
    assert not [option for option in docker["head_run_options"] + docker["run_options"] if "gpu" in option]


def test_the_mount_is_where_containers_and_commands_look_for_it(cluster: dict[str, Any]) -> None:
    assert "--volume /mnt/psol:/mnt/psol" in cluster["docker"]["run_options"]
    assert cluster["initialization_commands"][-1].rstrip().endswith("/mnt/psol/data /mnt/psol/runs; }")


def test_commands_in_its_comments_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    comments = "\n".join(line.removeprefix("#") for line in TEXT.splitlines() if line.startswith("#"))
    [submitted] = re.findall(r"python jobs/psol\.py (.*)", comments.replace("\\\n", " "))
    config = parse(shlex.split(submitted)).config
    assert config is not None
    assert config.run_dir.startswith("/mnt/psol/runs/")
    assert config.data.root.startswith("/mnt/psol/data/")
    assert config.cluster.workers == yaml.safe_load(TEXT)["max_workers"]
    assert "--address http://localhost:8265" in comments


def test_what_ray_up_needs_is_an_extra_that_is_pinned() -> None:
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    names = setup["options.extras_require"]["aws"].split()
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    assert names == ["boto3"]
    assert "boto3" in pinned


def test_the_role_may_do_what_its_machines_do() -> None:
    statements = json.loads((ROOT / "deploy/aws_policy.json").read_text())["Statement"]
    actions = {a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}
    # To start machines with a role of their own, and with an image that is looked up, takes more than EC2's own rights.
    assert actions >= {"ec2:RunInstances", "ec2:TerminateInstances", "iam:PassRole", "ssm:GetParameters"}
    assert actions >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}
    assert actions >= {"ecr:GetAuthorizationToken", "ecr:BatchGetImage"}
