"""Resampling of recordings: their clips are not independent, so they are drawn, left out and exchanged together.

Groups are numbered from 0 without gaps; what is drawn depends on their numbers and the seed alone.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from evaluation.metrics import Floats, Ints

CONFIDENCE = 0.95
REPLICATES = 1_000
PERMUTATIONS = 999
MAX_PARTS = 20  # of a jackknife: each part is left out once, and the measures that need it are slow

_TAIL = (1 - CONFIDENCE) / 2


def bootstrap_weights(groups: Ints, seed: int, replicates: int = REPLICATES) -> npt.NDArray[np.float64]:
    """Return how often each item counts in each replicate, shape (1 + replicates, n). Row 0, all ones, is the sample.

    Args:
        groups: number of the group of each item, shape (n,). As many groups as there are are drawn with replacement;
            all items of one count alike.
    """
    n_groups, draws = _count(groups), np.random.default_rng(seed)
    weights = np.ones((1 + replicates, len(groups)))
    for row in weights[1:]:
        row[:] = np.bincount(draws.integers(0, n_groups, n_groups), minlength=n_groups)[groups]
    return weights


def jackknife_keeps(groups: Ints, seed: int, parts: int = MAX_PARTS) -> npt.NDArray[np.bool_]:
    """Return which items stay as each part of the groups is left out, shape (n_parts, n).

    Args:
        groups: number of the group of each item, shape (n,); each lies in one part, and parts differ by one group at
            most. There are as many parts as groups, `parts` at most; none where there is a single group.
    """
    n_groups = _count(groups)
    n_parts = min(n_groups, parts) if n_groups > 1 else 0
    part_of = np.random.default_rng(seed).permutation(n_groups) % max(n_parts, 1)
    keeps: npt.NDArray[np.bool_] = np.arange(n_parts)[:, None] != part_of[groups]
    return keeps


def permuted_orders(groups: Ints, seed: int, permutations: int = PERMUTATIONS) -> Iterator[Ints]:
    """Yield orders in which whole groups are exchanged: item i gets what item order[i] has, shape (n,).

    Item k of a group gets what item k of another has, and goes round where the other is smaller.
    """
    draws = np.random.default_rng(seed)
    by_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(groups), dtype=np.int64)
    place[by_group] = np.arange(len(groups)) - np.repeat(starts, sizes)
    for _ in range(permutations):
        other = draws.permutation(len(sizes))[groups]
        yield by_group[starts[other] + place % sizes[other]]


def effective_groups(groups: Ints) -> float:
    """Return how many groups of equal size tell as much as these: fewer than there are where sizes differ.

    Kish 1965, Survey Sampling: (sum of sizes)^2 / sum of squared sizes. With 30 recordings of a clip and 3 of 10 clips,
    92 % of intervals for 33 groups held the truth in simulations and 95 % of those for 11.

    Args:
        groups: number of the group of each item, shape (n,).
    """
    sizes = np.bincount(groups)
    return float(len(groups) ** 2 / np.square(sizes).sum())


def bootstrap_interval(values: Floats, n_groups: float) -> tuple[float, float] | None:
    """Return percentiles of the replicates around the sample's value, further out the fewer groups there are.

    A replicate counts pairs within one group too often, which moves its middle and not its spread: the replicates are
    moved back, by their median, so that ranks stay whole. In simulations of 12 recordings of 5 clips with strong
    pairing 90 % of the intervals held the truth before and 99 % after, and about 95 % elsewhere.

    With n groups the plain percentiles are too narrow by sqrt((n - 1) / n), and by the normal distribution in the place
    of Student's; expanded percentiles make up for both (Hesterberg 2015, section 3.3, https://arxiv.org/abs/1411.5279).

    Args:
        values: of the sample, then of its replicates, shape (1 + n_replicates,). Replicates that are NaN are left out.
        n_groups: that the sample is of, `effective_groups`.

    Returns:
        Both ends; None where the sample has no value, or so few groups that no replicate lies beyond the percentiles:
        fewer than 6 with 1,000 replicates.
    """
    replicates = values[1:][np.isfinite(values[1:])]
    if n_groups < 2 or not np.isfinite(values[0]):
        return None
    tail = float(ndtr(stdtrit(n_groups - 1, _TAIL) * np.sqrt(n_groups / (n_groups - 1))))
    if tail * len(replicates) < 1:
        return None
    low, high = np.quantile(replicates, [tail, 1 - tail]) + (values[0] - np.median(replicates))
    return float(low), float(high)


def jackknife_error(*samples: Floats) -> tuple[float, float] | None:
    """Return the standard error of a value that is found with each part left out, and its degrees of freedom.

    Kott 2001, "The delete-a-group jackknife", Journal of Official Statistics 17; variances of independent samples add,
    their degrees of freedom by Welch and Satterthwaite.

    Args:
        samples: values that are found as parts of one sample are left out, each of shape (its number of parts,).

    Returns:
        None where a sample has fewer than two parts or is NaN without one of them, or nothing varies.
    """
    if any(len(values) < 2 or not np.isfinite(values).all() for values in samples):
        return None
    variances = [(len(values) - 1) * float(np.var(values)) for values in samples]
    squares = sum(one**2 / (len(values) - 1) for one, values in zip(variances, samples, strict=True))
    return (sum(variances) ** 0.5, sum(variances) ** 2 / squares) if squares > 0 else None


def jackknife_interval(value: float, *samples: Floats) -> tuple[float, float] | None:
    """Return value -+ t standard errors, t Student's; None where `jackknife_error` is."""
    found = jackknife_error(*samples)
    if found is None or not np.isfinite(value):
        return None
    error, freedom = found
    reach = -float(stdtrit(freedom, _TAIL)) * error
    return value - reach, value + reach


def p_value(value: float, permuted: Floats, better: Literal["higher", "lower"]) -> float:
    """Return the share of the permutations, the true order included, that are at least as good as the true order.

    Args:
        permuted: values of shuffled orders, shape (n_permutations,).
    """
    ahead = permuted - value if better == "higher" else value - permuted
    as_good = ahead >= -1e-9 * max(1, abs(value))  # sums in another order differ in their last digits
    return float((1 + as_good.sum()) / (1 + len(permuted)))


def middle(values: Floats) -> tuple[float, float] | None:
    """Return the ends of the middle 95 % of values, shape (n,); None of no value."""
    if not len(values):
        return None
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def _count(groups: Ints) -> int:
    return int(groups.max()) + 1
