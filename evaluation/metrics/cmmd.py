"""CMMD: squared maximum mean discrepancy of two sets of images under a Gaussian kernel of CLIP features, x 1,000.

`cmmd` is the reference's: pairs of an image with itself count, which adds 1,000 (1 - mean kernel) (1/n + 1/m) even
where both sets are of one distribution. `cmmd_unbiased` leaves them out: it can be compared across sample sizes.
"""

import numpy as np

from evaluation.metrics import Floats, Measure
from evaluation.metrics._similarity import unit
from evaluation.metrics._two_samples import Float64, mean_between, mean_within, prepared

MEASURES = {
    "cmmd": Measure("CMMD", "lower", low=0.0, high=None, digits=3),
    "cmmd_unbiased": Measure("CMMD (unbiased)", "lower", low=None, high=None, digits=3),
}
SPACE = "clip"
DEFINED_WITH = ("CLIP ViT-L/14@336 (openai)",)
REFERENCE = "Jayasumana et al., Rethinking FID, 2024, https://arxiv.org/abs/2401.09603"
SHUFFLED = None
# A bootstrap counts the pairs of a recording w^2 times: in simulations its errors were twice the true ones.
UNCERTAINTY = "jackknife"

SIGMA, SCALE = 10.0, 1_000.0  # the reference's: width of the kernel, and what makes the numbers readable


def least_items(_: int) -> int:
    return 2


def kernel(a: Float64, b: Float64) -> Float64:
    """Return exp(-|x - y|^2 / (2 sigma^2)) of all unit rows of a, shape (n, d), and b, shape (m, d)."""
    similarities = a @ b.T
    values: Float64 = np.exp((similarities - 1.0) / SIGMA**2)
    return values


def score(
    generated: Floats, real: Floats, weights: Floats | None = None, real_weights: Floats | None = None
) -> dict[str, Floats]:
    """Return both estimates.

    Args:
        generated: shape (n, d).
        real: shape (m, d).
        weights: shape (n_replicates, n).
        real_weights: shape (n_replicates, m).

    Raises:
        ConfigurationError: see `Metric`.
    """
    generated, real, of_generated, of_real = prepared(generated, real, weights, real_weights)
    images, real_images = unit(generated).astype(np.float64), unit(real).astype(np.float64)
    within, within_real = mean_within(kernel, images, of_generated), mean_within(kernel, real_images, of_real)
    between = mean_between(kernel, images, real_images, of_generated, of_real)
    # The share of own pairs, whose kernel is 1, is taken to stay 1 / n where a part is left out: counted anew, it
    # would move all replicates about alike, which is no uncertainty.
    biased = _with_own_pairs(within, len(generated)) + _with_own_pairs(within_real, len(real)) - 2 * between
    return {"cmmd": SCALE * np.maximum(biased, 0.0), "cmmd_unbiased": SCALE * (within + within_real - 2 * between)}


def _with_own_pairs(mean: Float64, n_items: int) -> Float64:
    return mean + (1.0 - mean) / n_items
