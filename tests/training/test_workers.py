"""Several workers of one training, in processes of their own, against one."""

import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from synthetic.training import write_training_set
from torch.nn.parallel import DistributedDataParallel

from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.networks import PsolNetwork
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer

pytestmark = pytest.mark.xdist_group("workers")  # the fixture is dear

STEPS = 4


def train(root: str, rank: int, world_size: int, name: str, batch_size: int) -> None:
    """Four steps; leaves losses, weights, and the buffers that validation would see."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = PsolNetwork(find_backbone(name), num_boxes=1, num_classes=2)
    wrap = DistributedDataParallel if world_size > 1 else lambda network: network
    config = TrainConfig(learning_rate=0.02, epochs=2, batch_size=batch_size, ema_decay=0.5)
    trainer = Trainer(network, config, steps_per_epoch=2, wrap=wrap)
    # Each rank its own files, equal by their seed: none reads what another has half written.
    images = Path(root) / f"{world_size}-{rank}"
    images.mkdir()
    loader = TrainingLoader(
        write_training_set(images, 10),
        [PillowDecoder(32)],
        str(images),
        batch_size=batch_size,
        min_crop_area=0.5,
        seed=0,
        rank=rank,
        world_size=world_size,
        micro_batch_size=2 if world_size > 1 else None,
    )
    for batches in loader.steps_of(0, STEPS):
        trainer.step(batches)
    losses = trainer.take_losses()
    result = trainer.ready_result().state_dict()
    torch.save((losses, network.state_dict(), result), f"{root}/{world_size}-{rank}.pt")


# Name, workers, and images a step.
VIT_BY_2, VIT_BY_4, RESNET_BY_2 = ("test_vit", 2, 5), ("test_vit", 4, 5), ("test_resnet", 2, 8)
GROUPS = (VIT_BY_2, VIT_BY_4, RESNET_BY_2)


def folder_of(root: str, group: tuple[str, int, int]) -> Path:
    return Path(root) / f"{group[0]}-{group[1]}"


def train_in_groups(rank: int, root: str) -> None:
    """One process, which takes part in one training after the other: it takes seconds to start."""
    for name, world_size, batch_size in GROUPS:
        if rank >= world_size:
            continue
        folder = folder_of(root, (name, world_size, batch_size))
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)
        train(str(folder), rank, world_size, name, batch_size)
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every group has trained, in a folder of its own."""
    root = tmp_path_factory.mktemp("workers")
    for group in GROUPS:
        folder_of(str(root), group).mkdir()
    # Forked from a process that has imported everything once, for seconds.
    multiprocessing.set_forkserver_preload(["psol_ray.models.networks", "psol_ray.training.trainer", "timm"])
    mp.start_processes(train_in_groups, (str(root),), nprocs=4, start_method="forkserver")
    return root


def results(folder: Path, world_size: int) -> list[tuple]:
    return [torch.load(folder / f"{world_size}-{rank}.pt") for rank in range(world_size)]


@pytest.mark.slow
@pytest.mark.parametrize("group", [VIT_BY_2, VIT_BY_4], ids=["two", "four"])
def test_shares_of_different_sizes_give_the_gradient_of_the_whole(
    trained: Path, tmp_path: Path, group: tuple[str, int, int]
) -> None:
    """Five images, in pieces of two: of two workers, one takes two pieces a step and the other one."""
    name, world_size, batch_size = group
    train(str(tmp_path), 0, 1, name, batch_size)
    ((losses, weights, _),) = results(tmp_path, 1)
    for losses_of_rank, weights_of_rank, _ in results(folder_of(str(trained), group), world_size):
        assert losses_of_rank == pytest.approx(losses, rel=1e-4)
        for tensor_name, tensor in weights.items():
            assert torch.allclose(weights_of_rank[tensor_name], tensor, atol=1e-5), tensor_name


@pytest.mark.slow
def test_all_workers_validate_the_same_network(trained: Path) -> None:
    """With batch normalisation, whose means are of each worker's own images, and a moving average of them."""
    (_, _, first), (_, _, second) = results(folder_of(str(trained), RESNET_BY_2), 2)
    for name, tensor in first.items():
        assert torch.equal(second[name], tensor), name
