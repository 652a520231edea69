"""The run directory and the data as this machine has them: what can be done there, and how fast."""

import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from psol_ray.errors import UserError, abbreviate
from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.preflight.findings import Finding
from psol_ray.storage.addresses import Address
from psol_ray.storage.reader import NUM_CONNECTIONS, read
from psol_ray.tables.folder import Folder
from psol_ray.tables.rehearsal import rehearse

__all__ = ["check_data", "check_run_dir", "read_image", "sample_images"]

# A part is written for each class, and a sign of life every ten seconds.
_SLOW_WRITE_SECONDS = 2.0
_TRIAL, _REQUEST = re.compile(r"\.trial-\w+\.tmp"), re.compile(r" \(Request ID: \w*\)")
_READ_SECONDS = 5.0
_MOST_THREADS = 32
_MOST_STEPS = 20


def check_run_dir(folder: Folder) -> Iterator[Finding]:
    """Write, read and delete a small file, three times; the row is the middle one's time."""
    name = "run_dir, write and read"
    try:
        seconds = sorted(rehearse(folder) for _ in range(3))[1]
    except UserError as error:
        # Without what differs each time, so that machines that say the same are put together.
        reason = _REQUEST.sub("", str(error))
        yield Finding(name, "fails", "broken", _TRIAL.sub("a small file", reason))
        return
    if seconds > _SLOW_WRITE_SECONDS:
        remedy = f"a small file takes {seconds:.1f} s to write and read in {folder.address}; see what keeps it busy"
        yield Finding(name, "", "slow", remedy, 1000 * seconds, "ms")
    else:
        yield Finding(name, amount=1000 * seconds, unit="ms")


def sample_images(root: str, number: int, seed: int) -> list[str]:
    """Some images below a folder, without listing all of it: each by a way down that is drawn at random.

    Returns:
        up to `number` paths; none where the folder has no images, or is not there.
    """
    drawn, suffixes = random.Random(seed), picture_suffixes()
    entries: dict[str, list[os.DirEntry[str]]] = {}

    def list_folder(path: str) -> list[os.DirEntry[str]]:
        if path not in entries:
            try:
                with os.scandir(path) as found:
                    entries[path] = [entry for entry in found if not entry.name.startswith(".")]
            except OSError:
                entries[path] = []
        return entries[path]

    paths: set[str] = set()
    for _ in range(4 * number):
        path = root
        for _ in range(_MOST_STEPS):
            there = list_folder(path)
            folders = [entry for entry in there if entry.is_dir()]
            images = [entry for entry in there if os.path.splitext(entry.name)[1].lower() in suffixes]
            if images and (not folders or drawn.random() < 0.5):
                paths.add(drawn.choice(images).path)
                break
            if not folders:
                break
            path = drawn.choice(folders).path
        if len(paths) >= number:
            break
    return sorted(paths)


def read_image(address: Address) -> int:
    """Read one image as far as possible from where it is stored, and not from memory; returns its bytes.

    Raises:
        OSError: it cannot be read.
    """
    return _read_file(address) if isinstance(address, str) else len(read(address))


def _read_file(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        size = os.fstat(descriptor).st_size
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        read = 0
        while read < size and (data := os.read(descriptor, size - read)):
            read += len(data)
        return read
    finally:
        os.close(descriptor)


def check_data(addresses: Sequence[Address], wanted: float | None, needs: str) -> Iterator[Finding]:
    """Read images, as many at once as this machine's workers would.

    Args:
        addresses: of some images that the driver sees.
        wanted: images a second that the network here could take; None where that is not known.
        needs: the same in words, for the message.
    """
    names = ("data, files read", "data, bytes read")
    if not addresses:  # the driver has seen none
        return
    is_remote = not isinstance(addresses[0], str)
    threads = NUM_CONNECTIONS if is_remote else min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    started = time.monotonic()

    def attempt(address: Address) -> int | OSError | None:
        if time.monotonic() - started > _READ_SECONDS:
            return None
        try:
            return read_image(address)
        except OSError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(attempt, addresses))
    seconds = time.monotonic() - started
    lost = {str(each): error for each, error in zip(addresses, outcomes, strict=True) if isinstance(error, OSError)}
    if lost:
        first = next(iter(lost.values()))
        remedy = f"images cannot be read there ({abbreviate(lost)}: {first.strerror}); mount data.root on it"
        yield Finding(names[0], "fails", "broken", remedy)
        return
    sizes = [size for size in outcomes if isinstance(size, int)]
    rate = len(sizes) / seconds
    if wanted is not None and rate < wanted:
        remedy = f"{rate:,.0f} images a second are read there, and {needs}; put the data nearer, or on a faster mount"
        yield Finding(names[0], "", "slow", remedy, rate, "/s")
    else:
        yield Finding(names[0], amount=rate, unit="/s")
    yield Finding(names[1], amount=sum(sizes) / seconds / 1e6, unit="MB/s")
