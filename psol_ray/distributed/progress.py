"""Progress with rate and time left: workers report to a board, the driver draws it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Board", "show_progress"]

_POLL_SECONDS = 0.5
_LINE_SECONDS = 15.0


@ray.remote(num_cpus=0)
class Board:
    """How far everybody is. Work done twice after a fault counts once, because every job reports its own total."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._note = ""

    def set(self, job: str, images: int, note: str = "") -> None:
        """`images` of `job` are done; `note` is shown beside the bar."""
        self._done[job] = images
        self._note = note or self._note

    def snapshot(self) -> tuple[int, str]:
        """Images done by all jobs together, and the last note."""
        return sum(self._done.values()), self._note


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "-- images/s", style="cyan")


@contextmanager
def show_progress(title: str, total: int, done: int = 0) -> Iterator[Any]:
    """A bar on a terminal, a line every 15 s elsewhere, for as long as the block runs.

    Args:
        title: what is going on.
        total: images in all.
        done: images that an earlier run has done; they do not count for the rate.

    Yields:
        a handle of the `Board` that workers report to.
    """
    board = Board.remote()  # type: ignore[attr-defined]
    console = Console(stderr=True)
    stop = threading.Event()
    draw = _draw_bar if console.is_terminal else _print_lines
    thread = threading.Thread(target=draw, args=(console, title, total, done, board, stop), daemon=True)
    thread.start()
    try:
        yield board
    finally:
        stop.set()
        thread.join(timeout=10)
        ray.kill(board)


def _poll(board: Any, stop: threading.Event) -> Iterator[tuple[int, str]]:
    while not stop.wait(_POLL_SECONDS):
        try:
            yield ray.get(board.snapshot.remote(), timeout=30)
        except ray.exceptions.RayError:
            continue
    try:
        yield ray.get(board.snapshot.remote(), timeout=5)
    except ray.exceptions.RayError:
        return


def _draw_bar(console: Console, title: str, total: int, done: int, board: Any, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console, speed_estimate_period=60) as bar:
        task = bar.add_task(title, total=total, completed=done, note="")
        for images, note in _poll(board, stop):
            bar.update(task, completed=min(done + images, total), note=note)


def _print_lines(console: Console, title: str, total: int, done: int, board: Any, stop: threading.Event) -> None:
    started = printed = time.monotonic()
    images = 0
    for images, note in _poll(board, stop):
        now = time.monotonic()
        if now - printed >= _LINE_SECONDS and not stop.is_set():
            printed = now
            rate = images / (now - started)
            left = f"{(total - done - images) / rate:.0f} s left" if rate else "starting"
            console.print(f"{title}: {done + images:,}/{total:,} images, {rate:.1f} images/s, {left} {note}".rstrip())
    seconds = time.monotonic() - started
    console.print(f"{title}: {done + images:,}/{total:,} images in {seconds:.0f} s, {images / seconds:.1f} images/s")
