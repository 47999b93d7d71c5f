"""Measures, one family each file, found by name: pure functions over arrays of features.

A module offers what `Metric` lists. The names of its parameters say what `score` is given: `generated`,
`music`, `partners` and the others of `ARRAYS`, all in the metric's space.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from rules import drop_ins

Floats: TypeAlias = npt.NDArray[np.floating]
Ints: TypeAlias = npt.NDArray[np.int64]

# What a score may ask for, and `shuffled` beside `orders`, by the names of their parameters. d is the width of the
# metric's space.
ARRAYS = {
    "generated": "images, a row for each item, shape (n, d)",
    "music": "the items' clips, shape (n, d)",
    "partners": "the true images of the items' clips, shape (n, d)",
    "real": "all real images of the split, each once, shape (m, d)",
    "texts": "a prompt for each label, shape (n_labels, d)",
    "labels": "number of the label of each item, int64, shape (n,)",
    "n_labels": "how many labels the data set has, an int",
    "orders": "shufflings, each with the item whose row an item gets, int64, shape (n_permutations, n)",
    "weights": "how often each item counts in each replicate, float64, shape (n_replicates, n)",
    "real_weights": "likewise of the real images, shape (n_replicates, m)",
}
BY_LABEL = (
    "_by_label"  # ends the name of a score of shape (n_replicates, n_labels), NaN where a label has too few items
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that a metric gives.

    Attributes:
        title: as the literature calls it; only figures of the networks of `Metric.DEFINED_WITH` are called so.
        better: which direction is better; None if neither is.
        low: the least value that it can have; None if there is none. Likewise high.
        chance: its expected value where the images do not depend on the music; None where it has to be found by
            shuffling, or there is none.
        digits: behind the decimal point, for people.
    """

    title: str
    better: Literal["higher", "lower"] | None
    low: float | None
    high: float | None
    chance: float | None = None
    digits: int = 2


class Metric(Protocol):
    """What a module of this folder offers."""

    MEASURES: Mapping[str, Measure]  # by the names of the scores
    SPACE: str  # a key of the networks: "pairing", "inception", "clip", "likeness"
    DEFINED_WITH: tuple[str, ...]  # names of the networks that the reference uses in this space
    REFERENCE: str  # author, year, address
    SHUFFLED: Literal["music", "partners", "labels"] | None  # what `shuffled` shuffles to find its chance level
    UNCERTAINTY: Literal["bootstrap", "jackknife"]  # weights are counts, or 0 of what is left out
    least_items: Callable[[int], int]  # by d: with fewer the score is refused unless somebody asks for it

    score: Callable[..., dict[str, Floats]]
    """Return scores by name, each of shape (n_replicates,), and by label, of shape (n_replicates, n_labels).

    Raises:
        ConfigurationError: counts differ, or a feature is NaN or a zero vector; it says of which array and row.
    """

    shuffled: Callable[..., dict[str, Floats]]
    """Only where something is SHUFFLED: return what `score` gives where item i has that of item order[i].

    What an item is compared with stays as it is, each once: an order may give one to several items and another to none.

    It takes `orders`, and of the arrays of `score`, which has checked them, those that it needs. By the names of
    MEASURES, each of shape (n_permutations,). All shufflings at once, for a thousand calls of `score` take hours.
    """


def names() -> list[str]:
    """Return the names of all metrics."""
    return drop_ins.names(__path__)


def get(name: str) -> Metric:
    """Import a metric by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    return cast(Metric, drop_ins.get(__name__, __path__, name, "metric"))
