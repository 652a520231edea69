"""`psol serve`: a server that finds boxes in photos."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from psol_ray.errors import UserError
from psol_ray.log import say
from psol_ray.pipeline.context import IN_PROCESS, Context
from psol_ray.storage.addresses import is_uri
from psol_ray.tables.files import absolute

if TYPE_CHECKING:
    from psol_ray.serving.backend import Backend
    from psol_ray.serving.settings import ServeConfig
    from psol_ray.serving.worker import PhotoWorkerFactory

__all__ = ["serve"]

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(context: Context, model: str) -> None:
    """Serve until Ctrl-C.

    Args:
        context: its settings `serve` and `cluster`.
        model: a run directory, or a model.safetensors that says boxes.

    Raises:
        UserError: there is no such network, or the port is taken, or the server is not installed.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError(f"found no {', '.join(missing)}, which the server needs; run `pip install 'psol-ray[serve]'`")
    # Late: whoever only asks for help needs none of it.
    from psol_ray.serving.app import make_app
    from psol_ray.serving.listen import bind, listen
    from psol_ray.serving.worker import PhotoWorkerFactory

    config = context.config.serve
    with bind(config.host, config.port) as bound:
        config = replace(config, port=bound.getsockname()[1])  # where 0 meant any
        classifier = config.classifier and _place(config.classifier)
        make_worker = PhotoWorkerFactory(_place(model), classifier, config.max_megapixels * 10**6)
        with _backend(context, config, make_worker) as backend:
            _tell(context, backend.info, *bound.getsockname()[:2])
            listen(make_app(backend, config), bound)
    say("ended")


def _place(path: str) -> str:
    """Absolute, because replicas need not share this process's working directory."""
    return path if is_uri(path) else absolute(path)


@contextmanager
def _backend(context: Context, config: "ServeConfig", make_worker: "PhotoWorkerFactory") -> Iterator["Backend"]:
    if context.config.cluster.address == IN_PROCESS:
        from psol_ray.in_process import whole_machine
        from psol_ray.serving.in_process import InProcessPhotos

        yield InProcessPhotos(make_worker, whole_machine())
        return
    # Late: Ray takes seconds to import.
    from psol_ray.distributed.photo_replicas import RayPhotos

    photos = RayPhotos(make_worker, config, context.config.cluster)
    try:
        yield photos
    finally:
        photos.close()


def _tell(context: Context, info: Mapping[str, Any], host: str, port: int) -> None:
    classes = f"; {info['num_classes']:,} classes" if info["num_classes"] else ""
    context.console.print(f"{info['backbone']} on {info['device']}{classes}", soft_wrap=True, markup=False)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    context.console.print(f"serving on {url} (Ctrl-C ends it)", soft_wrap=True, markup=False, highlight=False)
