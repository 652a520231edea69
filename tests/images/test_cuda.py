"""What there is of streams where there is no GPU; `tests/gpu` has the rest."""

import numpy as np
import torch

from psol_ray.images.cuda import Launches, SideStream

CPU = torch.device("cpu")


def test_arrays_become_one_tensor_of_its_own_memory() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    # As decoders give them: mirrored, and not to be written to.
    arrays = [pixels[0, :, ::-1], pixels[1]]
    arrays[1].flags.writeable = False
    copied = SideStream(CPU).copied(arrays)
    assert (copied.dtype, copied.device) == (torch.uint8, CPU)
    np.testing.assert_array_equal(copied.numpy(), np.stack(arrays))
    copied += 1
    assert pixels.flatten().tolist() == list(range(24))


def test_what_is_made_is_handed_over_as_it_is() -> None:
    made = torch.zeros(3)
    assert SideStream(CPU).handed_over(lambda: made) is made


def test_a_cpu_is_not_waited_for() -> None:
    launches = Launches(CPU, 1)
    for _ in range(3):
        launches.add()  # would start CUDA
    assert not torch.cuda.is_initialized()
