"""A headless Chromium, spoken to by its own protocol."""

import asyncio
import base64
import itertools
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp


class Page:
    """A page of it; `problems` are errors and what else its console was told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.problems: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await asyncio.wait_for(self._socket.receive(), 60)).data)
            if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.problems.append(json.dumps(message["params"])[:500])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def evaluate(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, expression: str) -> Any:
        for _ in range(600):
            if value := await self.evaluate(expression):
                return value
            await asyncio.sleep(0.1)
        raise AssertionError(f"never true: {expression}")

    async def choose(self, selector: str, *files: Path) -> None:
        document = await self.call("DOM.getDocument")
        node = await self.call("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self.call("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(file) for file in files])

    async def picture(self) -> bytes:
        result = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(result["data"])


@asynccontextmanager
async def opened(program: str, url: str, folder: Path, *, width: int, height: int, phone: bool) -> AsyncIterator[Page]:
    """A page of this size."""
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            if found := re.search(r"DevTools listening on ws://([^/]+)/", log.read_text(errors="replace")):
                break
            await asyncio.sleep(0.1)
        assert found, log.read_text(errors="replace")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{found[1]}/json") as response:
                address = next(each for each in await response.json() if each["type"] == "page")["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await page.call(f"{domain}.enable")
                metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
                await page.call("Emulation.setDeviceMetricsOverride", **metrics)
                await page.call("Page.navigate", url=url)
                await page.wait_for(f"document.readyState === 'complete' && location.href === {url!r}")
                yield page
    finally:
        process.terminate()
        process.wait(30)
