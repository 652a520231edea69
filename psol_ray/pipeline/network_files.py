"""Trained networks that a setting names, or that lie in this run."""

from safetensors import SafetensorError

from psol_ray.errors import UserError
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork

__all__ = ["open_network"]


def open_network(where: str, data: bytes, expected: str) -> tuple[SavedNetwork, PsolNetwork]:
    """The network of a file, on the CPU.

    Args:
        where: setting and path, or path alone, for messages.
        data: the file.
        expected: what kind of file it should be, for messages.

    Raises:
        UserError: the file is another program's, or is cut short.
    """
    try:
        return SavedNetwork.from_bytes(data)
    except UserError as error:
        raise UserError(f"{where}: {error}; give another file") from None
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}: found a file that is not whole ({reason}), {expected}; copy it again, or train anew"
        ) from None
