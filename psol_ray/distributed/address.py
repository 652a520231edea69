"""Which cluster is meant, and whether it can be one: known before any work, and without Ray, which takes seconds."""

import os
from dataclasses import dataclass

from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError

__all__ = ["Address", "find_address"]


@dataclass(frozen=True)
class Address:
    """What is given, and by which setting or variable."""

    value: str
    setting: str

    @property
    def is_head(self) -> bool:
        """Whether it is the HOST:PORT of a head, and neither a word nor that of a client server."""
        return ":" in self.value and "://" not in self.value

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Of one that names them."""
        host, _, port = self.value.rpartition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)


def find_address(config: ClusterConfig) -> Address:
    """`config.address`, else RAY_ADDRESS, where a submitted job finds its own cluster, else `local`.

    Raises:
        UserError: it is none that Ray, or we, could mean.
    """
    setting = "cluster.address" if config.address else "RAY_ADDRESS"
    value = config.address or os.environ.get("RAY_ADDRESS") or "local"
    scheme, _, rest = value.rpartition("://")
    host, _, port = rest.rpartition(":")
    is_host = scheme in ("", "ray") and host and port.isascii() and port.isdecimal() and int(port) <= 65535
    if not (is_host or value in ("auto", "local") or (config.address and value == "in-process")):
        raise UserError(
            f"{setting}: found {value!r}, expected HOST:PORT of the cluster's head (6379 is Ray's port),"
            " ray://HOST:PORT of its client server, auto for the cluster this machine belongs to, local for none but"
            " this machine, or, as cluster.address, in-process for no cluster at all"
        )
    return Address(value, setting)
