"""Listens until it is told to end, and answers what has come in by then."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from psol_ray.errors import UserError
from psol_ray.log import say

__all__ = ["bind", "listen"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# For answers that are being made when it is told to end; Kubernetes waits for thirty seconds.
_GRACE_SECONDS = 20


def bind(host: str, port: int) -> socket.socket:
    """A socket of this address, before anything takes time.

    Raises:
        UserError: it cannot be had.
    """
    if port > 65535:  # of which the system would take the lower bits
        raise UserError(f"serve.port: found {port}, expected 65535 at most")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UserError(f"serve.host: found {host!r}, expected an address of this machine ({error.strerror})") from None
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        # From now on nobody else can have it; who asks meanwhile is answered once networks are loaded.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise UserError(
            f"serve.port: found {port}, at which {host} cannot listen ({error.strerror}); give another, or 0 for any"
            " that is free"
        ) from None
    return bound


def listen(app: FastAPI, bound: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what is being answered is answered first. A second one ends it at once."""
    # No access log: /metrics counts. No Server header: nobody's business.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    # In a thread of its own it installs no handlers, which would not be taken away again.
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True, name="http")
    with _told() as told:
        thread.start()
        while not told.wait(0.5) and thread.is_alive():
            pass
        if told.is_set():
            say("ending: requests that have come in are answered first; Ctrl-C again ends at once")
        server.should_exit = True
        told.clear()
        while thread.is_alive():
            thread.join(0.1)
            server.force_exit = server.force_exit or told.is_set()


@contextmanager
def _told() -> Iterator[threading.Event]:
    """An event that signals to end set, for the block, in place of what else they do."""
    event = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    # Whoever else listens to signals (`psol_ray.cli.interrupts`) would end the process after seconds.
    wakeup = signal.set_wakeup_fd(-1)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in handlers.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, tell)
        yield event
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # else it was installed by other means than Python's
                signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
