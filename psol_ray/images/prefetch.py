"""Decode the next batches while the network works on this one."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["prefetch"]

Item = TypeVar("Item")
Made = TypeVar("Made")

_END: Any = object()


def prefetch(
    items: Iterable[Item], makers: Sequence[Callable[[Item], Made]], depth: int = 2
) -> Generator[Made, None, None]:
    """Yield what is made of `items`, in their order, by threads that stay ahead.

    An exception in a thread is raised here, in its item's turn. Leaving early waits until the threads have stopped, at
    most one item later. They are daemons: a Ray actor with any other kind never exits.

    Args:
        items: taken one at a time, whichever thread takes them.
        makers: each has a thread, and takes the next item when it is done with one.
        depth: how many may be ready and wait to be taken, beside the one that each thread has in hand.
    """
    source = iter(items)
    taking, stop = threading.Lock(), threading.Event()
    room = threading.Semaphore(depth + len(makers))
    promised: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    def work(make: Callable[[Item], Made]) -> None:
        while room.acquire() and not stop.is_set():
            made = Future[Any]()
            try:
                with taking:
                    promised.put(made)
                    item = next(source, _END)
                if item is _END:
                    stop.set()
                    made.set_result(_END)
                    return
                made.set_result(make(item))
            except BaseException as error:
                stop.set()
                made.set_exception(error)

    threads = [threading.Thread(target=work, args=(make,), daemon=True, name="prefetch") for make in makers]
    for thread in threads:
        thread.start()
    try:
        while (result := promised.get().result()) is not _END:
            room.release()
            yield result
    finally:
        stop.set()
        room.release(len(threads))
        for thread in threads:
            thread.join()
