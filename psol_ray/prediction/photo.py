"""Boxes and classes of single photos: what the command line, the server and Python share.

No cluster, no table and no catalog: networks are loaded once, and every call gives what `psol predict` would say of
the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from psol_ray.errors import UserError, first_line
from psol_ray.images.files import Source, open_image_file
from psol_ray.images.limits import MAX_PIXELS
from psol_ray.images.stored import open_stored, stored_rgb, stored_size, turn
from psol_ray.prediction.ensemble import Ensemble
from psol_ray.prediction.settings import PredictConfig
from psol_ray.tables import RunDir
from psol_ray.tables.file_names import BEST_FILE, MODEL_FILE

if TYPE_CHECKING:
    import torch

    from psol_ray.prediction.forward import Forward
    from psol_ray.prediction.views import View

__all__ = ["Device", "Found", "PhotoPredictor", "Squashed", "load_photo_predictor", "read_photo", "squash"]

Device = Literal["cpu", "cuda", "auto"]


@dataclass(frozen=True)
class Found:
    """What is seen in one image.

    `box` is `(x0, y0, x1, y1)` in pixels of the image as it was given, which is `width` times `height` of them; the
    whole image is `(0, 0, width, height)`. `classes` are the five most probable names with their probabilities, the
    first one first; empty without a classifier.
    """

    box: tuple[float, float, float, float]
    width: int
    height: int
    classes: list[tuple[str, float]]


@dataclass(frozen=True)
class Squashed:
    """An image as networks see it, a few hundred kilobytes: uint8 RGB squares `(S, S, 3)` by their side S in pixels."""

    squares: Mapping[int, NDArray[np.uint8]]
    width: int
    height: int


class PhotoPredictor:
    """A localizer, and perhaps classifiers, over images in memory. May be called from several threads."""

    def __init__(
        self,
        forward: Forward,
        view: View,
        class_names: Sequence[str],
        info: Mapping[str, Any],
        *,
        device: torch.device,
        batch_size: int,
    ) -> None:
        """Args:
        forward: the networks, on the device.
        view: what the localizer sees.
        class_names: in the order of the classifiers' outputs.
        info: see `info`.
        device: where the networks are.
        batch_size: the most images in a forward pass.
        """
        self.info: dict[str, Any] = dict(info)
        """What predicts: `backbone`, `input_size` in pixels, `localizer` and `classifiers` (where they came from),
        `num_classes` (0 without a classifier), `device`, and `made_by`, the localizer's training."""
        self.sides = frozenset(forward.sides)
        """Sides in pixels of the squares that `predict_squashed` needs of every image."""
        self.forward, self.view, self.class_names = forward, view, class_names
        self._device, self._batch_size = device, batch_size

    def predict(self, images: Sequence[Image.Image | NDArray[np.uint8]]) -> list[Found]:
        """Boxes and classes of images, in their order.

        Args:
            images: of Pillow, or uint8 arrays of RGB `(H, W, 3)`, RGBA `(H, W, 4)` or grey `(H, W)`. They are taken as
                they are stored: an orientation that EXIF tells of is not applied.

        Raises:
            UserError: an array is none of these.
            Exception: pixels of an image cannot be decoded; whatever Pillow raised.
        """
        return self.predict_squashed([squash(image, self.sides) for image in images])

    def predict_squashed(self, images: Sequence[Squashed]) -> list[Found]:
        """The same for images that `squash` has made small: while a batch is collected, say, or in other threads."""
        starts = range(0, len(images), self._batch_size)
        return [found for i in starts for found in self._predict_batch(images[i : i + self._batch_size])]

    def _predict_batch(self, images: Sequence[Squashed]) -> list[Found]:
        import torch

        from psol_ray.images.batch import DecodedBatch

        ok_N = np.ones(len(images), np.bool_)
        decoded = {
            side: DecodedBatch(
                torch.from_numpy(np.stack([image.squares[side] for image in images])).to(self._device), ok_N
            )
            for side in self.sides
        }
        outcome = self.forward(decoded)
        sizes_N2 = np.array([(image.width, image.height) for image in images])
        boxes_N4 = self.view.in_image(outcome.fractions_N4.cpu().numpy(), sizes_N2)
        # As exact as the predictions table, and no more.
        boxes = boxes_N4.astype(np.float32).tolist()
        tops = zip(outcome.labels_NT.tolist(), outcome.probs_NT.tolist(), strict=True)
        classes = [[(self.class_names[i], p) for i, p in zip(*top, strict=True)] for top in tops]
        return [
            Found(tuple(box), image.width, image.height, names)
            for box, image, names in zip(boxes, images, classes, strict=True)
        ]


def squash(image: Image.Image | NDArray[np.uint8], sides: frozenset[int]) -> Squashed:
    """Decode an image, and make it as small as networks see it; for arguments and errors see `PhotoPredictor`."""
    rgb = stored_rgb(_from_array(image) if isinstance(image, np.ndarray) else image)
    squares = {side: np.asarray(rgb.resize((side, side), Image.Resampling.BILINEAR)) for side in sides}
    return Squashed(squares, *rgb.size)


def read_photo(source: Source, name: str, sides: frozenset[int], max_pixels: int = MAX_PIXELS) -> Squashed:
    """`squash` of a file, whatever its name ends in.

    Args:
        source: a path or another address, or the file's bytes.
        name: what messages call it.
        sides: `PhotoPredictor.sides`.
        max_pixels: the most that it may have.

    Raises:
        UserError: it cannot be opened, is no image, or has too many pixels.
    """
    try:
        with open_image_file(source) as file:
            try:
                image = open_stored(file, max_pixels)
                with turn(*stored_size(image)):
                    return squash(image, sides)
            # Pillow's plugins raise whatever their format's parser trips over.
            except Exception as error:
                failure = error
    except OSError as error:
        raise UserError(f"{name}: cannot be opened ({error.strerror or error}), expected an image; check it") from None
    raise UserError(f"{name}: {_why_no_image(failure, max_pixels)}")


def _why_no_image(error: Exception, max_pixels: int) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"has too many pixels ({first_line(error, 120)}), expected {max_pixels:,} at most; make it smaller"
    if isinstance(error, UnidentifiedImageError):
        return "found no image that can be read; give another file"
    return f"found an image that is not whole ({type(error).__name__}: {first_line(error, 120)}); give another file"


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise UserError(
            f"image: found an array of {pixels.dtype} {pixels.shape}, expected uint8 of (height, width, 3); convert it"
        )
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)


def load_photo_predictor(
    localizer: str, classifier: str | None = None, *, device: Device = "auto", config: PredictConfig | None = None
) -> PhotoPredictor:
    """Load trained networks.

    Args:
        localizer: a run directory, whose localizer and classifier, or joint network, predict as its settings say; or a
            `model.safetensors` of `psol train`. Paths or URIs.
        classifier: a `model.safetensors` that names the classes, instead of the run's; of a joint network's file its
            own classes are the default.
        device: auto is a GPU where there is one.
        config: how to predict, instead of the run's own settings.

    Raises:
        UserError: there is no such network, or files are not whole or do not fit each other.
    """
    import torch

    from psol_ray.models.device import autocast, prepare_process
    from psol_ray.prediction.forward import Forward
    from psol_ray.prediction.networks import load_networks

    place = torch.device(_choose(device))
    prepare_process(torch.get_num_threads())
    run, settings = _settings(localizer, classifier, config)
    ensemble = Ensemble.find(run, settings)
    loaded = ensemble.load(check=False)
    try:
        boxes, classes = load_networks(loaded.localizer, loaded.classifiers, place)
    except Exception:
        ensemble.load()  # which says which file is not whole
        raise
    forward = Forward(boxes, classes, device=place, autocast=partial(autocast, place, settings.precision))
    assert ensemble.boxes.file is not None
    info = {
        "backbone": ensemble.boxes.backbone,
        "input_size": boxes.view.size,
        "localizer": ensemble.boxes.where,
        "classifiers": [each.where for each in ensemble.classes],
        "num_classes": len(ensemble.class_names) if classes else 0,
        "device": place.type,
        "made_by": ensemble.boxes.file.recipe,
    }
    return PhotoPredictor(forward, boxes.view, ensemble.class_names, info, device=place, batch_size=settings.batch_size)


def _choose(device: Device) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found no GPU that PyTorch can use, expected one; give cpu or auto")
    return device


def _settings(localizer: str, classifier: str | None, config: PredictConfig | None) -> tuple[RunDir, PredictConfig]:
    """A run, and the settings that say which of its and of others' networks predict."""
    if localizer.endswith(".safetensors"):
        from psol_ray.models.saved import NetworkFile

        file = NetworkFile.read("localizer", localizer, "expected a model.safetensors of `psol train`")
        own = [] if file.saved.num_classes is None else [localizer]
        chosen = config or PredictConfig()
        named = [classifier] if classifier else [each for each in chosen.classifiers if each != "trained"]
        return RunDir("."), replace(chosen, localizer=localizer, classifiers=named or own)
    run = RunDir(localizer)
    chosen = config or _settings_of(run)
    if classifier is not None:
        chosen = replace(chosen, classifiers=[classifier])
    return run, _that_are_there(run, chosen)


def _settings_of(run: RunDir) -> PredictConfig:
    """As the run's last command had them."""
    content = yaml.safe_load(run.read_text("config.yaml") or "{}") or {}
    known = {field.name for field in fields(PredictConfig)}
    found = {name: value for name, value in content.get("predict", {}).items() if name in known}
    return PredictConfig(**found)


def _that_are_there(run: RunDir, config: PredictConfig) -> PredictConfig:
    """Settings without networks of this run that have not been trained: of a localizer alone there are boxes."""
    name = BEST_FILE if config.checkpoint == "best" else MODEL_FILE

    def trained(stage: str) -> bool:
        return any(info.base_name == name for info in run.stage(stage).entries())

    if config.models == "separate" and not trained("localizer") and trained("joint"):
        config = replace(config, models="joint")
    if not trained("joint" if config.models == "joint" else "classifier"):
        config = replace(config, classifiers=[each for each in config.classifiers if each != "trained"])
    return config
