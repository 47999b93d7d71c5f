"""Generated and real images as two samples, either of which may be resampled: what measures of distributions share."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from evaluation.metrics import Floats
from evaluation.metrics._checks import check_features, check_weights
from rules.errors import ConfigurationError

Float64 = npt.NDArray[np.float64]
Kernel = Callable[[Float64, Float64], Float64]  # rows (n, d) and (m, d) -> (n, m)

BLOCK_VALUES = 2**23  # of a block of a matrix of pairs: 64 MiB of float64


def counted(weights: Floats | None, n_rows: int, name: str) -> Float64:
    """Return how often each row counts, shape (n_replicates, n_rows); without weights, one replicate of ones."""
    if weights is None:
        return np.ones((1, n_rows))
    check_weights(weights, n_rows, name)
    return np.asarray(weights, dtype=np.float64)


def prepared(
    generated: Floats, real: Floats, weights: Floats | None, real_weights: Floats | None
) -> tuple[Float64, Float64, Float64, Float64]:
    """Check two samples and return them in float64, each with its weights, which have one number of replicates.

    Raises:
        ConfigurationError: a sample is empty, NaN or of another width; weights are of another shape.
    """
    check_features({"generated": generated, "real": real})
    of_generated = counted(weights, len(generated), "weights")
    of_real = counted(real_weights, len(real), "real_weights")
    n_replicates = max(len(of_generated), len(of_real))
    for name, of_sample in (("weights", of_generated), ("real_weights", of_real)):
        if len(of_sample) not in {1, n_replicates}:
            raise ConfigurationError(f"{name} has {len(of_sample)} replicates: expected {n_replicates}, as the other")
    return (
        generated.astype(np.float64),
        real.astype(np.float64),
        np.broadcast_to(of_generated, (n_replicates, len(generated))),
        np.broadcast_to(of_real, (n_replicates, len(real))),
    )


def blocks(n_rows: int, n_columns: int) -> list[slice]:
    """Return spans of rows of which a matrix with so many columns fits into a block."""
    step = max(1, BLOCK_VALUES // max(n_columns, 1))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def mean_within(kernel: Kernel, rows: Float64, weights: Float64) -> Float64:
    """Return the mean of a symmetric kernel over pairs i != j of one sample, weighted w_i w_j, shape (n_replicates,).

    NaN where a replicate has no pair. The matrix of pairs is never whole in memory, and half of it is never made.
    """
    total = np.zeros(len(weights))
    for block in blocks(len(rows), len(rows)):
        pairs = kernel(rows[block], rows[block.start :])
        width = block.stop - block.start
        np.fill_diagonal(pairs[:, :width], 0.0)
        pairs[:, width:] *= 2.0
        total += _weighted_sum(pairs, weights[:, block], weights[:, block.start :])
    return _ratio(total, weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1))


def mean_between(kernel: Kernel, a: Float64, b: Float64, weights: Float64, other_weights: Float64) -> Float64:
    """Return the mean of a kernel over all pairs of two samples, weighted likewise, shape (n_replicates,)."""
    total = np.zeros(len(weights))
    for block in blocks(len(a), len(b)):
        total += _weighted_sum(kernel(a[block], b), weights[:, block], other_weights)
    return _ratio(total, weights.sum(axis=1) * other_weights.sum(axis=1))


def _weighted_sum(pairs: Float64, weights: Float64, other_weights: Float64) -> Float64:
    """Return w' K v of each replicate; some replicates at a time, so that w' K stays small."""
    spans = blocks(len(weights), pairs.shape[1])
    return np.concatenate([np.einsum("rj,rj->r", weights[span] @ pairs, other_weights[span]) for span in spans])


def _ratio(total: Float64, count: Float64) -> Float64:
    mean: Float64 = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
