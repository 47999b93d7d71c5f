"""Whole groups into splits, as near to the wanted shares as the groups allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# An empty split costs more than any distance to the wanted sizes could.
_EMPTY = 1e9
_ROUNDS = 50  # of improvement; each makes the distance smaller, so few are used


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one side of one label.

    Attributes:
        names: in the order that decides ties.
        sizes: int64, shape (n_groups,): chosen items of each.
        splits: int64, shape (n_groups,): the split that a group has for life, or -1.
    """

    names: Sequence[str]
    sizes: npt.NDArray[np.int64]
    splits: npt.NDArray[np.int64]


def split_label(images: Groups, music: Groups, shares: Sequence[float]) -> tuple[dict[str, int], dict[str, int]]:
    """Give each group of a label a split.

    The side with fewer groups is cut by the shares, for it has the least choice; the other side follows the sizes
    that come out. With as many groups on each side as there are splits, no split is empty.

    Args:
        shares: wanted share of each split, adding up to 1.

    Returns:
        split of every image group and every music group, by name.
    """
    leads = len(music.names) <= len(images.names)
    first, second = (music, images) if leads else (images, music)
    used = np.array(shares) > 0
    wanted = np.array(shares) * first.sizes.sum()
    lead = spread(first, wanted, used & (min(len(first.names), len(second.names)) >= used.sum()))
    counts = _counts(first.sizes, lead, len(shares))
    follow = spread(second, counts, counts > 0)
    by_name = [dict(zip(g.names, s.tolist(), strict=True)) for g, s in ((first, lead), (second, follow))]
    return (by_name[1], by_name[0]) if leads else (by_name[0], by_name[1])


def spread(groups: Groups, wanted: npt.NDArray[np.float64], needed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Put groups where they are missing most, the largest first; then move and swap while that brings sizes nearer.

    Args:
        wanted: float64, shape (n_splits,): items that each split should have.
        needed: bool, shape (n_splits,): whether the split must not stay empty.

    Returns:
        int64, shape (n_groups,): the split of each group; those with a split for life keep it.
    """
    splits = groups.splits.copy()
    free = np.flatnonzero(splits < 0)
    counts = _counts(groups.sizes[splits >= 0], splits[splits >= 0], len(wanted))
    for group in free[np.argsort(-groups.sizes[free], kind="stable")]:
        splits[group] = int(np.argmax(wanted - counts))
        counts[splits[group]] += groups.sizes[group]
    if len(free) and (np.abs(counts - wanted).sum() > 0 or (needed & (counts == 0)).any()):
        _improve(groups.sizes, splits, free, wanted, needed)
    return splits


def _counts(sizes: npt.NDArray[np.int64], splits: npt.NDArray[np.int64], number: int) -> npt.NDArray[np.float64]:
    """Return the items in each split, shape (number,)."""
    return np.bincount(splits, weights=sizes, minlength=number).astype(np.float64)


def _cost(
    counts: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], needed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the distance to the wanted sizes along the last axis."""
    empty = ((counts <= 0) & needed).sum(axis=-1)
    return np.asarray(np.abs(counts - wanted).sum(axis=-1) + _EMPTY * empty)


def _improve(
    sizes: npt.NDArray[np.int64],
    splits: npt.NDArray[np.int64],
    free: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.float64],
    needed: npt.NDArray[np.bool_],
) -> None:
    """Take the best single move or swap until none helps; groups of one size and split are interchangeable."""
    for _ in range(_ROUNDS):
        counts = _counts(sizes, splits, len(wanted))
        kinds: dict[tuple[int, int], int] = {}
        for group in free.tolist():
            kinds.setdefault((int(sizes[group]), int(splits[group])), group)
        best = (float(_cost(counts, wanted, needed)) - 1e-9, (-1, -1), -1)
        for (size, at), group in sorted(kinds.items()):
            for to in range(len(wanted)):
                moved = counts.copy()
                moved[at] -= size
                moved[to] += size
                best = min(best, (float(_cost(moved, wanted, needed)), (group, to), -1))
            for (other_size, other_at), other in kinds.items():
                if other_at > at and other_size != size:
                    swapped = counts.copy()
                    swapped[at] += other_size - size
                    swapped[other_at] += size - other_size
                    best = min(best, (float(_cost(swapped, wanted, needed)), (group, other_at), other))
        _, (group, to), other = best
        if group < 0:
            return
        if other >= 0:
            splits[other] = splits[group]
        splits[group] = to


def winning_split(splits: Mapping[str, int], order: Sequence[str]) -> str:
    """Return the split that a group of several splits gets: the last in the order train, validation, test."""
    return max(splits, key=order.index)
