"""`psol predict PHOTO ...`: boxes and classes of photos, by a trained run or by files of its networks."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from psol_ray.errors import UserError
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.drawn import Album
from psol_ray.pipeline.photo_files import Photo, find_photos
from psol_ray.prediction.settings import PredictConfig

if TYPE_CHECKING:
    from psol_ray.prediction.photo import Found, PhotoPredictor, Squashed

__all__ = ["load_predictor", "predict_photos"]


def predict_photos(context: Context, named: Sequence[str]) -> None:
    """Predict every photo that can be read, and tell of the others."""
    photos = find_photos(named, context.gaps)
    if not photos:
        raise UserError("; ".join(context.gaps[:3]))
    predictor = load_predictor(context)
    settings, max_pixels = context.config.predict, context.config.data.max_pixels
    album = None if settings.out is None else Album(settings.out, max_pixels, photos)
    # On a terminal a table, once all is there; to whatever reads a pipe a line each as it comes.
    table = _Table() if context.console.is_terminal else None
    with _progress() as progress:
        for photo, found in _predicted(predictor, photos, settings.batch_size, max_pixels, context.gaps, progress):
            if album is not None:
                album.add(photo, found)
            if table is not None:
                table.add(photo, found)
            else:
                print(json.dumps(_as_json(photo, found)), flush=True)
    if table is not None:
        table.show(context.console)


def load_predictor(context: Context) -> PhotoPredictor:
    """The networks of the run, or those that `predict.localizer` and `predict.classifiers` name.

    Raises:
        UserError: neither is given, or see `load_photo_predictor`.
    """
    from psol_ray.prediction.photo import load_photo_predictor

    config = context.config
    settings = replace(config.predict, out=None)
    if config.run_dir:
        # A run knows how it predicts; whoever says something of it says all.
        own = replace(settings, batch_size=PredictConfig().batch_size) == PredictConfig()
        return load_photo_predictor(config.run_dir, config=None if own else settings)
    if settings.localizer is None:
        raise UserError(
            "found neither --run_dir nor --predict.localizer, expected a run directory or a model.safetensors of"
            " `psol train`; give one of them"
        )
    return load_photo_predictor(settings.localizer, config=settings)


def _predicted(
    predictor: PhotoPredictor,
    photos: Sequence[Photo],
    batch_size: int,
    max_pixels: int,
    gaps: list[str],
    progress: Progress,
) -> Iterator[tuple[Photo, Found]]:
    """What is found in each photo, in their order; those that cannot be read become sentences in `gaps`.

    While the network has a batch, the next one is decoded, so memory does not grow with the number of photos.
    """
    from psol_ray.prediction.photo import read_photo

    read = partial(read_photo, sides=predictor.sides, max_pixels=max_pixels)
    task = progress.add_task("Predicting", total=len(photos))
    waiting: deque[tuple[Photo, Future[Squashed]]] = deque()
    rest = iter(photos)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        try:
            while True:
                while len(waiting) < 2 * batch_size and (photo := next(rest, None)) is not None:
                    waiting.append((photo, threads.submit(read, photo.source, photo.name)))
                if not waiting:
                    return
                batch = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
                readable: list[tuple[Photo, Squashed]] = []
                for photo, decoded in batch:
                    try:
                        readable.append((photo, decoded.result()))
                    except UserError as error:
                        gaps.append(str(error))
                found = predictor.predict_squashed([small for _, small in readable])
                yield from zip([photo for photo, _ in readable], found, strict=True)
                progress.advance(task, len(batch))
        finally:
            for _, decoded in waiting:
                decoded.cancel()


def _progress() -> Progress:
    """A bar on stderr, where somebody sees it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _as_json(photo: Photo, found: Found) -> dict[str, object]:
    return {
        "file": photo.name,
        "width": found.width,
        "height": found.height,
        "box": list(found.box),
        "classes": [{"name": name, "probability": probability} for name, probability in found.classes],
    }


class _Table:
    """Boxes in whole pixels and first classes, a line a photo."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, ...]] = []

    def add(self, photo: Photo, found: Found) -> None:
        first = [f"{name} {probability:.0%}" for name, probability in found.classes[:1]]
        corners = (f"{value:,.0f}" for value in found.box)
        self._rows.append((photo.name, f"{found.width:,} x {found.height:,}", *corners, *first))

    def show(self, console: Console) -> None:
        if not self._rows:
            return
        table = Table("photo", "size", *("x0", "y0", "x1", "y1"), *(["class"] if len(self._rows[0]) > 6 else []))
        for column in table.columns[1:6]:
            column.justify = "right"
        for row in self._rows:
            table.add_row(*map(escape, row))
        console.print(table)
