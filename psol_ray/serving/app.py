"""The server's HTTP side: photos in, boxes out."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from psol_ray import __version__
from psol_ray.serving.backend import Answered, Backend
from psol_ray.serving.metrics import ServerMetrics
from psol_ray.serving.photos import open_photo
from psol_ray.serving.refusal import Refusal
from psol_ray.serving.schemas import ERRORS, REQUEST, Answer, Failure, State
from psol_ray.serving.settings import ServeConfig
from psol_ray.serving.uploads import Room, Upload, read_uploads, size_of

__all__ = ["make_app"]

_PATHS = "/, /predict, /healthz, /readyz, /metrics and /openapi.json"
# Of the networks: not where they lie.
_TOLD = ("backbone", "input_size", "num_classes", "device")
# The page is one file that loads nothing but what the user drops on it.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; connect-src 'self'"
)


def make_app(backend: Backend, config: ServeConfig) -> FastAPI:
    """The application around networks, wherever these are."""
    # Its own pages of documentation load scripts from elsewhere.
    app = FastAPI(
        title="psol serve",
        version=__version__,
        description="Finds the one main object of a photo: its box, and its class where a classifier is loaded.",
        docs_url=None,
        redoc_url=None,
    )
    server = _Server(backend, config)
    app.post("/predict", response_model=Answer, responses=ERRORS, openapi_extra=REQUEST)(server.predict)
    app.get("/healthz", summary="Whether this process answers")(server.healthz)
    app.get("/readyz", response_model=State, responses={503: {"model": Failure}})(server.readyz)
    app.get("/metrics", summary="For Prometheus", response_class=Response)(server.read_metrics)
    app.get("/", include_in_schema=False)(server.page)
    app.exception_handler(HTTPException)(_refuse_path)
    app.exception_handler(Exception)(_own_mistake)
    return app


class _Server:
    def __init__(self, backend: Backend, config: ServeConfig) -> None:
        self._backend, self._config = backend, config
        self._metrics, self._room = ServerMetrics(), Room()
        self._page = files("psol_ray.serving").joinpath("page.html").read_text(encoding="utf-8")

    async def predict(self, request: Request) -> Response:
        """The box of a photo: send it as the body, or several in a form."""
        started = time.perf_counter()
        with self._counted() as count:
            try:
                with self._room.taken(min(size_of(request, self._most_bytes), self._most_bytes)):
                    self._look()
                    photos = await self._answer(request)
            except Refusal as refusal:
                count(refusal.status)
                return _failure(refusal)
            finally:
                self._look()
            status = next((status for status, _ in photos if status == 200), photos[0][0])
            count(status)
            if status != 200:
                return _failure(Refusal(status, photos[0][1]["error"]))
            milliseconds = round(1000 * (time.perf_counter() - started), 1)
            return JSONResponse({"photos": [photo for _, photo in photos], "milliseconds": milliseconds})

    @property
    def _most_bytes(self) -> int:
        return self._config.max_mb * 10**6

    def _look(self) -> None:
        self._metrics.waiting.set(self._room.requests)
        self._metrics.bytes.set(self._room.bytes)

    @contextmanager
    def _counted(self) -> Iterator[Any]:
        status = 500
        started = time.perf_counter()

        def count(found: int) -> None:
            nonlocal status
            status = found

        try:
            yield count
        finally:
            self._metrics.requests.labels(status).inc()
            self._metrics.seconds.observe(time.perf_counter() - started)

    async def _answer(self, request: Request) -> list[tuple[int, dict[str, Any]]]:
        """Of each photo its status and what is told of it."""
        uploads = await read_uploads(request, self._most_bytes, self._config.max_seconds)
        try:
            async with asyncio.timeout(self._config.max_seconds):
                return await asyncio.gather(*map(self._locate, uploads))
        except TimeoutError:
            raise Refusal(503, f"no answer came within {self._config.max_seconds} s; try again later") from None

    async def _locate(self, upload: Upload) -> tuple[int, dict[str, Any]]:
        answered = await self._ask(upload.data)
        self._metrics.retries.inc(answered.retries)
        found = answered.found
        if isinstance(found, Refusal):
            self._metrics.photos.labels("refused").inc()
            return found.status, {"name": upload.name, "error": found.sentence}
        self._metrics.photos.labels("found").inc()
        self._metrics.batches.observe(answered.batch)
        return 200, {"name": upload.name, **found}

    async def _ask(self, data: bytes) -> Answered:
        try:
            # In a thread: a header may hold megabytes of text.
            await asyncio.to_thread(open_photo, data, self._config.max_megapixels * 10**6)
        except Refusal as refusal:
            return Answered(refusal)
        return await self._backend.predict(data)

    async def healthz(self) -> dict[str, str]:
        """It does; whether it can predict is `/readyz`'s."""
        return {"status": "ok"}

    async def readyz(self) -> Response:
        """Whether photos are answered now."""
        replicas = await self._count_replicas()
        if not replicas:
            return _failure(Refusal(503, "no replica can answer now; a new one is being started"))
        return JSONResponse({"replicas": replicas, "network": {name: self._backend.info[name] for name in _TOLD}})

    async def read_metrics(self) -> Response:
        """See docs/serving.md."""
        await self._count_replicas()
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _count_replicas(self) -> int:
        replicas = 0
        with suppress(TimeoutError):
            replicas = await asyncio.to_thread(self._backend.replicas)
        self._metrics.replicas.set(replicas)
        return replicas

    async def page(self) -> HTMLResponse:
        """The page on which a photo is dropped."""
        return HTMLResponse(self._page, headers={"content-security-policy": _PAGE_POLICY})


def _failure(refusal: Refusal) -> JSONResponse:
    headers = {"retry-after": "1"} if refusal.status == 503 else {}
    return JSONResponse({"error": refusal.sentence}, refusal.status, headers)


async def _refuse_path(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another")
        sentence = f"found {request.method} for {request.url.path[:100]}, expected {allowed}"
    elif error.status_code == 404:
        sentence = f"found no {request.url.path[:100]}, expected one of {_PATHS}"
    else:
        sentence = str(error.detail)
    return JSONResponse({"error": sentence}, error.status_code, dict(error.headers or {}))


async def _own_mistake(_request: Request, error: Exception) -> JSONResponse:
    # Its traceback is on this process's stderr.
    return JSONResponse({"error": f"the server made a mistake ({type(error).__name__}); its log says more"}, 500)
