"""Shuffled partners: all shufflings are looked up in one walk over the matrix of cosines.

An order gives item i what item order[i] has. Recordings of different sizes are exchanged, too, so an order may give one
item to several and another to none: then each counts as often as it is given, as it would in shuffled arrays.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from scipy import sparse

from evaluation.metrics import Floats, Ints
from evaluation.metrics._similarity import TIE, points, ratio, small_unit, unit

_ROWS = 256  # of the matrix: 25 MB of 24,216 columns in float32
_TOGETHER = 8  # rows that are counted together; what is counted of them stays in the processor's cache
_ORDERS = 128  # likewise
_CHUNK = 64  # items in the order of their cosines of which a sum is kept

_Times: TypeAlias = list[tuple[slice, Ints]]


def shuffled_lead(generated: Floats, others: Floats, orders: Ints) -> Floats:
    """Return what `lead` gives of generated and others[order], shape (n_permutations,).

    Args:
        generated: shape (n, d); others: likewise.
        orders: shape (n_permutations, n).
    """
    n, partners = len(generated), unit(others)
    own, everything = np.zeros(len(orders)), np.zeros(partners.shape[1])
    for rows in _blocks(n):
        images = unit(generated[rows])
        everything += images.sum(axis=0)
        own += np.take_along_axis(images @ partners.T, orders[:, rows].T, axis=1).sum(axis=0)
    to_all = partners @ everything  # of each partner, summed over all images
    rest = np.array([to_all[order].sum() for order in orders]) - own
    return points(ratio(own, np.full_like(own, n)) - ratio(rest, np.full_like(own, n * (n - 1))))


def shuffled_win_rate(generated: Floats, others: Floats, orders: Ints) -> Floats:
    """Return what `win_rate` gives of generated and others[order], shape (n_permutations,)."""
    n, won = len(generated), np.zeros(len(orders))
    for _, beaten in beaten_others(generated, others, orders):
        won += beaten.sum(axis=1, dtype=np.float64)
    return 100 * ratio(won, np.full_like(won, n * (n - 1)))


def beaten_others(generated: Floats, others: Floats, orders: Ints) -> Iterator[tuple[slice, Floats]]:
    """Count, for each image i, the j != i with s(g_i, o_order[j]) < s(g_i, o_order[i]), ties half.

    Yields:
        Some images and their counts, float32, shape (n_permutations, images).
    """
    times = _times(orders)
    for rows, cosines in _cosines(generated, others):
        if times is None:
            counts = np.stack([_beaten(row, row[orders[:, rows.start + at]]) for at, row in enumerate(cosines)], axis=1)
        else:
            counts = _beaten_as_often(cosines, orders[:, rows], times)
        yield rows, counts


def beaten_images(generated: Floats, others: Floats, orders: Ints) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Count, for each image i, the j != i with s(g_j, o_order[i]) < s(g_i, o_order[i]), ties half.

    Yields:
        Permutations, images and their counts, float32, each of shape (some,).
    """
    for rows, cosines in _cosines(others, generated):
        permutations, images = np.nonzero((orders >= rows.start) & (orders < rows.stop))
        given = orders[permutations, images] - rows.start
        by_row = np.argsort(given, kind="stable")
        permutations, images = permutations[by_row], images[by_row]
        ends = np.cumsum(np.bincount(given, minlength=len(cosines)))
        counts = [_beaten(row, row[of]) for row, of in zip(cosines, np.split(images, ends[:-1]), strict=True)]
        yield permutations, images, np.concatenate(counts)


def _beaten(cosines: Floats, mine: Floats) -> Floats:
    below, up_to = _places(np.sort(cosines), mine)
    halves: Floats = ((below + up_to - 1) / 2).astype(np.float32)
    return halves


def _places(ascending: Floats, mine: Floats) -> Ints:
    """Return how many cosines are surely less than each of mine, and how many are not surely more, shape (2, k)."""
    return np.stack([ascending.searchsorted(mine - TIE), ascending.searchsorted(mine + TIE, side="right")])


def _times(orders: Ints) -> _Times | None:
    """Return how often items are given, of some orders at a time, shape (n, orders); None if all are, once each."""
    n = orders.shape[1]
    small = np.min_scalar_type(-n - 1)  # holds any sum of them
    found = []
    for start in range(0, len(orders), _ORDERS):
        some = slice(start, min(start + _ORDERS, len(orders)))
        counts = [np.bincount(order, minlength=n).astype(small) for order in orders[some]]
        found.append((some, np.ascontiguousarray(np.stack(counts, axis=1))))
    return None if all((counts == 1).all() for _, counts in found) else found


def _beaten_as_often(cosines: Floats, orders: Ints, times: _Times) -> Floats:
    """Return the same as `_beaten` of each row, where items count as often as they are given.

    The sum of the counts of all that is farther is that of whole chunks of a row's items, in the order of their
    cosines, and of a part of one more: so few numbers are added for each order.

    Args:
        cosines: shape (rows, n); orders: shape (n_permutations, rows).
    """
    found = np.empty(orders.shape, dtype=np.float32)
    for start in range(0, len(cosines), _TOGETHER):
        some = cosines[start : start + _TOGETHER]
        items = np.argsort(some, axis=1)
        places = [
            _places(row[by], row[orders[:, start + at]]) for at, (row, by) in enumerate(zip(some, items, strict=True))
        ]
        for permutations, counts in times:
            before = _before_chunks(items, counts)
            for at, by in enumerate(items):
                sums = _sums(by, places[at][:, permutations], counts, before[at])
                found[permutations, start + at] = (sums[0] + sums[1] - 1) / 2
    return found


def _before_chunks(items: Ints, counts: Ints) -> Ints:
    """Return the sum of the counts of what comes before each chunk of a row's items, shape (rows, chunks, orders)."""
    n_rows, n = items.shape
    ends = np.minimum(np.arange(_CHUNK, n + _CHUNK, _CHUNK), n) + n * np.arange(n_rows)[:, None]
    members = (np.ones(items.size, dtype=counts.dtype), items.ravel(), np.append(0, ends.ravel()))
    sums = sparse.csr_array(members, shape=(ends.size, n)) @ counts
    before = np.zeros((n_rows, ends.shape[1] + 1, counts.shape[1]), dtype=counts.dtype)
    np.cumsum(sums.reshape(n_rows, -1, counts.shape[1]), axis=1, out=before[:, 1:])
    return before


def _sums(items: Ints, places: Ints, counts: Ints, before: Ints) -> Ints:
    """Return the sum of the counts of the first of a row's items, as many as places say, shape (2, orders)."""
    permutations = np.arange(counts.shape[1])
    chunk = places // _CHUNK
    within = chunk[..., None] * _CHUNK + np.arange(_CHUNK)
    rest = counts[items[np.minimum(within, len(items) - 1)], permutations[:, None]]
    sums: Ints = before[chunk, permutations] + np.where(within < places[..., None], rest, 0).sum(axis=-1)
    return sums


def _cosines(left: Floats, right: Floats) -> Iterator[tuple[slice, Floats]]:
    """Walk over whole rows of the matrix, float32."""
    left, right = small_unit(left), small_unit(right)
    return ((rows, left[rows] @ right.T) for rows in _blocks(len(left)))


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, n_rows)) for start in range(0, n_rows, _ROWS))
