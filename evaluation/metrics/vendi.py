"""Vendi score: how many entirely different images the images of a label amount to.

It is the exponential of the entropy of the eigenvalues of K / n, where K holds the cosines of all pairs: 1 if all
images are the same, n if no two have anything in common. So it depends on how many images a label has: a value says
something beside that of as many real images, or of another model's on the same clips.
"""

import numpy as np

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_features, check_labels
from evaluation.metrics._similarity import unit
from evaluation.metrics._two_samples import Float64, counted

MEASURES = {"vendi": Measure("Vendi score within labels", "higher", low=1.0, high=None)}
SPACE = "likeness"
DEFINED_WITH = ("DINOv2 ViT-L/14",)  # Stein et al., Exposing flaws, 2023, https://arxiv.org/abs/2306.04675
REFERENCE = "Friedman & Dieng, The Vendi score, 2023, https://arxiv.org/abs/2210.02410"
SHUFFLED = None
UNCERTAINTY = "jackknife"  # a repeated image adds no diversity, so every replicate of a bootstrap is too low


def least_items(_: int) -> int:
    return 2


def score(generated: Floats, labels: Ints, n_labels: int, weights: Floats | None = None) -> dict[str, Floats]:
    """Return the score of each label, NaN of one with fewer than two images, and the mean of those that have one.

    Args:
        generated: shape (n, d).
        labels: shape (n,).
        weights: shape (n_replicates, n).

    Raises:
        ConfigurationError: see `Metric`.
    """
    check_features({"generated": generated})
    check_labels(labels, len(generated), n_labels)
    counts = counted(weights, len(generated), "weights")
    rows = unit(generated)
    by_label = np.full((len(counts), n_labels), np.nan)
    for label in np.unique(labels):
        there = labels == label
        by_label[:, label] = [_effective_number(rows[there], count) for count in counts[:, there]]
    known = ~np.isnan(by_label)
    n_known = known.sum(axis=1)
    total = np.where(known, by_label, 0.0).sum(axis=1)
    mean = np.divide(total, n_known, out=np.full(len(counts), np.nan), where=n_known > 0)
    return {"vendi": mean, "vendi_by_label": by_label}


def _effective_number(rows: Float64, counts: Float64) -> float:
    """Return the score of unit rows, shape (n, d), each of which counts so often; NaN of fewer than two."""
    if counts.sum() < 2:
        return np.nan
    there = counts > 0
    scaled = rows[there] * np.sqrt(counts[there] / counts.sum())[:, np.newaxis]
    shares = np.linalg.svd(scaled, compute_uv=False) ** 2  # of K / n the eigenvalues, but for zeros
    shares = shares[shares > 0]
    return max(float(np.exp(-(shares * np.log(shares)).sum())), 1.0)  # but for rounding it is
