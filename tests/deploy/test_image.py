"""deploy/Dockerfile takes files that there are, installs what is pinned, and has what those who start it call."""

import re
from configparser import ConfigParser
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

from psol_ray import __version__

ROOT = Path(__file__).parents[2]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
SETUP = ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")


def instructions(name: str) -> list[str]:
    """The arguments of all instructions of that name."""
    lines = [line for line in (ROOT / "deploy/Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [" ".join(line.split()[1:]) for line in joined.splitlines() if line.startswith(f"{name} ")]
    assert found
    return found


def variables() -> dict[str, str]:
    return dict(word.split("=", 1) for word in instructions("ENV")[0].split())


def test_its_python_is_one_that_the_project_takes() -> None:
    [base] = instructions("FROM")
    version = re.fullmatch(r"python:(3\.\d+\.\d+)-slim-bookworm", base)
    assert version is not None
    assert SpecifierSet(SETUP["options"]["python_requires"]).contains(version[1])
    # That of the tests: mypy's setting is the one place that names it.
    assert version[1].startswith(f"{SETUP['mypy']['python_version']}.")


def test_what_it_copies_is_there_and_is_sent_to_the_builder() -> None:
    copied = [word for line in instructions("COPY") for word in line.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    lines = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert {name.partition("/")[0] for name in copied} == sent


def test_it_installs_what_is_pinned_with_extras_that_there_are() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]
    first, again = (line.partition("uv pip install ")[2] for line in installs)
    assert "--constraint constraints.txt" in first
    assert "--no-deps" in again  # only the project, once its sources are there
    [extras] = re.findall(r"'\.\[(.*?)\]'", first)
    assert set(extras.split(",")) <= SETUP["options.extras_require"].keys()
    # The installer is pinned as well, by the line of constraints.txt that the command looks for.
    assert re.search(r"pip install --no-cache-dir \"\$\(grep '\^uv==' constraints.txt\)\"", installs[0])
    assert "uv" in PINNED


def test_all_files_name_one_version_of_it_and_of_ray() -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    job = yaml.safe_load((ROOT / "deploy/rayjob.yaml").read_text())["spec"]["rayClusterSpec"]
    pods = [job["headGroupSpec"], *job["workerGroupSpecs"]]
    images = [cluster["docker"]["image"], *(pod["template"]["spec"]["containers"][0]["image"] for pod in pods)]
    assert {image.rpartition("/")[2] for image in images} == {f"psol:{__version__}"}
    assert job["rayVersion"] == PINNED["ray"]


def test_who_starts_it_finds_the_programs_that_they_call() -> None:
    installed = set(instructions("RUN")[0].split())
    # `bash -c`, by Ray and KubeRay, is in the base. What each of the others is for stands in the file.
    assert installed >= {"gcc", "libc6-dev", "openssh-client", "rsync", "sudo", "wget"}


def test_it_runs_as_the_owner_of_the_folders_that_are_mounted() -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    [number] = instructions("USER")
    added = next(line for line in instructions("RUN") if "useradd" in line)
    [user] = re.findall(rf"--uid {number} --shell /bin/bash (\w+)", added)
    assert f"-o {number} -g {number} /mnt/psol" in cluster["initialization_commands"][-1]
    assert f"fsGroup: {number}\n" in (ROOT / "deploy/rayjob.yaml").read_text()
    assert variables()["HOME"] == f"/home/{user}"


def test_it_asks_for_the_jpeg_decoder_and_for_no_gpu() -> None:
    assert "video" in variables()["NVIDIA_DRIVER_CAPABILITIES"].split(",")
    # A head without GPUs, on a machine that has some, must not see them.
    assert "NVIDIA_VISIBLE_DEVICES" not in variables()


def test_it_has_the_weights_that_imagenet_begins_with() -> None:
    settings = yaml.safe_load((ROOT / "jobs/imagenet.yaml").read_text())
    needed = {section["backbone"] for section in settings.values() if "backbone" in section}
    [download] = [line for line in instructions("RUN") if "get_model_weights" in line]
    assert set(re.findall(r"'(\w+)'", download)) >= needed
    assert variables()["TORCH_HOME"].startswith("/opt/weights")
