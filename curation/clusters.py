"""What belongs together: duplicates, of which one is kept, and works, which lie in one split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.columns import HEAD_DIGITS, Bools, Ints, Keys, first_rows, group_starts, heads, mask, taken

Edges = Ints  # shape (n_edges, 2): rows that are linked
Reasons = npt.NDArray[np.object_]  # shape (n,): why a row is a duplicate, or None

NO_EDGES: Edges = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which rows are duplicates of which.

    Attributes:
        kept_by: int64, shape (n,): the row that stays in place of this one, or -1 for a row that stays.
        reason: for each row, why it is a duplicate, or None.
    """

    kept_by: Ints
    reason: Reasons


def equal_rows(numbers: Ints) -> Edges:
    """Link each row to the first that has the same number; a negative number equals nothing."""
    first = first_rows(numbers, int(numbers.max(initial=-1)) + 1)
    rows = np.flatnonzero(numbers >= 0)
    edges = np.stack([first[numbers[rows]], rows], axis=1)
    different: Edges = edges[edges[:, 0] != edges[:, 1]]
    return different


def components(count: int, *edges: Edges) -> Ints:
    """Return the connected component of each of `count` rows, shape (count,), numbered from 0."""
    links = np.concatenate([NO_EDGES, *edges])
    graph = coo_array((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def of_released(
    exact: Edges, alike: Edges, similar: Edges, similar_reason: str, released: Bools, rank: Ints
) -> Duplicates:
    """Find the new rows that duplicate a released one: the released row that ranks first, and the reason.

    Such a row is left out before groups are joined: a medley of ten recordings must not make one group of them.
    Rows of equal content or equal hash share one fate, for other links lead to the first of them only.

    Args:
        exact: links between rows of equal content.
        alike: links between similar rows of equal hash.
        similar: links between rows of similar content.
        released: shape (n,).
        rank: shape (n,): the smallest stays; no two are equal.
    """
    count = len(rank)
    equal, content = components(count, exact), components(count, exact, alike)
    leaders = _first(content, np.flatnonzero(released), rank)
    kept_by = np.where(released, -1, leaders[content])
    reason = np.full(count, None, dtype=object)
    twins = np.flatnonzero(kept_by >= 0)
    reason[twins] = _reasons(equal[twins] == equal[kept_by[twins]], similar_reason)

    own, other = content[np.concatenate([similar, similar[:, ::-1]])].T
    near = (leaders[own] < 0) & (leaders[other] >= 0)
    links = _first(own[near], np.arange(near.sum()), rank[leaders[other[near]]], size=count)
    of_content = np.where(links >= 0, leaders[other[near]][links], -1) if near.any() else links
    found = np.flatnonzero((kept_by < 0) & (of_content[content] >= 0))
    kept_by[found], reason[found] = of_content[content[found]], similar_reason
    return Duplicates(kept_by, reason)


def keep_one(exact: Edges, similar: Edges, similar_reason: str, rank: Ints) -> Duplicates:
    """Of every cluster of duplicates keep the row that ranks first.

    Args:
        exact: links between rows of equal content.
        similar: links between rows of similar content.
        similar_reason: the reason of a row that no exact link ties to the one that stays.
        rank: shape (n,): the smallest stays; no two are equal.
    """
    count = len(rank)
    cluster, equal = components(count, exact, similar), components(count, exact)
    leaders = _first(cluster, np.arange(count), rank)[cluster]
    twins = np.flatnonzero(leaders != np.arange(count))
    kept_by, reason = np.full(count, -1, dtype=np.int64), np.full(count, None, dtype=object)
    kept_by[twins] = leaders[twins]
    reason[twins] = _reasons(equal[leaders[twins]] == equal[twins], similar_reason)
    return Duplicates(kept_by, reason)


def drop_details(found: Duplicates, works: Ints, details: Bools, rank: Ints) -> None:
    """Mark a detail as a duplicate where a picture of the whole work stays.

    Args:
        works: int64, shape (n,): the number of each row's work, negative where nothing tells it.
        details: shape (n,).
    """
    stays = (works >= 0) & (found.kept_by < 0)
    details_left = np.flatnonzero(stays & details)
    count = int(works.max(initial=-1)) + 1
    whole = _first(works, np.flatnonzero(stays & ~details), rank, size=count)[works[details_left]]
    found.kept_by[details_left] = whole
    found.reason[details_left[whole >= 0]] = "detail"
    twins = np.flatnonzero(found.kept_by >= 0)
    further = found.kept_by[found.kept_by[twins]]  # the twin of a detail names what the detail gave way to
    found.kept_by[twins] = np.where(further >= 0, further, found.kept_by[twins])


def group_names(component: Ints, sha256s: pa.Array, earlier: pa.Array) -> pa.Array:
    """Name each component for life: by a name that a member had in an earlier release, else by its smallest sha256.

    Args:
        component: shape (n,): of each row, numbered from 0.
        earlier: the name that the group of each row had; null for what is new.

    Returns:
        the name of every component, in the order of their numbers.
    """
    count = int(component.max(initial=-1)) + 1
    smallest = _first(component, np.arange(len(component)), heads(sha256s), size=count)
    new_names = pc.utf8_slice_codeunits(taken(sha256s, smallest), 0, HEAD_DIGITS)
    old = np.flatnonzero(mask(earlier.is_valid()))
    order = np.full(len(component), -1, dtype=np.int64)
    order[old] = pc.rank(taken(earlier, old), tiebreaker="first").to_numpy()
    return pc.coalesce(taken(earlier, _first(component, old, order, size=count)), new_names)


def _first(of: Ints, rows: Ints, rank: Ints | Keys, size: int | None = None) -> Ints:
    """Return for each number the one of these rows that has the number and ranks first, or -1.

    Args:
        of: shape (n,): the number of each row.
        rank: shape (n,).
        size: how many numbers there are; as many as rows without it.
    """
    found = np.full(len(of) if size is None else size, -1, dtype=np.int64)
    found[of[rows]] = rows  # final where no other row has the number
    rows = rows[np.bincount(of[rows], minlength=1)[of[rows]] > 1]
    order = rows[np.lexsort((rank[rows], of[rows]))]
    firsts = order[group_starts(of[order])]
    found[of[firsts]] = firsts
    return found


def _reasons(are_equal: Bools, similar_reason: str) -> Reasons:
    return np.where(are_equal, "exact_duplicate", similar_reason).astype(object)
