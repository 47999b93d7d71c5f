"""What belongs together: duplicates, of which one is kept, and works, which lie in one split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Edges = list[tuple[int, int]]

# Of 3,160 pairs of the sample's 80 pictures the three near duplicates differ in 0 bits, all others in 16 or more.
MAX_PHASH_DISTANCE_BITS = 6


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which rows are duplicates of which.

    Attributes:
        kept_by: int64, shape (n,): the row that stays in place of this one, or -1 for a row that stays.
        reason: for each row, why it is a duplicate, or None.
    """

    kept_by: npt.NDArray[np.int64]
    reason: list[str | None]


def equal_rows(keys: Sequence[object | None]) -> Edges:
    """Link each row to the first that has the same key; None equals nothing."""
    first: dict[object, int] = {}
    return [(first[key], row) for row, key in enumerate(keys) if key is not None and first.setdefault(key, row) != row]


def similar_hashes(hashes: npt.NDArray[np.uint64], max_bits: int = MAX_PHASH_DISTANCE_BITS) -> Edges:
    """Link rows whose hashes differ in at most `max_bits` of 64 bits.

    Two such hashes agree on at least one of max_bits + 1 disjoint parts (pigeonhole), so only rows that share a part
    are compared.
    """
    # Equal hashes, of which a placeholder picture may have thousands, are linked to the first of them only.
    distinct, firsts, which = np.unique(hashes, return_index=True, return_inverse=True)
    edges = {(int(firsts[number]), row) for row, number in enumerate(which.tolist()) if firsts[number] != row}
    bounds = np.linspace(0, 64, max_bits + 2).astype(int)
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        part = (distinct >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(part, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
            for position, row in enumerate(rows[:-1]):
                others = rows[position + 1 :]
                near = others[np.bitwise_count(distinct[others] ^ distinct[row]) <= max_bits]
                ends = ((int(firsts[row]), int(firsts[other])) for other in near.tolist())
                edges.update((min(pair), max(pair)) for pair in ends)
    return sorted(edges)


def components(count: int, edges: Iterable[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Return the connected component of each of `count` rows, shape (count,), numbered from 0."""
    pairs = np.array(list(edges), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def of_released(
    exact: Edges,
    alike: Edges,
    similar: Edges,
    similar_reason: str,
    released: Sequence[bool],
    rank: Sequence[tuple[object, ...]],
) -> dict[int, tuple[int, str]]:
    """Find the new rows that duplicate a released one: the released row that ranks first, and the reason.

    Such a row is left out before groups are joined: a medley of ten recordings must not make one group of them.
    Rows of equal content or equal hash share one fate, for links lead to the first of them only.

    Args:
        exact: links between rows of equal content.
        alike: links between rows of equal hash.
        similar: links between rows of similar content.
    """
    count = len(rank)
    equal, content = components(count, exact), components(count, [*exact, *alike])
    leaders: dict[int, int] = {}  # content -> released row
    for row in sorted((row for row in range(count) if released[row]), key=lambda row: rank[row]):
        leaders.setdefault(int(content[row]), row)
    near: dict[int, int] = {}
    for a, b in [*similar, *((b, a) for a, b in similar)]:
        own, other = int(content[a]), int(content[b])
        if own not in leaders and other in leaders:
            near[own] = min(near.get(own, leaders[other]), leaders[other], key=lambda row: rank[row])
    found: dict[int, tuple[int, str]] = {}
    for row in range(count):
        own = int(content[row])
        if not released[row] and own in leaders:
            stays = leaders[own]
            found[row] = (stays, "exact_duplicate" if equal[row] == equal[stays] else similar_reason)
        elif own in near:
            found[row] = (near[own], similar_reason)
    return found


def keep_one(exact: Edges, similar: Edges, similar_reason: str, rank: Sequence[tuple[object, ...]]) -> Duplicates:
    """Of every cluster of duplicates keep the row that ranks first.

    Args:
        exact: links between rows of equal content.
        similar: links between rows of similar content.
        similar_reason: the reason of a row that no exact link ties to the one that stays.
        rank: for each row what decides, smallest first; no two are equal.
    """
    count = len(rank)
    cluster, equal = components(count, [*exact, *similar]), components(count, exact)
    best: dict[int, int] = {}
    for row in range(count):
        leader = best.setdefault(int(cluster[row]), row)
        if rank[row] < rank[leader]:
            best[int(cluster[row])] = row
    kept_by = np.full(count, -1, dtype=np.int64)
    reason: list[str | None] = [None] * count
    for row in range(count):
        leader = best[int(cluster[row])]
        if leader != row:
            kept_by[row] = leader
            reason[row] = "exact_duplicate" if equal[leader] == equal[row] else similar_reason
    return Duplicates(kept_by, reason)


def drop_details(
    duplicates: Duplicates, works: Sequence[str | None], details: Sequence[bool], rank: Sequence[tuple[object, ...]]
) -> None:
    """Mark a detail as a duplicate where a picture of the whole work stays."""
    whole: dict[str, int] = {}
    for row, work in enumerate(works):
        if work is not None and duplicates.kept_by[row] < 0 and not details[row]:
            leader = whole.setdefault(work, row)
            if rank[row] < rank[leader]:
                whole[work] = row
    for row, work in enumerate(works):
        if work is not None and details[row] and duplicates.kept_by[row] < 0 and work in whole:
            duplicates.kept_by[row] = whole[work]
            duplicates.reason[row] = "detail"
    twins = np.flatnonzero(duplicates.kept_by >= 0)
    further = duplicates.kept_by[duplicates.kept_by[twins]]  # the twin of a detail names what the detail gave way to
    duplicates.kept_by[twins] = np.where(further >= 0, further, duplicates.kept_by[twins])


def group_names(component: npt.NDArray[np.int64], sha256s: Sequence[str], earlier: Sequence[str | None]) -> list[str]:
    """Name each component for life: by a name that a member had in an earlier release, else by its smallest sha256."""
    names: dict[int, tuple[bool, str]] = {}
    for row, number in enumerate(component.tolist()):
        before = earlier[row]
        name = (before is None, before or sha256s[row][:16])
        names[number] = min(names.get(number, name), name)
    return [names[number][1] for number in component.tolist()]
