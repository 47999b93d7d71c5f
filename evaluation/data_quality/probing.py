"""Linear probe: how well the label is told from features of one side, cross-validated by group.

A logistic regression on standardized features tells the labels of groups that it has not seen. Its balanced accuracy,
the mean over labels of the share that is told right, is beside what it reaches where whole groups have exchanged
their labels. Labels with fewer groups than folds are left out, and named.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from evaluation.features import Features
from evaluation.metrics import Floats, Ints
from evaluation.result import Chance, Estimate, LabelCount, NetworkFacts, Probe
from evaluation.statistics.resampling import (
    bootstrap_interval,
    bootstrap_weights,
    effective_groups,
    middle,
    p_value,
    permuted_orders,
)

Bools = npt.NDArray[np.bool_]

ITEMS = 2_000  # chosen by seeded hash: so that it takes a minute or two, permutations included
FOLDS = (5, 4, 3, 2)  # the first of them in which at least half of the labels can take part
PERMUTATIONS = 39  # each trains as many models as there are folds
TOLERANCE = 1e-3  # ten times scikit-learn's: the same labels are told in half of the time
MAX_STEPS = 1_000


def probe(
    side: Literal["image", "music"], features: Features, labels: Ints, groups: Ints, network: NetworkFacts, seed: int
) -> Probe | None:
    """Tell labels from features; None where no two labels have two groups each.

    The interval is of these models' answers on other groups; that other models would be trained on other items, is not
    in it.

    Args:
        features: shape (n, d).
        labels: shape (n,).
        groups: items of one group are trained on together or told together, shape (n,).
    """
    folds, kept = _taking_part(labels, groups)
    if len(kept) < 2:
        return None
    there = np.isin(labels, kept)
    labels_left, n_left = np.unique(labels[~there], return_counts=True)
    rows = features[there]
    numbers = np.searchsorted(kept, labels[there])
    of_group = np.unique(groups[there], return_inverse=True)[1].astype(np.int64)
    # More threads make products of this size slower on a busy machine, and their sums depend on how many there are.
    with threadpool_limits(1):
        told = _told(rows, numbers, of_group, folds, seed)
        shuffled = np.array(list(_shuffled(rows, numbers, of_group, folds, seed)))
    values = _balanced(told == numbers, numbers, bootstrap_weights(of_group, seed))
    # It does not follow from all right, or all wrong, that so it is with other groups.
    interval = bootstrap_interval(values, effective_groups(of_group)) if np.ptp(values) > 0 else None
    return Probe(
        side=side,
        network=network.name,
        is_stand_in=network.is_stand_in,
        n=len(rows),
        groups=int(of_group.max()) + 1,
        folds=folds,
        labels=kept.tolist(),
        left_out=[LabelCount(label=label, n=n) for label, n in zip(labels_left.tolist(), n_left.tolist(), strict=True)],
        accuracy=Estimate(value=float(values[0]), interval=_share(interval), n=len(rows)),
        chance=Chance(
            value=float(shuffled.mean()),
            interval=middle(shuffled) or (0.0, 1.0),
            p_value=p_value(float(values[0]), shuffled, "higher"),
            permutations=len(shuffled),
        ),
        confusion=_confusion(numbers, told, len(kept)).tolist(),
    )


def _taking_part(labels: Ints, groups: Ints) -> tuple[int, Ints]:
    """Return the number of folds, and the labels that have at least so many groups."""
    present, of_each = np.unique(np.unique(np.stack([labels, groups]), axis=1)[0], return_counts=True)
    for folds in FOLDS:
        kept = present[of_each >= folds]
        if 2 * len(kept) >= len(present) or folds == FOLDS[-1]:
            break
    return folds, kept


def _told(rows: Features, labels: Ints, groups: Ints, folds: int, seed: int) -> Ints:
    """Return the label that is told of each item by a model that saw no item of its group, shape (n,)."""
    told = np.empty(len(rows), dtype=np.int64)
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    for seen, unseen in cut.split(rows, labels, groups):
        mean, deviation = rows[seen].mean(axis=0), rows[seen].std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
        model = LogisticRegression(tol=TOLERANCE, max_iter=MAX_STEPS)
        model.fit((rows[seen] - mean) / scale, labels[seen])
        told[unseen] = model.predict((rows[unseen] - mean) / scale)
    return told


def _shuffled(rows: Features, labels: Ints, groups: Ints, folds: int, seed: int) -> Iterator[float]:
    """Yield the balanced accuracy of labels that whole groups have exchanged."""
    once = np.ones((1, len(rows)))
    for order in permuted_orders(groups, seed, PERMUTATIONS):
        exchanged = labels[order]
        yield float(_balanced(_told(rows, exchanged, groups, folds, seed) == exchanged, exchanged, once)[0])


def _balanced(is_right: Bools, labels: Ints, weights: Floats) -> Floats:
    """Return the mean over labels of the share that is told right, shape (n_replicates,).

    Args:
        is_right: shape (n,); labels likewise.
        weights: shape (n_replicates, n).
    """
    of_label = np.eye(int(labels.max()) + 1)[labels]
    count, right = weights @ of_label, weights @ (of_label * is_right[:, np.newaxis])
    has_label = count > 0
    shares = np.divide(right, count, out=np.zeros_like(count), where=has_label)
    mean: Floats = shares.sum(axis=1) / has_label.sum(axis=1)
    return mean


def _share(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return an interval within [0, 1], over which its centering can move it."""
    return None if interval is None else (max(interval[0], 0.0), min(interval[1], 1.0))


def _confusion(labels: Ints, told: Ints, n_labels: int) -> Ints:
    """Return how many items of each label, a row, are told to be of each, a column."""
    return np.bincount(labels * n_labels + told, minlength=n_labels**2).reshape(n_labels, n_labels)
