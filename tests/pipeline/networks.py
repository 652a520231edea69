"""Files of networks that always say the same boxes."""

from synthetic.networks import file_of

__all__ = ["file_of"]
