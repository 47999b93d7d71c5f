"""Kernel inception distance: squared maximum mean discrepancy of two sets of images under a cubic kernel.

`kid` is the unbiased estimate over all items: its expectation is the same for 30 items as for 30,000, and it is below 0
half of the time where both sets are of one distribution. `kid_subsets` is the mean over 100 random subsets, which other
programs show. Of the very same quantity it is an estimate with more noise, and stands here to be compared with theirs.
Their "±" is the deviation of the subsets, which share items and are smaller than the samples: it is no standard error
of anything, and is not shown. The interval comes from leaving out recordings.
"""

import numpy as np

from evaluation.metrics import Floats, Measure
from evaluation.metrics._two_samples import Float64, mean_between, mean_within, prepared

MEASURES = {
    "kid": Measure("KID", "lower", low=None, high=None, digits=4),
    "kid_subsets": Measure("KID (mean of 100 subsets)", "lower", low=None, high=None, digits=4),
}
SPACE = "inception"
DEFINED_WITH = ("Inception v3 (torch-fidelity)",)
REFERENCE = "Bińkowski et al., Demystifying MMD GANs, 2018, https://arxiv.org/abs/1801.01401"
SHUFFLED = None
# A bootstrap counts the pairs of a recording w^2 times: in simulations its errors were twice the true ones.
UNCERTAINTY = "jackknife"

SUBSETS, SUBSET_SIZE, SUBSET_SEED = 100, 1_000, 2020  # torch-fidelity's, so that its subsets are drawn


def least_items(_: int) -> int:
    return 2


def kernel(a: Float64, b: Float64) -> Float64:
    """Return (x . y / d + 1)^3 of all rows of a, shape (n, d), and b, shape (m, d)."""
    base: Float64 = a @ b.T / a.shape[1] + 1.0
    return base * base * base  # a power of an array is many times slower


def score(
    generated: Floats, real: Floats, weights: Floats | None = None, real_weights: Floats | None = None
) -> dict[str, Floats]:
    """Return both estimates; a replicate counts pairs of different items only.

    Args:
        generated: shape (n, d).
        real: shape (m, d).
        weights: shape (n_replicates, n).
        real_weights: shape (n_replicates, m).

    Raises:
        ConfigurationError: see `Metric`.
    """
    generated, real, of_generated, of_real = prepared(generated, real, weights, real_weights)
    draws = np.random.RandomState(SUBSET_SEED)  # the old generator: theirs
    size = min(SUBSET_SIZE, len(generated), len(real))
    of_subsets = []
    for _ in range(SUBSETS):
        some = draws.choice(len(generated), size, replace=False)
        others = draws.choice(len(real), size, replace=False)
        of_subsets.append(_squared(generated[some], real[others], of_generated[:, some], of_real[:, others]))
    return {
        "kid": _squared(generated, real, of_generated, of_real),
        "kid_subsets": _mean(np.array(of_subsets)),
    }


def _squared(a: Float64, b: Float64, weights: Float64, other_weights: Float64) -> Float64:
    between: Float64 = mean_between(kernel, a, b, weights, other_weights)
    return mean_within(kernel, a, weights) + mean_within(kernel, b, other_weights) - 2 * between


def _mean(of_subsets: Float64) -> Float64:
    """Return the mean of each replicate over the subsets that have pairs in it, shape (n_replicates,)."""
    known = ~np.isnan(of_subsets)
    count = known.sum(axis=0)
    total = np.where(known, of_subsets, 0.0).sum(axis=0)
    mean: Float64 = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
