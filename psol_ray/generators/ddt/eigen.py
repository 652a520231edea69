"""The first eigenvector of a symmetric matrix, by Lanczos' iteration on the device where the matrix lies.

LAPACK would compute it on a CPU, in half a second at 2,048 channels, and SciPy's way to it holds the interpreter's lock
meanwhile: no network could be launched. Here a step is a product with a vector and a few small operations, each of
which lets the lock go, and some dozens of steps are enough.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import threadpoolctl
import torch
from numpy.typing import NDArray

__all__ = ["beside_the_network", "first_eigenpair"]

# Steps between looks at how far it is, each of which waits for a GPU. Of a class of photographs one look is enough.
_STEPS = 24
# Where this many are not, the first eigenvalues are all but one, and LAPACK is faster.
_MOST_STEPS = 192
# Of the gap to the second eigenvalue; what is left is the sine of the vector's angle to the true one.
_TOLERANCE = 1e-12
_EPSILON = float(np.finfo(np.float64).eps)


def first_eigenpair(matrix_CC: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The largest eigenvalue of a symmetric, positive semidefinite float64 matrix, and its vector on the CPU.

    The vector has unit length and no particular sign. Where the largest eigenvalue is not alone, it is one of many.
    """
    lanczos = _Lanczos(matrix_CC)
    for _ in range(_MOST_STEPS // _STEPS):
        lanczos.go_on(_STEPS)
        if lanczos.has_converged():
            return lanczos.value, lanczos.vector_C().cpu()
    values_C, vectors_CC = _lapack(matrix_CC.cpu().numpy())
    return float(values_C[-1]), torch.from_numpy(vectors_CC[:, -1].copy())


def _lapack(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All eigenvalues, the smallest one first, and their vectors; lets the interpreter's lock go."""
    # With one thread of BLAS: the network has all cores meanwhile, and several that wait for each other on busy cores
    # take ten times as long.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        values, vectors = np.linalg.eigh(matrix)
    return values, vectors


class _Lanczos:
    """An orthonormal basis of the Krylov space, in which the matrix is tridiagonal (`alphas`, `betas`)."""

    def __init__(self, matrix_CC: torch.Tensor) -> None:
        self._matrix_CC = matrix_CC
        size = len(matrix_CC)
        # The same each time, and of every direction something, which a unit vector or a column need not have.
        start_C = torch.from_numpy(np.random.default_rng(0).normal(size=size)).to(matrix_CC.device)
        self._basis_KC = _unit(matrix_CC @ start_C)[None]
        self._alphas: list[torch.Tensor] = []
        self._betas: list[torch.Tensor] = []
        self._ritz_K = np.empty(0)
        self.value = 0.0

    def go_on(self, steps: int) -> None:
        """Add so many vectors to the basis, or as many as there are. Nothing waits for a GPU."""
        first, size = self._basis_KC.shape
        last = min(first + steps, size + 1)
        self._basis_KC = torch.cat([self._basis_KC, self._basis_KC.new_empty(last - first, size)])
        for k in range(first, last):
            basis_KC = self._basis_KC[:k]
            product_C = self._matrix_CC @ basis_KC[-1]
            # Against the whole basis, and twice: rounding would bring found directions back.
            along_K = basis_KC @ product_C
            next_C = torch.addmv(product_C, basis_KC.T, along_K, alpha=-1)
            next_C = torch.addmv(next_C, basis_KC.T, basis_KC @ next_C, alpha=-1)
            # What is left of a product that lay in the basis is its rounding, and no direction.
            next_C = torch.where(_norm(next_C) > 100 * _EPSILON * _norm(product_C), next_C, 0.0)
            self._alphas.append(along_K[-1])
            self._betas.append(_norm(next_C))
            self._basis_KC[k] = _unit(next_C)

    def has_converged(self) -> bool:
        """Whether the largest eigenvalue of the tridiagonal matrix is the whole one's; waits for a GPU."""
        alphas_K, betas_K = torch.stack([torch.stack(self._alphas), torch.stack(self._betas)]).cpu().numpy()
        values_K, vectors_KK = _lapack(np.diag(alphas_K) + np.diag(betas_K[:-1], 1) + np.diag(betas_K[:-1], -1))
        self.value, self._ritz_K = float(values_K[-1]), vectors_KK[:, -1]
        residual = betas_K[-1] * abs(self._ritz_K[-1])
        gap = self.value - (values_K[-2] if len(values_K) > 1 else 0.0)
        # However small the gap, float64 carries no further than its rounding.
        return bool(residual <= max(_TOLERANCE * gap, _EPSILON * self.value))

    def vector_C(self) -> torch.Tensor:
        """The eigenvector that was found."""
        ritz_K = torch.from_numpy(self._ritz_K).to(self._basis_KC.device)
        return _unit(ritz_K @ self._basis_KC[:-1])


def _norm(vector_C: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(vector_C)


def _unit(vector_C: torch.Tensor) -> torch.Tensor:
    # Zero stays zero, adds an eigenvalue of zero, and so changes nothing.
    return vector_C / _norm(vector_C).clamp_min(torch.finfo(vector_C.dtype).tiny)


@contextmanager
def beside_the_network(device: torch.device) -> Iterator[None]:
    """On a GPU the block's work has a stream of its own, and is done when the block ends.

    Behind batches of the network every look at a result would wait for these, and between many small operations the
    network would wait for Python.
    """
    if device.type != "cuda":
        yield
        return
    stream = _stream(device)
    stream.wait_stream(torch.cuda.default_stream(device))
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
