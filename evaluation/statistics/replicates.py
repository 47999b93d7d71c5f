"""The values that a measure takes where recordings are resampled, and how sure they make it of a difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from evaluation.statistics.resampling import CONFIDENCE, jackknife_error

Floats = npt.NDArray[np.float64]

# With fewer recordings figures are marked. Percentiles of a bootstrap of so few groups are too narrow, and their
# correction is exact for means only (Hesterberg 2015, https://arxiv.org/abs/1411.5279).
FEW_RECORDINGS = 20
# With fewer, counted by their sizes, no difference is told: if all of n recordings agree on which run is better, chance
# alone does so in 2 / 2^n of all cases, and 2 / 2^5 is more than 5 %.
LEAST_RECORDINGS = 6
LEVEL = 1 - CONFIDENCE  # of a test
POWER = 0.8  # with which a detectable difference is detected
MOST_UNDEFINED = 0.05  # share of replicates in which a measure may be undefined, and still has an error


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """Values of one figure, each of other recordings; replicate r of two evaluations of the same items is paired.

    Attributes:
        groups: recordings that were resampled; effective_groups: as how many of equal size they count, see
            `resampling.effective_groups`.
        items: bootstrap: of recordings drawn with repetition, and real images likewise; jackknife: of leaving out each
            part of the recordings; shape (n_replicates,), NaN where the measure is undefined.
        real: jackknife: of leaving out each part of the real images; empty for a measure that sees none.
    """

    figure: str
    method: Literal["bootstrap", "jackknife"]
    groups: int
    effective_groups: float
    items: Floats
    real: Floats

    def __sub__(self, other: Self) -> "Replicates":
        return replace(self, items=self.items - other.items, real=self.real - other.real)


@dataclass(frozen=True, slots=True)
class Difference:
    """How sure a difference is.

    Attributes:
        error: its standard error.
        interval: of 95 %.
        p_value: two-sided, of no difference.
        detectable: the smallest difference that would be told from none in 4 of 5 evaluations of other recordings.
    """

    error: float
    interval: tuple[float, float]
    p_value: float
    detectable: float


def difference(value: float, replicates: Replicates) -> Difference | None:
    """Return how sure a difference is; None where resampling cannot tell.

    The error is that of the replicates, the tails are those of Student's t: the percentiles of a difference would
    end at 1 in as many as there are replicates, far above what a correction for many measures asks for.

    Args:
        value: of all items.
        replicates: of the difference, one evaluation's minus the other's.
    """
    error, freedom = _error(replicates) or (0.0, 0.0)
    if error == 0:
        return None
    reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    return Difference(
        error=error,
        interval=(value - reach, value + reach),
        p_value=float(2 * stdtr(freedom, -abs(value) / error)),
        detectable=reach + float(stdtrit(freedom, POWER)) * error,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: the chance of even one mistake among them stays at the level.

    Holm 1979, "A simple sequentially rejective multiple test procedure": it holds however the measures depend on each
    other, and they all see the same images.
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = least
    return corrected


def _error(replicates: Replicates) -> tuple[float, float] | None:
    """Return a standard error and its degrees of freedom."""
    if replicates.method == "bootstrap":
        return _bootstrap_error(replicates.items, replicates.effective_groups)
    return jackknife_error(*(part for part in (replicates.items, replicates.real) if len(part)))


def _bootstrap_error(values: Floats, groups: float) -> tuple[float, float] | None:
    if groups < 2:
        return None
    defined = values[np.isfinite(values)]
    if len(defined) < 2 or len(defined) < (1 - MOST_UNDEFINED) * len(values) or np.ptp(defined) == 0:
        return None
    # A bootstrap of n groups has the variance of n - 1 of them.
    return float(np.std(defined, ddof=1)) * (groups / (groups - 1)) ** 0.5, groups - 1
