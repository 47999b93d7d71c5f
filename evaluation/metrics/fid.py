"""Fréchet inception distance: of two normal distributions with the means and covariances of two sets of images.

It measures the width of the samples as well as the distance of what they are drawn from: two samples of 335 images of
one and the same distribution are far apart. With no more images than the features have dimensions the covariance is
singular, so it is refused there unless somebody asks for it.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from evaluation.metrics import Floats, Measure
from evaluation.metrics._two_samples import Float64, prepared

MEASURES = {"fid": Measure("FID", "lower", low=0.0, high=None)}
SPACE = "inception"
DEFINED_WITH = ("Inception v3 (torch-fidelity)",)
REFERENCE = "Heusel et al., GANs trained by a two time-scale update rule, 2017, https://arxiv.org/abs/1706.08500"
SHUFFLED = None
UNCERTAINTY = "jackknife"  # items that are drawn twice, as a bootstrap draws them, narrow the covariance

Normal: TypeAlias = tuple[Float64, Float64]  # of a sample: mean, and the root of its covariance


def least_items(d: int) -> int:
    return d + 1


def score(
    generated: Floats, real: Floats, weights: Floats | None = None, real_weights: Floats | None = None
) -> dict[str, Floats]:
    """Return the distance, NaN of a replicate with fewer than two items in a sample.

    With covariances A'A and B'B, tr sqrt(A'A B'B) is the sum of the singular values of A B'. A is what remains of the
    centered items, or where they are more than d, the triangle of its QR decomposition: so nothing larger than
    min(n, d) x min(m, d) is decomposed, no covariance is squared, and a singular one needs no correction.

    Args:
        generated: shape (n, d).
        real: shape (m, d).
        weights: shape (n_replicates, n).
        real_weights: shape (n_replicates, m).

    Raises:
        ConfigurationError: see `Metric`.
    """
    generated, real, of_generated, of_real = prepared(generated, real, weights, real_weights)
    normals = zip(_normals(generated, of_generated), _normals(real, of_real), strict=True)
    return {"fid": np.array([_distance(*both) for both in normals])}


def _normals(rows: Float64, weights: Float64) -> Iterator[Normal | None]:
    """Yield `_normal` of each replicate; of one sample after the other items are left out, so the last one is kept."""
    last, normal = None, None
    for of_replicate in weights:
        if last is None or not np.array_equal(last, of_replicate):
            last, normal = of_replicate, _normal(rows, of_replicate)
        yield normal


def _normal(rows: Float64, weights: Float64) -> Normal | None:
    """Return the mean, shape (d,), and a matrix A of at most d rows such that A'A is the unbiased covariance."""
    count = weights.sum()
    if count <= 1:
        return None
    mean = weights @ rows / count
    there = weights > 0
    factor = (rows[there] - mean) * np.sqrt(weights[there] / (count - 1))[:, np.newaxis]
    if len(factor) > factor.shape[1]:
        factor = np.asarray(np.linalg.qr(factor, mode="r"))
    return mean, factor


def _distance(a: Normal | None, b: Normal | None) -> float:
    if a is None or b is None:
        return np.nan
    (mean, factor), (other_mean, other_factor) = a, b
    common = np.linalg.svd(factor @ other_factor.T, compute_uv=False).sum()
    squared = ((mean - other_mean) ** 2).sum() + (factor**2).sum() + (other_factor**2).sum() - 2 * common
    return float(max(squared, 0.0))  # rounding makes it negative where both are the same
