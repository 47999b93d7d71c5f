"""Whole groups into splits, as near to the wanted shares as the groups allow, in all and within each sub-genre.

**Distance.** W[s] is the number of items that split s should have: its share of all items, or what groups with a split
for life hold there already where that is more, the rest in proportion. W[s, g] is the same within sub-genre g, C[s] and
C[s, g] are what it gets. Sought is the smallest

    sum over s of ( |C[s] - W[s]| + sum over g of |C[s, g] - W[s, g]| )

among the splits within the bound that leave none empty: by moves and exchanges of single groups, of up to two at once
where there are few. That is not always the optimum; tests say how often it is.

**Bound.** With k splits that have a share, L the size of the largest group without a split, and H the size of the few
smallest groups that had to be held back because a split would have stayed empty (mostly none), every split ends with

    |C[s] - W[s]| <= (1 - 1/k) L + H,   for three splits two thirds of a group.

Proof. Call D[s] = W[s] - C[s] the deficit; deficits add up to the items not placed yet. Groups of one kind are first
divided by the shares, rounded down, which leaves all deficits >= 0. Each group left goes where the deficit is largest,
which is at least 1/k of what is not placed, hence of the group: no deficit falls below -(1 - 1/k) L. When H is left,
take a split with deficit d > 0. Each other one that got such a group had at least d before its last one, so has at
least d - L now, the others have at least 0; if m got one, d + m (d - L) <= H, so d <= (1 - 1/k) L + H. A group held
back goes where the deficit is largest, or fills an empty split, which it exceeds by no more than H. Moves and exchanges
that would break the bound are not made.

Sizes are counted in thousandths, in whole numbers: floating point would break ties differently on another machine.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

_UNIT = 1000  # to an item
_FORBIDDEN = -(2**62)  # gain of a step that may not be taken
_ROUNDS = 500  # of improvement; each makes the distance smaller, and a few dozen do
# A step compares all that may leave one split with all that may leave another. Of more kinds only the smallest are
# moved, which bring sizes nearest; two groups at once are worth the time where there are few to choose from.
_MOST_KINDS = 50
_FEW_GROUPS = 20
_MOST_PARCELS = 200


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one side of one label, in the order that decides ties.

    Attributes:
        sizes: int64, shape (n_groups, n_sub_genres): chosen items of each; no group without any.
        splits: int64, shape (n_groups,): the split that a group has for life, or -1.
    """

    sizes: Integers
    splits: Integers


def split_label(images: Groups, music: Groups, shares: Sequence[float]) -> tuple[Integers, Integers]:
    """Give each group of a label a split.

    The side with fewer groups is cut by the shares, for it has the least choice; the other side follows the sizes
    that come out. With as many groups on each side as there are splits, no split is empty.

    Args:
        shares: wanted share of each split, adding up to 1.

    Returns:
        int64, shape (n_groups,): split of every image group and of every music group.
    """
    leads = len(music.sizes) <= len(images.sizes)
    first, second = (music, images) if leads else (images, music)
    wanted = np.array(shares, dtype=np.float64)
    lead = spread(first, wanted, fill=min(len(first.sizes), len(second.sizes)) >= (wanted > 0).sum())
    counts = np.bincount(lead, weights=first.sizes.sum(axis=1), minlength=len(wanted))
    follow = spread(second, counts / counts.sum() if counts.any() else wanted, fill=True)
    return (follow, lead) if leads else (lead, follow)


def spread(groups: Groups, shares: Shares, *, fill: bool) -> Integers:
    """Give each group a split as near to the shares as the module's text says.

    Args:
        shares: float64, shape (n_splits,), adding up to 1; a split without a share gets no group.
        fill: leave no split with a share empty, as far as there are groups.

    Returns:
        int64, shape (n_groups,): the split of each group; those with a split for life keep it.
    """
    splits = groups.splits.copy()
    free = np.flatnonzero(splits < 0)
    if len(free):
        order, kinds, counts = _kinds(groups.sizes[free])
        placed = _Placing(groups, kinds, counts, shares, fill=fill).run()
        splits[free[order]] = np.repeat(np.tile(np.arange(len(shares)), len(kinds)), placed.ravel())
    return splits


def _kinds(sizes: Integers) -> tuple[Integers, Integers, Integers]:
    """Sort groups by size, the largest first; groups of the same sizes are one kind.

    Returns:
        their order, int64, shape (n_groups,); sizes of each kind, shape (n_kinds, n_sub_genres); groups of each kind.
    """
    order = np.lexsort([*sizes.T[::-1], -sizes.sum(axis=1)])
    ordered = sizes[order]
    starts = np.flatnonzero(np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)]))
    return order, ordered[starts], np.diff(starts, append=len(sizes))


def _wanted(total: int, held: Integers, shares: Shares) -> Integers:
    """Return what each split should have: its share, or what it holds already where that is more.

    Args:
        total: items to divide, those held included.
        held: int64, shape (n_splits,).
    """
    over = shares <= 0
    while True:
        left = total - int(held[over].sum())
        wanted = np.where(over, held, np.rint(left * shares / max(shares[~over].sum(), 1e-300)).astype(np.int64))
        more = ~over & (wanted < held)
        if not more.any():
            break
        over |= more
    if not over.all():
        wanted[np.argmax(np.where(over, -1, wanted))] += total - int(wanted.sum())  # what rounding lost
    return wanted


class _Placing:
    """The free groups of a side on their way into splits.

    Attributes:
        kinds: int64, shape (n_kinds, 1 + n_sub_genres): sizes of the kinds in units; the first column is the total,
            and the only one where there is one sub-genre.
        placed: int64, shape (n_kinds, n_splits): groups of each kind in each split.
        wanted, got: int64, shape (n_splits, 1 + n_sub_genres), in units.
    """

    def __init__(self, groups: Groups, kinds: Integers, counts: Integers, shares: Shares, *, fill: bool) -> None:
        self.shares, self.counts, self.fill = shares, counts, fill
        self.kinds = _with_total(kinds)
        sizes, splits = _with_total(groups.sizes), groups.splits
        self.held = np.array([sizes[splits == split].sum(axis=0) for split in range(len(shares))])
        columns = zip(sizes.sum(axis=0).tolist(), self.held.T, strict=True)
        self.wanted = np.array([_wanted(total, held, shares) for total, held in columns]).T
        self.open = np.flatnonzero(shares > 0)
        self.got: Integers = self.held
        self.placed: Integers = np.zeros((len(kinds), len(shares)), dtype=np.int64)

    def run(self) -> Integers:
        """Place all groups and return `placed`."""
        for held_back in range(min(len(self.open), int(self.counts.sum())) + 1):
            self._start(held_back)
            if not self.fill or (self.got[self.open, 0] > 0).all():
                break
        self._improve()
        if self.counts.sum() <= _FEW_GROUPS:
            self._kick()
        return self.placed

    def _start(self, held_back: int) -> None:
        """Divide each kind by the shares, then place what is left, the largest first; the smallest fill what is empty.

        Sets the limit that the module's text proves.
        """
        waiting = self.counts.copy()
        back = self._smallest(held_back)
        np.subtract.at(waiting, back, 1)
        deficit = np.maximum(0, self.wanted[:, 0] - self.held[:, 0])
        self.placed = waiting[:, None] * deficit // max(1, int(deficit.sum()))
        self.got = self.held + self.placed.T @ self.kinds
        for kind in np.repeat(np.arange(len(waiting)), waiting - self.placed.sum(axis=1)).tolist():
            self._place(kind, self.open)
        for kind in back:
            empty = self.open[self.got[self.open, 0] == 0]
            self._place(kind, empty if len(empty) else self.open)
        largest, held = int(self.kinds[0, 0]), int(self.kinds[back, 0].sum())
        self.limit = largest * (len(self.open) - 1) // len(self.open) + held + 1  # a unit for what rounding moved

    def _smallest(self, number: int) -> list[int]:
        """Return the kind of each of the smallest groups, which stand last."""
        ends = np.cumsum(self.counts)
        kinds: list[int] = np.searchsorted(ends, np.arange(ends[-1] - number, ends[-1]), side="right").tolist()
        return kinds

    def _place(self, kind: int, splits: Integers) -> None:
        split = splits[np.argmax(self.wanted[splits, 0] - self.got[splits, 0])]
        self.placed[kind, split] += 1
        self.got[split] += self.kinds[kind]

    def _improve(self) -> None:
        """Take the best move or exchange, as often as it helps, until none helps."""
        for _ in range(_ROUNDS):
            steps = [self._best(int(a), int(b)) for at, a in enumerate(self.open) for b in self.open[at + 1 :]]
            gain, a, b, moved = max(steps, key=lambda step: step[0], default=(0, 0, 0, self.counts))
            if gain <= 0:
                return
            self._move(a, b, moved * self._repeats(a, b, moved))

    def _kick(self) -> None:
        """Move each group elsewhere even if that leads away, for steps from there may lead nearer than before."""
        least = np.minimum(self.wanted % _UNIT, -self.wanted % _UNIT).sum()  # sizes are whole
        for kind, a, b in itertools.product(range(len(self.kinds)), self.open.tolist(), self.open.tolist()):
            distance = self._distance()
            if distance <= least:
                return
            if a != b and self.placed[kind, a]:
                before = self.placed.copy(), self.got.copy()
                self._move(a, b, np.eye(len(self.kinds), dtype=np.int64)[kind])
                self._improve()
                if self._distance() >= distance:
                    self.placed, self.got = before

    def _distance(self) -> int:
        """Return the distance to what is wanted, where it is allowed."""
        off, totals = np.abs(self.got - self.wanted), self.got[self.open, 0]
        broken = off[:, 0].max() > self.limit or (self.fill and (totals == 0).any())
        return -_FORBIDDEN if broken else int(off.sum())

    def _best(self, a: int, b: int) -> tuple[int, int, int, Integers]:
        """Return the best step between two splits: its gain, them, and how many groups of each kind go from a to b."""
        out, back = self._parcels(a), self._parcels(b)
        gain = self._gain(a, b, (out @ self.kinds)[:, None] - (back @ self.kinds)[None])
        at, to = np.unravel_index(np.argmax(gain), gain.shape)
        return int(gain[at, to]), a, b, out[at] - back[to]

    def _parcels(self, split: int) -> Integers:
        """Return what may leave a split in one step: nothing, one group, and where there are few groups also two.

        Returns:
            int64, shape (n_parcels, n_kinds): groups of each kind.
        """
        here = self.placed[:, split]
        kinds = np.flatnonzero(here)[-_MOST_KINDS:]
        one = np.zeros((1 + len(kinds), len(here)), dtype=np.int64)
        one[np.arange(1, len(one)), kinds] = 1
        if self.counts.sum() > _FEW_GROUPS:
            return one
        first, second = np.triu_indices(len(kinds))
        two = one[1 + first] + one[1 + second]
        return np.concatenate([one, two[(two <= here).all(axis=1)]])[:_MOST_PARCELS]

    def _gain(self, a: int, b: int, change: Integers) -> Integers:
        """Return how much nearer the sizes come when `change` goes from a to b.

        Args:
            change: int64, shape (..., 1 + n_sub_genres).
        """
        before = np.abs(self.got[[a, b]] - self.wanted[[a, b]]).sum()
        off_a, off_b = self.got[a] - change - self.wanted[a], self.got[b] + change - self.wanted[b]
        gain = before - np.abs(off_a).sum(axis=-1) - np.abs(off_b).sum(axis=-1)
        allowed = (np.abs(off_a[..., 0]) <= self.limit) & (np.abs(off_b[..., 0]) <= self.limit)
        if self.fill:
            allowed &= (self.got[a, 0] > change[..., 0]) & (self.got[b, 0] > -change[..., 0])
        return np.where(allowed, gain, _FORBIDDEN)

    def _repeats(self, a: int, b: int, moved: Integers) -> int:
        """Return how often a step is taken until the gain falls: it grows to one highest point."""
        change = moved @ self.kinds
        there = np.where(moved > 0, self.placed[:, a], self.placed[:, b])
        low, high = 1, int((there[moved != 0] // np.abs(moved[moved != 0])).min())
        while low < high:
            middle = (low + high) // 2
            here, next_ = self._gain(a, b, np.array([[middle], [middle + 1]]) * change)
            low, high = (middle + 1, high) if next_ > here else (low, middle)
        return low

    def _move(self, a: int, b: int, moved: Integers) -> None:
        """Move so many groups of each kind from a to b, from b to a where the number is negative."""
        self.placed[:, a] -= moved
        self.placed[:, b] += moved
        self.got[a] -= moved @ self.kinds
        self.got[b] += moved @ self.kinds


def _with_total(sizes: Integers) -> Integers:
    """Put the totals before the sizes of several sub-genres; the only sub-genre is the total."""
    parts = [sizes.sum(axis=1, keepdims=True), sizes] if sizes.shape[1] > 1 else [sizes]
    return _UNIT * np.concatenate(parts, axis=1).astype(np.int64)
