"""Who goes to a replica next."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from psol_ray.serving.turns import Turns


def run(scenario: Callable[[Turns, list[str]], Coroutine[Any, Any, None]], places: int = 1) -> list[str]:
    """The names in the order in which they had their turn."""
    order: list[str] = []
    asyncio.run(scenario(Turns(places), order))
    return order


async def take(turns: Turns, order: list[str], name: str, again: bool = False) -> None:
    async with turns.taken(again=again):
        order.append(name)
        await asyncio.sleep(0.01)


def test_what_is_sent_again_overtakes() -> None:
    async def scenario(turns: Turns, order: list[str]) -> None:
        await asyncio.gather(
            *(take(turns, order, name, again=name == "again") for name in ("first", "second", "third", "again"))
        )

    assert run(scenario) == ["first", "again", "second", "third"]


def test_no_two_are_sent_again_at_once() -> None:
    most = 0

    async def scenario(turns: Turns, _order: list[str]) -> None:
        now = 0

        async def again() -> None:
            nonlocal now, most
            async with turns.taken(again=True):
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.001)
                now -= 1

        await asyncio.gather(*(again() for _ in range(5)))

    run(scenario, places=4)
    assert most == 1


def test_who_gives_up_takes_no_place_along() -> None:
    async def scenario(turns: Turns, order: list[str]) -> None:
        tasks = [asyncio.create_task(take(turns, order, str(number))) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await take(turns, order, "last")

    assert run(scenario) == ["0", "2", "3", "last"]


def test_who_gives_up_as_the_place_comes_hands_it_on() -> None:
    async def scenario(turns: Turns, order: list[str]) -> None:
        async with turns.taken(again=False):
            waiting = asyncio.create_task(take(turns, order, "gone"))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(take(turns, order, "next"), 1)

    assert run(scenario) == ["next"]
