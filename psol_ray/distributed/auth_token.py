"""The token that a cluster may want: whether it is the lack of one that keeps this process out."""

__all__ = ["is_refused", "wants_token"]

_ANSWER_SECONDS = 5.0


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
