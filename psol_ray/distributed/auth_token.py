"""The token that a cluster may want: that of a Ray of this process's own, and whether it is the lack of one that keeps
this process out."""

import os
import secrets
from contextlib import suppress

__all__ = ["drop_own", "is_refused", "make_own", "wants_token"]

_ANSWER_SECONDS = 5.0
_TOKEN, _MODE = "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"
# Variables that are in this process's environment for its own Ray alone.
_own: set[str] = set()


def make_own() -> None:
    """Make up a token for a Ray that is about to be started, where nobody has set one.

    Else Ray leaves one in ~/.ray, and clusters that this account starts from then on want it from everybody.
    """
    if _MODE not in os.environ:  # Ray sets it as it starts
        _own.add(_MODE)
    if not {_TOKEN, "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        _own.add(_TOKEN)
        os.environ[_TOKEN] = secrets.token_hex(32)
        _forget_read()


def drop_own() -> None:
    """Forget what was made up for it: the next cluster of this process may have another token, or want none."""
    for name in _own:
        os.environ.pop(name, None)
    _own.clear()
    _forget_read()


def _forget_read() -> None:
    """Have Ray look again: it keeps what it has read of an earlier cluster's, and would not get into the next."""
    with suppress(ImportError, AttributeError):  # they are private
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")  # reads the mode
        AuthenticationTokenLoader.instance().reset_cache()


def wants_token(error: BaseException) -> bool:
    """Whether Ray failed for want of a token, or of the right one."""
    # InvalidAuthToken is what a head answers.
    says_so = any("AuthToken" in repr(said) for said in (error, error.__cause__))
    return says_so or type(error).__name__ == "AuthenticationError"


def is_refused(address: str) -> bool:
    """Whether the head at HOST:PORT refuses this process for its token; False where that cannot be known.

    `ray.init` would ask for 20 s, and print a warning each second that no setting of its log silences.
    """
    try:
        # Late, because they are private: without them Ray itself finds out.
        from ray._private.grpc_utils import init_grpc_channel
        from ray.core.generated.gcs_service_pb2 import GetClusterIdRequest  # type: ignore[attr-defined]
        from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

        with init_grpc_channel(address) as channel:
            NodeInfoGcsServiceStub(channel).GetClusterId(GetClusterIdRequest(), timeout=_ANSWER_SECONDS)
    except Exception as error:  # gRPC's, or Ray's where there is to be a token, and is none
        return wants_token(error)
    return False
