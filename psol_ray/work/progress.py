"""Progress with rate and time left: whoever works reports to a tracker, the driver draws it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from psol_ray.log import say
from psol_ray.work import standing
from psol_ray.work.counters import Seconds
from psol_ray.work.pace import QUIET_SECONDS, Pace, duration

__all__ = ["ProgressTracker", "Snapshot", "draw_progress"]

_POLL_SECONDS = 0.5
_LINE_SECONDS = 30.0
_WITH_BAR = 110


class Snapshot(NamedTuple):
    """Images done by now, those of them that an earlier run did, and the last note."""

    done: int = 0
    earlier: int = 0
    note: str = ""


class ProgressTracker:
    """Keeps how far each job is. Work done twice after a fault counts once: every job reports its own total."""

    def __init__(self, earlier: int = 0) -> None:
        self._done: dict[str, int] = {}
        self._finished: set[str] = set()
        self._earlier = earlier
        self._note = ""
        self._waited = Seconds()

    def reset(self, earlier: int) -> None:
        """Forget what was reported: an earlier run did `earlier` images, part of the whole and not of the rate."""
        self._done.clear()
        self._finished.clear()
        self._earlier = earlier

    def update(self, job: str, images: int, note: str = "") -> None:
        """`images` of `job` are done; `note` is shown beside the bar."""
        if job not in self._finished:
            self._done[job] = images
        self._note = note or self._note

    def finish(self, job: str, images: int) -> None:
        """The job is done, with all its images: somebody else who does it, too, has nothing to report any more."""
        self._done[job] = images
        self._finished.add(job)

    def set_note(self, note: str) -> None:
        """Show `note` beside the bar."""
        self._note = note

    def add_waits(self, seconds: Seconds) -> None:
        """Somebody has waited so long for decoders and for the network."""
        self._waited = Seconds(*(before + more for before, more in zip(self._waited, seconds, strict=True)))

    def waited(self) -> Seconds:
        """How long all that have told of it have waited."""
        return self._waited

    def images_done(self) -> dict[str, int]:
        """Images done of each job, by its name."""
        return dict(self._done)

    def snapshot(self) -> Snapshot:
        """How far all jobs together are."""
        return Snapshot(self._earlier + sum(self._done.values()), self._earlier, self._note)


@dataclass
class _Drawing:
    """What is drawn: a title, all images there are, where to look for those done, and how fast they come."""

    title: str
    total: int
    read: Callable[[], Snapshot | None]
    stop: threading.Event = field(default_factory=threading.Event)
    pace: Pace = field(default_factory=lambda: Pace(time.monotonic()))
    began: float = field(default_factory=time.monotonic)
    earlier: int = 0

    def poll(self) -> Iterator[Snapshot]:
        """A snapshot every half second, and a last one at the end."""
        ended = False
        while not ended:
            ended = self.stop.wait(_POLL_SECONDS)
            now = self.read()
            if now is not None:
                self._note(now)
                yield now

    def _note(self, now: Snapshot) -> None:
        at = time.monotonic()
        if now.earlier != self.earlier:
            self.earlier = now.earlier
            self.pace.restart(at, now.earlier)
        self.pace.see(at, now.done)
        standing.note(
            title=self.title,
            images=now.done,
            total=self.total,
            images_per_s=self.pace.rate(at),
            quiet_s=round(self.pace.quiet_s(at)),
            note=now.note,
        )

    def rest(self, now: Snapshot) -> str:
        """Rate and time left, or for how long nothing has come."""
        at = time.monotonic()
        rate, quiet = self.pace.rate(at), self.pace.quiet_s(at)
        if quiet >= QUIET_SECONDS:
            return f", nothing {'new' if now.done > now.earlier else 'yet'} for {duration(quiet)}"
        if not rate:
            return ""
        return f", {rate:,.1f} images/s, {duration((self.total - now.done) / rate)} left"


@contextmanager
def draw_progress(title: str, total: int, read: Callable[[], Snapshot | None]) -> Iterator[None]:
    """A bar on a terminal, a line every half minute elsewhere, for as long as the block runs.

    Args:
        title: what is going on.
        total: images in all.
        read: asks the tracker; None where it does not answer, which costs the picture and not the work.
    """
    drawing = _Drawing(title, total, read)
    console = Console(stderr=True)
    draw = partial(_draw_bar, console) if console.is_terminal else _print_lines
    thread = threading.Thread(target=draw, args=(drawing,), daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        drawing.stop.set()
        thread.join(timeout=10)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "-- images/s", style="cyan")


def _draw_bar(console: Console, drawing: _Drawing) -> None:
    columns = (
        TextColumn("{task.description:<22}"),
        # Without a bar rather than without the time left, where there is no room for both.
        *([BarColumn(bar_width=28)] if console.width >= _WITH_BAR else []),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console, speed_estimate_period=60) as bar:
        task = bar.add_task(drawing.title, total=drawing.total, note="")
        earlier = 0
        for now in drawing.poll():
            if now.earlier != earlier:
                earlier = now.earlier
                bar.reset(task, completed=earlier)
            quiet = drawing.pace.quiet_s(time.monotonic())
            note = f"nothing new for {duration(quiet)}" if quiet >= QUIET_SECONDS else now.note
            bar.update(task, completed=min(now.done, drawing.total), note=note)


def _print_lines(drawing: _Drawing) -> None:
    printed = time.monotonic()
    now = Snapshot()
    for now in drawing.poll():
        has_news = now.done > now.earlier or drawing.pace.quiet_s(time.monotonic()) >= QUIET_SECONDS
        if has_news and time.monotonic() - printed >= _LINE_SECONDS and not drawing.stop.is_set():
            printed = time.monotonic()
            _print(drawing, now, f"{drawing.rest(now)} {now.note}")
    if now.done > now.earlier:
        seconds = time.monotonic() - drawing.began
        rate = (now.done - now.earlier) / seconds
        _print(drawing, now, f" in {duration(seconds)}, {rate:,.1f} images/s {now.note}")


def _print(drawing: _Drawing, now: Snapshot, rest: str) -> None:
    say(f"{drawing.title}: {now.done:,}/{drawing.total:,} images{rest}".rstrip())
