"""`psol export-model FILE`: the networks that predict as one program for others to run."""

from pathlib import PurePosixPath

from rich.markup import escape

from psol_ray.errors import UserError
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.photos import load_predictor
from psol_ray.tables.files import open_uri
from psol_ray.tables.folder import Folder

__all__ = ["export_model"]

_SUFFIXES = (".onnx", ".pt2")


def export_model(context: Context, file: str) -> None:
    """Write an ONNX model or a program of torch.export, whichever the file's name ends in.

    Raises:
        UserError: it ends in something else, or cannot be written; or there are no such networks.
    """
    suffix = PurePosixPath(file).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UserError(
            f"file: found {file!r}, expected a name that ends in {' or '.join(_SUFFIXES)}; a model.safetensors lies in"
            " the run directory already"
        )
    fs, path = open_uri("file", file)
    folder, _, name = path.rpartition("/")
    predictor = load_predictor(context)
    # Late: whoever misspells a name needs no torch.
    from psol_ray.prediction.exported import to_onnx, to_pt2

    data = to_onnx(predictor) if suffix == ".onnx" else to_pt2(predictor)
    Folder(fs, folder).write_bytes(name, data)
    outputs = "box" if not predictor.class_names else f"box and probabilities of {len(predictor.class_names):,} classes"
    words = f"{file}, {len(data) / 1e6:,.1f} MB: uint8 photo (height, width, 3) to {outputs}"
    context.console.print(f"[bold]export-model[/]: {escape(words)}", soft_wrap=True)
