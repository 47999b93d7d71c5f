"""The order of an epoch: as if at random, and yet so that a reader opens each row group once."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.columns import Ints
from training import draws

WINDOW_ROWS = 64  # rows of row groups that are mixed; a release has about 18 in one. Their decoded media are in memory


class EpochOrder(NamedTuple):
    """The order of the rows of a split.

    Attributes:
        rows: a permutation, int64.
        windows: where in it each window begins, and its length at the end: the rows of a row group lie in one window.
    """

    rows: Ints
    windows: Ints


def epoch_order(group_sizes: Ints, seed: int, epoch: int, window_rows: int = WINDOW_ROWS) -> EpochOrder:
    """Return the order of an epoch, the same on every machine for the same seed and epoch.

    Row groups come in random order; as many as hold `window_rows` make a window, whose rows are mixed.

    Args:
        group_sizes: rows of each row group, in the order of the split.
    """
    group_sizes = np.asarray(group_sizes, dtype=np.int64)
    groups = np.argsort(_keys(len(group_sizes), draws.number(seed, "order of row groups", epoch)), kind="stable")
    behind = np.cumsum(group_sizes[groups])  # rows up to the end of each group, in their new order
    windows = _windows(behind, window_rows)
    firsts = np.cumsum(group_sizes) - group_sizes
    rows = np.repeat(firsts[groups] - (behind - group_sizes[groups]), group_sizes[groups]) + np.arange(
        group_sizes.sum()
    )
    window_of = np.repeat(np.arange(len(windows) - 1), np.diff(windows))
    mixed = np.lexsort((_keys(len(rows), draws.number(seed, "order of rows", epoch)), window_of))
    return EpochOrder(rows[mixed], windows)


def file_order(group_sizes: Ints, window_rows: int = WINDOW_ROWS) -> EpochOrder:
    """Return the rows as they lie in their files, in windows as those of an epoch."""
    return EpochOrder(np.arange(group_sizes.sum()), _windows(np.cumsum(group_sizes), window_rows))


def _windows(behind: Ints, window_rows: int) -> Ints:
    """Return where windows begin: each ends with the group by which it has enough rows, the last where all end."""
    windows = [0]
    while len(behind) and windows[-1] < behind[-1]:
        place = min(int(np.searchsorted(behind, windows[-1] + window_rows)), len(behind) - 1)
        windows.append(int(behind[place]))
    return np.array(windows, dtype=np.int64)


def _keys(count: int, number: int) -> npt.NDArray[np.uint64]:
    """Return a number for each of `count`, as if drawn.

    The mixing is that of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): the
    generators of numpy and torch may draw other numbers in another version.
    """
    with np.errstate(over="ignore"):
        mixed = np.uint64(number) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
