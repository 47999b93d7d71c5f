"""What no measure can be taken of, told before it is: which array, which row, and what was expected."""

from collections.abc import Mapping

import numpy as np

from evaluation.metrics import Floats, Ints
from rules.errors import ConfigurationError

_ROWS = 65_536  # looked at together, so that ten million rows take no more memory than these


def check_features(arrays: Mapping[str, Floats]) -> None:
    """Refuse what is not features of one space, the rows of which may be of different things.

    Args:
        arrays: by name, each of shape (its own number of rows, d).

    Raises:
        ConfigurationError: no rows, other widths, a value that is not finite, or a zero vector, which has no direction.
    """
    for name, array in arrays.items():
        if array.ndim != 2:
            raise ConfigurationError(f"{name}: shape {array.shape}; expected a row of features for each item")
        if not len(array):
            raise ConfigurationError(f"{name}: there is nothing in it; a measure needs at least one row")
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise ConfigurationError(f"features of different widths: {told}; expected one network, or two of one space")
    for name, array in arrays.items():
        for start in range(0, len(array), _ROWS):
            _check_rows(name, array[start : start + _ROWS], start)


def check_paired(arrays: Mapping[str, Floats]) -> None:
    """Refuse what is not features of one space, a row of each array for every item.

    Args:
        arrays: by name, each of shape (n, d).

    Raises:
        ConfigurationError: as `check_features`, or counts differ.
    """
    check_features(arrays)
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ConfigurationError(f"different counts: {told}; expected a row of each for every item")


def check_labels(labels: Ints, n_items: int, n_labels: int) -> None:
    """Refuse labels that are not a number in [0, n_labels) for each item.

    Raises:
        ConfigurationError: it says how many there are, or which item has which.
    """
    if labels.shape != (n_items,) or not np.issubdtype(labels.dtype, np.integer):
        raise ConfigurationError(
            f"labels: {labels.dtype} of shape {labels.shape}; expected an integer for each of {n_items} items"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= n_labels))
    if len(wrong):
        raise ConfigurationError(f"labels: row {wrong[0]} is {labels[wrong[0]]}; expected 0 to {n_labels - 1}")


def check_weights(weights: Floats, n_rows: int, name: str = "weights") -> None:
    """Refuse weights that are not a count for each row in each replicate.

    Args:
        weights: shape (n_replicates, n_rows).

    Raises:
        ConfigurationError: another shape, a weight that is negative or not finite, or a replicate without any.
    """
    if weights.ndim != 2 or not len(weights) or weights.shape[1] != n_rows:
        raise ConfigurationError(
            f"{name}: shape {weights.shape}; expected a row for each replicate and {n_rows} columns"
        )
    counts = np.isfinite(weights).all(axis=1) & (weights.min(axis=1) >= 0) & weights.any(axis=1)
    if not counts.all():
        told = f"{name}: replicate {int(counts.argmin())} has"
        raise ConfigurationError(f"{told} a weight below 0 or not finite, or none above 0; expected counts of items")


def _check_rows(name: str, rows: Floats, start: int) -> None:
    unfit = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(unfit):
        raise ConfigurationError(f"{name}: row {start + unfit[0]} holds NaN or infinity; expected finite features")
    empty = np.flatnonzero(~rows.any(axis=1))
    if len(empty):
        raise ConfigurationError(f"{name}: row {start + empty[0]} is a zero vector, which is like nothing")
