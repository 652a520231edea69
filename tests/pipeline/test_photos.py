"""`psol predict PHOTO ...`: the stage's boxes for files that nobody has indexed."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic.fixtures import pillow_alone

from psol_ray.cli import main
from psol_ray.cli.parse import parse
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.photos import predict_photos
from psol_ray.tables import PREDICTIONS, RunDir

from .conftest import Run


def psol(*words: str) -> int:
    return main(["predict", *words])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def photos(whole: Run) -> list[Path]:
    """Two test images that can be read."""
    return [whole.root / "val/red/0.jpg", whole.root / "val/blue/1.jpg"]


def test_boxes_and_classes_are_those_of_the_stage(copy: Run, capsys: pytest.CaptureFixture[str]) -> None:
    # DALI's pixels differ at the border of an image, so it is the stage with Pillow that is compared.
    with pillow_alone():
        assert copy.psol("predict", "--overwrite", "--predict.batch_size", "1") == 0
    capsys.readouterr()
    assert psol(str(copy.root / "val"), "--run_dir", str(copy.run_dir), "--predict.batch_size", "1") == 3
    found = {os.path.relpath(line["file"], copy.root): line for line in lines(capsys)}
    expected = RunDir(str(copy.run_dir)).stage("predictions").read(PREDICTIONS).to_pylist()
    names = ["blue", "red"]
    rows = {row["image_id"]: row for row in expected if not np.isnan(row["x0"])}
    assert found.keys() == rows.keys()
    for image_id, row in rows.items():
        assert found[image_id]["box"] == [row[corner] for corner in ("x0", "y0", "x1", "y1")]
        assert found[image_id]["classes"] == [
            {"name": names[label], "probability": probability}
            for label, probability in zip(row["top_labels"], row["top_probs"], strict=True)
        ]
        with Image.open(copy.root / image_id) as image:
            assert (found[image_id]["width"], found[image_id]["height"]) == image.size


def test_weights_alone_are_enough(whole: Run, photos: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--predict.localizer", str(whole.run_dir / "localizer/model.safetensors"))
    classifier = ("--predict.classifiers", f"[{whole.run_dir / 'classifier/model.safetensors'}]")
    assert psol(*map(str, photos), "--run_dir", str(whole.run_dir)) == 0
    of_run = lines(capsys)
    # Flags may stand before photos and between them.
    assert psol(*model, str(photos[0]), *classifier, str(photos[1])) == 0
    assert lines(capsys) == of_run
    assert psol(*model, "--", str(photos[0])) == 0
    assert lines(capsys) == [{**of_run[0], "classes": []}]


def test_stdin_is_a_photo(whole: Run, photos: list[Path]) -> None:
    command = [sys.executable, "-m", "psol_ray.cli", "predict", "-", "--run_dir", str(whole.run_dir)]
    done = subprocess.run(command, input=photos[0].read_bytes(), capture_output=True, check=True)
    (line,) = done.stdout.decode().splitlines()
    assert json.loads(line)["file"] == "stdin"
    done = subprocess.run(command, input=b"no image", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.decode().splitlines() == [
        "psol predict: done, but not whole: stdin: found no image that can be read; give another file"
    ]


def test_what_cannot_be_read_is_a_sentence_each_and_the_rest_is_done(
    whole: Run, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, cut, large = tmp_path / "bad.jpg", tmp_path / "cut.jpg", tmp_path / "large.png"
    bad.write_text("hello")
    cut.write_bytes(photos[0].read_bytes()[:700])
    Image.new("RGB", (400, 400)).save(large)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    words = [str(tmp_path / "none.jpg"), str(tmp_path), str(photos[0]), "--run_dir", str(whole.run_dir)]
    assert psol(*words, "--data.max_pixels", "100000") == 3
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(photos[0])]
    told = [line.removeprefix(f"psol predict: done, but not whole: {tmp_path}/") for line in err.splitlines()]
    assert told == [
        "none.jpg: no such file, expected a photo, a folder, a pattern in quotes, or -; check the path",
        "bad.jpg: found no image that can be read; give another file",
        "cut.jpg: found an image that is not whole (OSError: image file is truncated (77 bytes not processed));"
        " give another file",
        "gone.jpg: cannot be opened (No such file or directory), expected an image; check it",
        "large.png: has too many pixels (400 x 400 pixels are more than 100000), expected 100,000 at most; make it"
        " smaller",
        "pipe.jpg: cannot be opened (no regular file), expected an image; check it",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a.jpg"], "a.jpg: no such file"),
        (["PHOTO"], "found neither --run_dir nor --predict.localizer, expected a run directory or a model.safetensors"),
        (["PHOTO", "--predict.localizer", "x.safetensors"], "localizer: found no file 'x.safetensors'"),
        (["PHOTO", "--run_dir", "nowhere"], "localizer: found no model.safetensors; run `psol train localizer"),
        (["PHOTO", "--run_dir", "RUN", "--predict.out", "PHOTO"], "cannot be made (File exists); give another folder"),
        ([], "run_dir: found nothing, expected a text; give it in the YAML file or as --run_dir"),
        (["--run_dir", "RUN"], "data.root: found nothing, expected a text; give it in the YAML file or as --data.root"),
    ],
)
def test_a_mistake_is_one_sentence(
    whole: Run, photos: list[Path], words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meant = {"PHOTO": str(photos[0]), "RUN": str(whole.run_dir)}
    assert psol(*(meant.get(word, word) for word in words)) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


def test_copies_have_their_boxes_drawn(
    whole: Run, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made/drawn"
    # A folder's inner folders stay, and no copy takes another's place.
    words = [str(whole.root / "val"), *map(str, photos), str(whole.root / "train/red/0.jpg")]
    assert psol(*words, "--run_dir", str(whole.run_dir), "--predict.out", str(out)) == 3
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == ["0.jpg", "blue/0.jpg", "blue/1.jpg", "red/0.jpg", "red/1.jpg", "red/2.jpg"]
    found = {line["file"]: line for line in lines(capsys)}
    with Image.open(photos[0]) as before, Image.open(out / "red/0.jpg") as after:
        assert before.size == after.size
        x0, _, x1, y1 = found[str(photos[0])]["box"]
        red, green, blue = after.getpixel((round((x0 + x1) / 2), round(y1) - 2))  # type: ignore[misc]
        assert red > 200
        assert blue < 110
        assert 80 < green < 190


def test_a_terminal_gets_a_table(whole: Run, photos: list[Path]) -> None:
    config = parse(["predict", *map(str, photos), "--run_dir", str(whole.run_dir)]).config
    assert config is not None
    screen = io.StringIO()
    predict_photos(Context(config, console=Console(file=screen, force_terminal=True, width=300)), [str(photos[0])])
    text = screen.getvalue()
    assert all(word in text for word in (str(photos[0]), "class", "%"))
    assert "{" not in text


def test_neither_ray_nor_dali_nor_the_compiler_nor_pandas_is_loaded(whole: Run, photos: list[Path]) -> None:
    program = "import json, sys; from psol_ray.cli import main; main(sys.argv[1:]); print(json.dumps([*sys.modules]))"
    words = ["predict", str(photos[0]), "--run_dir", str(whole.run_dir)]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout.splitlines()[-1])
    assert {"torch._dynamo", "sympy", "pandas", "ray", "nvidia", "torch.utils.tensorboard"}.isdisjoint(modules)


def test_copies_never_take_the_place_of_photos(whole: Run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "b.png"):
        Image.new("RGB", (60, 40), "green").save(folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert psol(str(folder), "--run_dir", str(whole.run_dir), "--predict.out", str(folder)) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert {path.name for path in folder.iterdir()} - before.keys() == {"a-2.jpg", "b-2.jpg", "b-3.jpg"}
