"""What Prometheus can read of the server. It counts where requests come in: nothing is lost with a replica."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["ServerMetrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """Those of one server."""

    def __init__(self) -> None:
        self._registry = to = CollectorRegistry()
        self.requests = Counter("psol_serve_requests", "Requests for boxes, by HTTP status", ("status",), registry=to)
        self.photos = Counter("psol_serve_photos", "Photos, by outcome: found or refused", ("outcome",), registry=to)
        self.retries = Counter("psol_serve_retries", "Times a photo was sent again as a replica died", registry=to)
        self.seconds = Histogram(
            "psol_serve_request_seconds", "From a request's headers to its answer", buckets=_SECONDS, registry=to
        )
        self.batches = Histogram(
            "psol_serve_batch_photos", "Photos in the batch that a photo was in", buckets=_BATCHES, registry=to
        )
        self.waiting = Gauge("psol_serve_waiting_requests", "Requests that have no answer yet", registry=to)
        self.bytes = Gauge("psol_serve_waiting_bytes", "Bytes of these, as they said", registry=to)
        self.replicas = Gauge("psol_serve_replicas", "Processes that can answer", registry=to)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
