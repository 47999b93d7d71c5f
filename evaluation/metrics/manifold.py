"""Precision, recall, density and coverage: which images of one set lie where the other set lies.

A set lies in the balls around its images that reach to their k-th nearest neighbors of the set, borders included.
Precision: share of generated images in a ball of a real one; recall: the other way round; density: in how many of k
balls of real images a generated one lies on average; coverage: share of the balls of real images with a generated
image in them. A few generated images cannot cover many real ones: compare with the rows of real images.
"""

import numpy as np
import numpy.typing as npt

from evaluation.metrics import Floats, Measure
from evaluation.metrics._two_samples import Float64, blocks, prepared

MEASURES = {
    "precision": Measure("Precision", "higher", low=0.0, high=1.0, digits=3),
    "recall": Measure("Recall", "higher", low=0.0, high=1.0, digits=3),
    "density": Measure("Density", "higher", low=0.0, high=None, digits=3),
    "coverage": Measure("Coverage", "higher", low=0.0, high=1.0, digits=3),
}
SPACE = "likeness"
DEFINED_WITH = ("DINOv2 ViT-L/14",)  # Stein et al., Exposing flaws, 2023, https://arxiv.org/abs/2306.04675
REFERENCE = (
    "Kynkäänniemi et al., Improved precision and recall, 2019, https://arxiv.org/abs/1904.06991; "
    "Naeem et al., Reliable fidelity and diversity, 2020, https://arxiv.org/abs/2002.09797"
)
SHUFFLED = None
UNCERTAINTY = "jackknife"  # an item that is drawn twice is its own neighbor

NEAREST = 5  # k of Naeem et al. and of Stein et al.
CANDIDATES = 8 * NEAREST  # neighbors among which the k-th that stays is looked for, before all are
SAME = 1e-12  # squared distances below this share of the squared lengths are rounding
BORDER = 1 + 1e-9  # an image on the border lies inside, however the two distances were rounded

Bools = npt.NDArray[np.bool_]


def least_items(_: int) -> int:
    return NEAREST + 1


def score(
    generated: Floats, real: Floats, weights: Floats | None = None, real_weights: Floats | None = None
) -> dict[str, Floats]:
    """Return the four, NaN of a replicate in which a sample has no more than k items.

    Args:
        generated: shape (n, d).
        real: shape (m, d).
        weights: shape (n_replicates, n); what is above 0 counts once.
        real_weights: shape (n_replicates, m), likewise.

    Raises:
        ConfigurationError: see `Metric`.
    """
    generated, real, of_generated, of_real = prepared(generated, real, weights, real_weights)
    stays, real_stays = of_generated > 0, of_real > 0
    radii, real_radii = _radii(generated, stays), _radii(real, real_stays)
    of_generated_in, of_real_in, n_balls, n_covered = _inside(generated, real, radii, real_radii)
    n, m = stays.sum(axis=1), real_stays.sum(axis=1)
    enough = np.where(np.minimum(n, m) > NEAREST, 1.0, np.nan)
    return {
        "precision": enough * of_generated_in / n,
        "recall": enough * of_real_in / m,
        "density": enough * n_balls / (NEAREST * n),
        "coverage": enough * n_covered / m,
    }


def _inside(
    generated: Float64, real: Float64, radii: Float64, real_radii: Float64
) -> tuple[Float64, Float64, Float64, Float64]:
    """Count, in each replicate, shape (n_replicates,), where images lie.

    Args:
        generated: shape (n, d).
        real: shape (m, d).
        radii: squared, shape (n_replicates, n); -1 of an item that is left out. Likewise real_radii.

    Returns:
        Generated images in a ball of a real one, real ones in a ball of a generated one, all pairs of a generated
        image and a real one's ball that it lies in, and real images whose ball has a generated one in it.
    """
    stays = radii >= 0
    in_real_ball = np.zeros(radii.shape, dtype=bool)
    in_ball, n_balls, n_covered = (np.zeros(len(radii)) for _ in range(3))
    for block in blocks(len(real), len(generated)):
        distances = _squared_distances(real[block], generated)
        for replicate, reach in enumerate(real_radii[:, block]):
            inside = (distances <= reach[:, np.newaxis]) & stays[replicate]
            in_real_ball[replicate] |= inside.any(axis=0)
            n_balls[replicate] += inside.sum()
            n_covered[replicate] += inside.any(axis=1).sum()
            in_ball[replicate] += (distances <= radii[replicate])[reach >= 0].any(axis=1).sum()
    return in_real_ball.sum(axis=1).astype(np.float64), in_ball, n_balls, n_covered


def _radii(rows: Float64, stays: Bools) -> Float64:
    """Return the squared distance of each item to its k-th nearest that stays, itself not counted.

    Args:
        rows: shape (n, d).
        stays: in each replicate, shape (n_replicates, n).

    Returns:
        Shape (n_replicates, n): -1 of an item that does not stay, infinite where no k others stay.
    """
    found = np.full(stays.shape, np.inf)
    n_candidates = min(CANDIDATES, len(rows))
    for block in blocks(len(rows), len(rows)):
        distances = _squared_distances(rows[block], rows)
        own = np.arange(len(distances))
        distances[own, block.start + own] = np.inf
        candidates = np.argpartition(distances, n_candidates - 1, axis=1)[:, :n_candidates]
        near = np.take_along_axis(distances, candidates, axis=1)
        order = np.argsort(near, axis=1)
        candidates, near = np.take_along_axis(candidates, order, axis=1), np.take_along_axis(near, order, axis=1)
        for replicate, staying in enumerate(stays):
            count = np.cumsum(staying[candidates], axis=1)
            found[replicate, block] = near[own, np.argmax(count >= NEAREST, axis=1)]
            too_few = np.flatnonzero(count[:, -1] < NEAREST)
            if len(too_few):
                others = np.sort(np.where(staying, distances[too_few], np.inf), axis=1)
                found[replicate, block][too_few] = others[:, NEAREST - 1] if others.shape[1] >= NEAREST else np.inf
    return np.where(stays, found * BORDER, -1.0)


def _squared_distances(a: Float64, b: Float64) -> Float64:
    """Return |x - y|^2 of all rows of a and b; 0 where they are the same but for rounding."""
    lengths = (a**2).sum(axis=1)[:, np.newaxis] + (b**2).sum(axis=1)
    distances: Float64 = lengths - 2 * (a @ b.T)
    distances[distances <= SAME * lengths] = 0.0
    return distances
