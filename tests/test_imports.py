"""What the package imports: nothing that is not declared, and nothing heavy before it is needed."""

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"nvidia", "ray", "tensorboardX", "timm", "torch", "torchvision"}
# Imported by name (psol_ray.models.libraries, psol_ray.images.dali_pipeline), or for the command line of `ray` itself.
_BY_NAME = {"timm", "torchvision", "nvidia-dali-cuda130"}
# Of extras; and what comes with torch wherever torch has a GPU, in the one version that fits it.
_UNDECLARED = {"fastapi", "prometheus_client", "pydantic", "shtab", "starlette", "triton", "uvicorn"}


def loaded_by(*arguments: str) -> tuple[int, set[str]]:
    """Exit code of a command in a new process, and the packages that it loaded."""
    program = (
        "import sys\n"
        "from psol_ray.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as left: code = left.code\n"
        "print(code, *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    return int(code), {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["no-such-command"]])
def test_without_a_command_no_library_is_loaded(arguments: list[str]) -> None:
    _, loaded = loaded_by(*arguments)
    assert loaded.isdisjoint(HEAVY | {"jsonargparse", "numpy", "pyarrow", "yaml"})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["run", "--help"], 0, id="help"),
        pytest.param(["run", "--run_dir", "a", "--data.root", "b", "--boxes.no_such_field", "1"], 2, id="mistake"),
        pytest.param(["train", "--run_dir", "a", "--data.root", "b"], 2, id="no model"),
        pytest.param(["boxes", "--run_dir", "no/such/run", "--data.root", "b"], 2, id="stage out of order"),
    ],
)
def test_help_and_mistakes_load_neither_torch_nor_ray(arguments: list[str], code: int) -> None:
    found, loaded = loaded_by(*arguments)
    assert found == code
    assert loaded.isdisjoint(HEAVY)


def _declared(extra: str = "") -> set[str]:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.extras_require"][extra] if extra else setup["options"]["install_requires"]
    names = (re.match(r"[\w-]+", line) for line in lines.splitlines() if not line.startswith("#"))
    return {_normal(name[0]) for name in names if name}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _imported(folder: Path) -> set[str]:
    """Names of all third-party modules that some file below the folder imports."""
    names = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"psol_ray"}


def test_what_the_package_imports_is_declared_and_nothing_else() -> None:
    distributions = packages_distributions()
    names = _imported(ROOT / "psol_ray")
    imported = {name: {_normal(found) for found in distributions.get(name, ())} for name in names}
    declared = _declared()
    assert {name for name, found in imported.items() if found.isdisjoint(declared)} == _UNDECLARED & names
    assert declared - set().union(*imported.values()) == _BY_NAME


def test_every_requirement_is_pinned() -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    extras = {name for extra in ("demo", "completion", "serve", "test") for name in _declared(extra)}
    assert {"scikit-image", "shtab", "pytest"} <= extras
    assert _declared() | extras <= pinned


def test_dali_is_named_in_one_module_alone() -> None:
    files = (ROOT / "psol_ray").rglob("*.py")
    assert [str(file.relative_to(ROOT)) for file in files if '"nvidia' in file.read_text()] == [
        "psol_ray/images/dali_pipeline.py"
    ]
