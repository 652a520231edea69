"""Try every family of timm: DDT's features, a step of training, class maps, on the smallest network of each.

    python experiments/timm_families/timm_families.py --out FILE.json --docs docs/backbones.md

Weights are random: what is tried is whether a network can be built, cut, run, saved and read.
"""

import argparse
import json
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from result import Json, write_result

from psol_ray.errors import UserError
from psol_ray.generators.class_maps.maps import ActivationMaps
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.libraries import load_timm
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.trial import check_map, check_training
from psol_ray.models.weights import load_state

DDT_SIZE, TRAINING_SIZE = 448, 224
SECONDS, GIGABYTES = 900, 12
MARK = "<!-- families -->"


def main() -> None:
    """Try, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--docs", help="Markdown file whose table is to be replaced")
    parser.add_argument("--family", help="try this one alone, in this process, and print it as JSON")
    parser.add_argument("--again", nargs="+", default=[], help="try these anew, and keep what --out has of the others")
    parser.add_argument("--smoke", action="store_true", help="one family instead of all, in this process")
    arguments = parser.parse_args()
    if arguments.family:
        resource.setrlimit(resource.RLIMIT_DATA, (GIGABYTES * 10**9,) * 2)
        print(json.dumps(_try_family(arguments.family)))
        return
    families = ["visformer"] if arguments.smoke else load_timm().list_modules()
    try_one = _in_this_process if arguments.smoke else _in_own_process
    kept = json.loads(Path(arguments.out).read_text())["metrics"]["families"] if arguments.again else []
    rows = [row for row in kept if row["family"] not in arguments.again]
    rows += [try_one(family) for family in arguments.again or families]
    rows.sort(key=lambda row: row["family"])
    if arguments.out:
        params = {"benchmark": "timm_families", "timm": load_timm().__version__, "smoke": arguments.smoke}
        write_result(arguments.out, params, {"families": rows})
    if arguments.docs:
        path = Path(arguments.docs)
        before, _, rest = path.read_text().partition(MARK)
        path.write_text(before + MARK + "\n\n" + table(rows) + "\n" + MARK + rest.partition(MARK)[2])
    print(table(rows))


def _in_own_process(family: str) -> Json:
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--family", family], capture_output=True, text=True, timeout=SECONDS
        )
        told = [f"ended with {done.returncode}", *done.stderr.strip().splitlines()]
        row = {"failed": told[-1]} if done.returncode else json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        row = {"failed": f"more than {SECONDS} seconds"}
    row = {"family": family, **row, "seconds": round(time.monotonic() - started)}
    print(json.dumps(row), flush=True)
    return row


def _in_this_process(family: str) -> Json:
    return {"family": family, **_try_family(family)}


def _try_family(family: str) -> Json:
    name, num_parameters = _smallest(family)
    backbone = find_backbone(name)
    return {
        "model": name,
        "parameters": num_parameters,
        "ddt": _works(lambda size: check_map("boxes", name, size), lambda size: _map(name, size), DDT_SIZE),
        "training": _works(
            lambda size: check_training("classifier", _network(name, size)),
            lambda size: _train(name, size),
            min(TRAINING_SIZE, backbone.input_size),
        ),
    }


def _smallest(family: str) -> tuple[str, int]:
    """The network of the fewest parameters, but for those that timm has for its own tests."""
    sizes = {}
    for name in load_timm().list_models(module=family):
        if not name.startswith("test_"):
            with torch.device("meta"):
                sizes[name] = sum(parameter.numel() for parameter in load_timm().create_model(name).parameters())
    name = min(sizes, key=lambda name: sizes[name])
    return name, sizes[name]


def _works(check: Callable[[int], None], run: Callable[[int], Json], size: int) -> Json:
    """What came of it at this size, or at the one that its refusal says fits."""
    try:
        check(size)
        return {"size": size, **run(size)}
    except UserError as refusal:
        fitting = str(refusal).rpartition("input_size ")[2]
        if not fitting.isdecimal():
            return {"refused": str(refusal)}
        check(int(fitting))
        return {"size": int(fitting), "only": True, **run(int(fitting))}


def _images(size: int) -> torch.Tensor:
    noise = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    return F.interpolate(noise, (size, size), mode="bilinear").permute(0, 2, 3, 1).to(torch.uint8)


@torch.inference_mode()
def _map(name: str, size: int) -> Json:
    backbone = find_backbone(name)
    map_Nhwc = FeatureExtractor(backbone, load_state(backbone, "random", for_features=True))(_images(size))
    assert map_Nhwc.isfinite().all()
    assert map_Nhwc.shape[0] == 2
    return {"map": list(map_Nhwc.shape[1:])}


def _network(name: str, size: int) -> SavedNetwork:
    return SavedNetwork(name, size, num_boxes=1, num_classes=5)


def _train(name: str, size: int) -> Json:
    """A step, a file, a prediction from what was read of it, and class maps."""
    saved = _network(name, size)
    network = saved.build(load_state(find_backbone(name), "random", for_features=False), for_training=True).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    outputs = network(_images(size))
    assert outputs.boxes_NR4 is not None
    assert outputs.logits_NK is not None
    (outputs.boxes_NR4.square().mean() + F.cross_entropy(outputs.logits_NK, torch.tensor([0, 1]))).backward()
    idle = [key for key, parameter in network.named_parameters() if parameter.requires_grad and parameter.grad is None]
    optimizer.step()
    _, again = SavedNetwork.from_bytes(saved.to_bytes(network.eval(), {}))
    with torch.inference_mode():
        for before, after in zip(network(_images(size))[:2], again(_images(size))[:2], strict=True):
            torch.testing.assert_close(before, after)
    maps = {}
    for method in ("cam", "grad_cam"):
        try:
            ActivationMaps(saved, again, method)(_images(size), torch.tensor([0, 1]))
            maps[method] = True
        except UserError:
            maps[method] = False
    return {"parameters_without_gradient": len([key for key in idle if "AuxLogits" not in key]), **maps}


def table(rows: list[Json]) -> str:
    """The result as Markdown, with the sentences of refusals below."""
    lines = ["| family | smallest network | DDT | training | cam | grad_cam |", "| --- | --- | --- | --- | --- | --- |"]
    sentences = []
    for row in rows:
        training = row.get("training", {})
        marks = [_mark(row.get("ddt", row)), _mark(training or row)]
        marks += ["yes" if training.get(method) else "no" for method in ("cam", "grad_cam")]
        lines.append(f"| {row['family']} | {row.get('model', '')} | " + " | ".join(marks) + " |")
        found = [each["refused"] for each in (row.get("ddt", {}), training) if "refused" in each]
        sentences += [textwrap.fill(f"- {sentence}", 118, subsequent_indent="  ") for sentence in found]
    return "\n".join(lines) + "\n" + ("\n" + "\n".join(sentences) + "\n" if sentences else "")


def _mark(outcome: Json) -> str:
    if "failed" in outcome:
        return f"failed: {outcome['failed'][:60]}"
    if "refused" in outcome:
        return "no"
    return f"at {outcome['size']} alone" if outcome.get("only") else "yes"


if __name__ == "__main__":
    main()
