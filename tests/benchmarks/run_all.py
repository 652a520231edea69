"""Runs every benchmark and experiment on a few images in one process, which has imported everything once.

Arguments: a folder, and the one with the shared data, without which what needs real photographs is left out.
"""

import sys
import time
from importlib import import_module
from pathlib import Path

import safetensors.torch

from psol_ray.demo.dataset import make_demo
from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_state


def main(folder: Path, shared: str = "") -> None:
    images, weights = str(folder / "images"), str(folder / "vgg16.safetensors")
    make_demo(images, num_train=5, num_val=1)
    safetensors.torch.save_file(load_state(find_backbone("vgg16"), "random", for_features=True), weights)
    data = ("--images", images, "--layout", "folder")

    def run(name: str, *arguments: str) -> None:
        call(name, "--smoke", "--out", str(folder / f"{name}.json"), *arguments)

    run("ddt_heat")
    run("evaluation")
    run("timm_families")
    if shared:
        run("sign_rules", "--data", f"{shared}/data", "--weights", f"{shared}/weights/vgg16_features.safetensors")
    run("odd_files", *data, "--input-size", "64")
    run("storage", *data, "--input-size", "64")
    run("imagenet_size", *data, "--folder", str(folder / "imagenet_size"))
    run("formats", "--folder", str(folder / "formats"))
    run("labels", *data)
    run("ddt_memory", *data)
    run("ddt_fidelity", *data, "--weights", weights)
    run("train_throughput", *data)
    run("ddt_throughput", *data, "--weights", weights, "--input-size", "64")
    run("engine_limit")
    run("serving", *data, "--backbone", "test_efficientnet", "--input-size", "64")
    run("ddt_scaling", "--measured", str(folder / "ddt_throughput.json"))
    for name in ("ddt_throughput", "ddt_scaling", "ddt_memory"):
        call("plots", str(folder / f"{name}.json"), "--out", str(folder / f"{name}.svg"))


def call(name: str, *arguments: str) -> None:
    started = time.perf_counter()
    module = import_module(name)
    sys.argv = [str(module.__file__), *arguments]
    module.main()
    print(f"{name} took {time.perf_counter() - started:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
