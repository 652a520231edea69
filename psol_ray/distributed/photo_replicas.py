"""Photos on replicas of Ray Serve; what a replica had that died is sent to another.

HTTP stays in this process. Ray Serve's own proxy answers 500 for what a dying ingress had, and holds all of an upload
that is refused (`MessageQueue` has no bounds).
"""

import asyncio
import logging
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException
from ray.serve.schema import LoggingConfig

from psol_ray.distributed.cluster import check_nodes
from psol_ray.distributed.connection import connect, disconnect, is_started_here
from psol_ray.distributed.failures import cause_of, is_actor_gone
from psol_ray.distributed.photo_replica import PhotoReplica
from psol_ray.distributed.ray_init import keep_handlers
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Node, divide_cpus, divide_gpus
from psol_ray.errors import UserError
from psol_ray.log import say
from psol_ray.serving.backend import Answered
from psol_ray.serving.photos import EXPECTED
from psol_ray.serving.refusal import Refusal
from psol_ray.serving.settings import ServeConfig
from psol_ray.serving.turns import Turns
from psol_ray.serving.worker import PhotoWorker
from psol_ray.work.jobs import Resources

__all__ = ["RayPhotos", "divide"]

_DEPLOYMENT = "photos"
_MOST_DEATHS = 3
_STATUS_SECONDS = 2.0
_USER_ERROR = re.compile(r"psol_ray\.errors\.UserError: (.+)")


class RayPhotos:
    """A `Backend` on a Ray cluster, or on this machine's own Ray."""

    def __init__(
        self, make_worker: Callable[[Resources], PhotoWorker], config: ServeConfig, cluster: ClusterConfig
    ) -> None:
        """Start replicas, and wait until they can answer.

        Raises:
            UserError: there is no Ray, no room, or there are no such networks.
        """
        connect(cluster)
        num_replicas, resources, share = divide(check_nodes(), config.replicas)
        say(
            f"Starting {num_replicas} replicas of {resources.num_cpus} CPUs ..."
            if num_replicas > 1
            else "Loading the networks ..."
        )
        # Of several servers on a cluster each has its own; one that is started again takes the place of its own.
        self._name = f"psol-{socket.gethostname()}-{config.port}"
        deployment: Any = serve.deployment(
            PhotoReplica,
            name=_DEPLOYMENT,
            num_replicas=num_replicas,
            # One batch for the network, and one that is being decoded meanwhile.
            max_ongoing_requests=2 * config.batch_size,
            ray_actor_options=share,
            health_check_period_s=1,
            health_check_timeout_s=30,
            graceful_shutdown_timeout_s=1,
            # Networks that cannot be loaded cannot be loaded again.
            max_constructor_retry_count=1,
        )
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        application = deployment.bind(make_worker, resources, config.batch_size, config.batch_wait_ms)
        try:
            self._handle = self._start(application)
            self.info: Mapping[str, Any] = self._handle.info.remote().result()
        except BaseException as error:
            # Also of Ctrl-C: on a cluster that was joined, replicas would stay.
            reason = self._fault() or str(error) if isinstance(error, RuntimeError) else None
            self.close()
            if reason is not None:
                raise UserError(_explain(reason)) from None
            raise
        self._turns, self._looking = Turns(num_replicas * 2 * config.batch_size), threading.Lock()
        self._dead: set[str] = set()
        self._replicas, self._looked_at = num_replicas, time.monotonic()

    def _start(self, application: Any) -> Any:
        with keep_handlers():
            serve.start(
                proxy_location="Disabled", logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False)
            )
            _keep_quiet()
            return serve.run(application, name=self._name, route_prefix=None)

    async def predict(self, data: bytes) -> Answered:
        """See `Backend.predict`."""
        for deaths in range(_MOST_DEATHS):
            async with self._turns.taken(again=deaths > 0):
                # One under which a replica died is in no batch, so that it is told apart from its neighbours there.
                response = self._handle.predict.remote(data, alone=deaths > 0)
                try:
                    found, batch = await response
                    return Answered(found, batch, deaths)
                except asyncio.CancelledError:
                    response.cancel()
                    raise
                except DeploymentUnavailableError:
                    reason = "no replica can answer, and none can be started; see the server's log"
                    return Answered(Refusal(503, reason), 0, deaths)
                except RayError as error:
                    if not is_actor_gone(error):
                        raise
                    self._tell(error)
        refusal = Refusal(422, f"found a photo under which {_MOST_DEATHS} replicas have died, {EXPECTED}; send another")
        return Answered(refusal, 0, _MOST_DEATHS - 1)

    def _tell(self, error: RayError) -> None:
        """Once of each replica, and not of each photo that it had."""
        if str(error) not in self._dead:  # which names the actor
            self._dead.add(str(error))
            say(f"a replica died, another takes its place: {cause_of(error)}")

    def replicas(self) -> int:
        """See `Backend.replicas`."""
        # Ray waits for its controller without end: then one thread does, and not each that is asked.
        if not self._looking.acquire(timeout=_STATUS_SECONDS):
            raise TimeoutError
        try:
            if time.monotonic() - self._looked_at > _STATUS_SECONDS:
                application = serve.status().applications.get(self._name)
                states = application.deployments[_DEPLOYMENT].replica_states if application else {}
                self._replicas = sum(number for state, number in states.items() if state == "RUNNING")
                self._looked_at = time.monotonic()
            return self._replicas
        except (RayError, RayServeException):
            return 0
        finally:
            self._looking.release()

    def _fault(self) -> str:
        """What Ray Serve knows of replicas that did not start, their traceback included."""
        application = serve.status().applications.get(self._name)
        return application.deployments[_DEPLOYMENT].message if application else ""

    def close(self) -> None:
        """End the replicas, of a cluster that was joined, too, and leave it."""
        if not is_started_here():
            with suppress(Exception):  # whatever is left of Ray
                serve.delete(self._name)
        disconnect()


def divide(nodes: list[Node], wanted: int | None) -> tuple[int, Resources, dict[str, float]]:
    """How many replicas there are, what each one has, and what Ray keeps for it.

    All are alike, because Ray Serve's are. Of more replicas than GPUs several share one.

    Raises:
        UserError: there is no room for so many.
    """
    num_gpus = sum(min(node.num_gpus, node.num_cpus) for node in nodes)
    num_replicas = wanted or num_gpus or len(nodes)
    per_gpu = -(-num_replicas // num_gpus) if num_gpus else 0
    if num_gpus:
        # As many nodes as if each replica had a GPU of its own.
        nodes = [replace(node, num_cpus=node.num_cpus // per_gpu) for node in nodes if node.num_gpus]
        shares = divide_gpus([node for node in nodes if node.num_cpus])
    else:
        shares = divide_cpus(nodes, num_replicas)
    room = sum(share.num_workers for share in shares) * max(per_gpu, 1)
    if num_replicas > room:
        raise UserError(
            f"serve.replicas: found {num_replicas}, and there are CPUs for {room}, one for each; ask for fewer"
        )
    resources = min((share.resources for share in shares), key=lambda each: each.num_cpus)
    kept = {"num_cpus": resources.num_cpus, "num_gpus": math.floor(1e4 / per_gpu) / 1e4 if per_gpu else 0}
    return num_replicas, resources, kept


def _keep_quiet() -> None:
    """What Ray Serve's router has to say of a replica that died is told here, once."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], RayActorError))
    )


def _explain(reason: str) -> str:
    """Why replicas did not start: what their networks lack, or the last line of what Ray Serve knows."""
    if sentence := _USER_ERROR.search(reason):
        return sentence[1].strip()
    lines = [line.strip() for line in reason.splitlines() if line.strip()] or ["of an unknown cause"]
    return f"the replicas did not start ({lines[-1][:300]}); see their logs in /tmp/ray/session_latest/logs/serve"
