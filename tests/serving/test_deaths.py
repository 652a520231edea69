"""Replicas die while they have photos, and every client has its answer."""

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from serving.fragile import DEADLY, SLOW
from serving.servers import Server, picture, serving
from serving.test_uploads import BAD


async def _send(
    server: Server, number: int, clients: int, photo: bytes, *, kill_after: float | None = None
) -> Counter[int]:
    """How often each status came; one replica is killed meanwhile."""
    statuses: Counter[int] = Counter()
    left = iter(range(number))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client() -> None:
            for _ in left:
                async with session.post(f"http://127.0.0.1:{server.port}/predict", data=photo) as response:
                    statuses[response.status] += 1
                    await response.read()

        async def kill() -> None:
            if kill_after is not None:
                await asyncio.sleep(kill_after)
                os.kill(server.replicas()[0], signal.SIGKILL)

        await asyncio.gather(kill(), *(client() for _ in range(clients)))
    return statuses


@pytest.mark.slow
def test_replicas_refuse_what_is_no_photo_as_one_process_does(on_ray: Server) -> None:
    for data, status, sentence in BAD.values():
        found, answer = on_ray.predict(data)
        assert found == status
        assert sentence in answer["error"]
    assert on_ray.predict(picture())[0] == 200
    assert on_ray.metric("psol_serve_retries_total") == 0


def _wait_for_replicas(server: Server, number: int) -> None:
    deadline = time.monotonic() + 120
    while server.request("GET", "/readyz")[1].get("replicas") != number:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.5)


@pytest.mark.slow
def test_what_a_killed_replica_had_is_answered_by_another(on_ray: Server) -> None:
    _wait_for_replicas(on_ray, 2)
    before = on_ray.replicas()
    # Each batch takes half a second, so that both replicas have some when one of them is killed.
    assert asyncio.run(_send(on_ray, 64, 64, picture(color=SLOW, kind="PNG"), kill_after=1)) == {200: 64}
    assert on_ray.metric("psol_serve_retries_total") > 0
    _wait_for_replicas(on_ray, 2)
    assert len(set(on_ray.replicas()) & set(before)) == 1


@pytest.mark.slow
def test_photos_wait_for_a_new_replica_where_all_are_killed(on_ray: Server) -> None:
    _wait_for_replicas(on_ray, 2)
    for process in on_ray.replicas():
        os.kill(process, signal.SIGKILL)
    assert asyncio.run(_send(on_ray, 16, 16, picture())) == {200: 16}


@pytest.mark.slow
def test_a_photo_that_kills_is_refused_and_its_neighbours_are_not(on_ray: Server) -> None:
    _wait_for_replicas(on_ray, 2)

    async def send_all() -> tuple[Counter[int], Counter[int]]:
        slow, deadly = picture(color=SLOW, kind="PNG"), picture(color=DEADLY, kind="PNG")
        return await asyncio.gather(_send(on_ray, 16, 16, slow), _send(on_ray, 1, 1, deadly))

    neighbours, killer = asyncio.run(send_all())
    assert neighbours == {200: 16}
    assert killer == {422: 1}
    assert "a replica died" in on_ray.log.read_text()
    assert "Traceback" not in on_ray.log.read_text()


@pytest.mark.slow
def test_what_has_come_in_is_answered_before_the_end(network: Path, tmp_path: Path) -> None:
    from s3 import free_port

    fragile = Path(__file__).with_name("fragile.py")
    with serving(tmp_path, free_port(), str(network), "--cluster.address", "in-process", script=fragile) as server:

        async def end_meanwhile() -> Counter[int]:
            sent = asyncio.create_task(_send(server, 4, 4, picture(color=SLOW, kind="PNG")))
            await asyncio.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            return await sent

        assert asyncio.run(end_meanwhile()) == {200: 4}
        assert server.process.wait(20) == 0
        assert "requests that have come in are answered first" in server.log.read_text()
