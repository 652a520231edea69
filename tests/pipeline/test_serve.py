"""What `psol serve` says before it serves."""

import socket
from importlib import util
from pathlib import Path

import pytest
from synthetic.networks import file_of

from psol_ray.cli import main
from psol_ray.pipeline import serve


def test_a_port_that_is_taken_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "no/such/model.safetensors", "--serve.port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"psol serve: serve.port: found {port}, at which 127.0.0.1 cannot listen (Address already in use); give"
        " another, or 0 for any that is free\n"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--serve.port", "70000"], "serve.port: found 70000, expected 65535 at most"),
        (["--serve.host", "no such host"], "serve.host: found 'no such host', expected an address of this machine"),
        (["--serve.port", "0", "--cluster.address", "in-process"], "found no file 'PLACE/none.safetensors'"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_sentence(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path / "none.safetensors"), *flags]) == 2
    assert message.replace("PLACE", str(tmp_path)) in capsys.readouterr().err


def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "fastapi" else util.find_spec(name))
    assert main(["serve", "model.safetensors"]) == 2
    assert "found no fastapi, which the server needs; run `pip install 'psol-ray[serve]'`" in capsys.readouterr().err


@pytest.mark.slow
def test_of_replicas_it_says_what_their_networks_lack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(file_of([], 3))
    assert main(["serve", str(model), "--serve.port", "0"]) == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("found a classifier, which predicts no boxes; give a localizer or a joint network")
    )
