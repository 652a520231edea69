"""Whose photo goes to a replica next."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """So many photos are with replicas at once as these can hold; others wait here, where one may overtake.

    What is sent again because its replica died goes first, or it would wait for the crowd a second time. And one after
    the other: what killed one replica may kill the next, and shall not take its neighbours along a second time.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._again = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, *, again: bool) -> AsyncIterator[None]:
        """A place for the block, once there is one."""
        if not again:
            async with self._place(False):
                yield
            return
        async with self._again, self._place(True):
            yield

    @asynccontextmanager
    async def _place(self, first: bool) -> AsyncIterator[None]:
        if self._places and not self._waiting:
            self._places -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (not first, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # the place came just then
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # else who waited has gone
                turn.set_result(None)
                return
        self._places += 1
