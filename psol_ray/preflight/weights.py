"""The weights that a run begins with, which only the driver reads: their hash, or whether a download can be had."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from psol_ray.errors import UserError, first_line
from psol_ray.models.lookup import backbone_of
from psol_ray.models.weights_id import identify_weights
from psol_ray.preflight.findings import Finding

__all__ = ["check_weights"]

_ANSWER_SECONDS = 5.0


def check_weights(settings: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Args: `settings` holds backbone and weights of each section that has some, `boxes` say."""
    for section, (backbone, weights) in settings.items():
        name = f"weights, {section}"
        try:
            if weights == "default":
                yield _check_download(name, section, backbone)
            else:
                known = identify_weights(weights)
                yield Finding(name, known if known.startswith(weights) else f"{Path(weights).name} ({known})")
        except UserError as error:
            yield Finding(name, "none", "broken", f"{section}: {error}")


def _check_download(name: str, section: str, backbone: str) -> Finding:
    file, url = _place_of_default(section, backbone)
    if file is not None:
        return Finding(name, f"default, {file.name} is there")
    if url is None:
        return Finding(name, "default, a download", "odd", f"the weights of {backbone!r} are not there yet")
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        remedy = (
            f"the weights of {backbone!r} are not on this machine, and {url} does not answer"
            f" ({first_line(error, 80)}); download it elsewhere, and give the file as {section}.weights"
        )
        return Finding(name, "default, cannot be had", "broken", remedy)
    remedy = f"the weights of {backbone!r} are downloaded once the run wants them, from {url}"
    return Finding(name, "default, a download", "odd", remedy)


def _place_of_default(section: str, name: str) -> tuple[Path | None, str | None]:
    """The file of the published weights, if it is on this machine, and where it is downloaded from."""
    # Late: they take seconds to import.
    from psol_ray.models.libraries import load_timm, load_torchvision

    backbone = backbone_of(section, name)
    if backbone.torchvision_name is not None:
        weights = load_torchvision().models.get_model_weights(backbone.torchvision_name)["IMAGENET1K_V1"]
        # As torch.hub has it, which is told apart by the variables that it reads.
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
        file = Path(home, "hub", "checkpoints", weights.url.rpartition("/")[2])
        return (file if file.is_file() else None), weights.url
    config = load_timm().get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return None, getattr(config, "url", None) or None
    from huggingface_hub import hf_hub_url, try_to_load_from_cache

    for stored in ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(config.hf_hub_id, stored)
        if isinstance(found, str):
            return Path(found), None
    return None, hf_hub_url(config.hf_hub_id, "model.safetensors")
