"""Shuffled partners: all shufflings are looked up in one walk over the matrix of cosines.

An order gives item i the partner of item order[i]. What that is compared with stays as it is, each once: recordings of
different sizes are exchanged, too, so a partner may be given several times, and would else tie with itself.
"""

from collections.abc import Iterator

import numpy as np

from evaluation.metrics import Floats, Ints
from evaluation.metrics._similarity import TIE, points, ratio, small_unit, unit

_ROWS = 256  # of the matrix: 25 MB of 24,216 columns in float32, 50 in float64


def shuffled_lead(generated: Floats, others: Floats, orders: Ints) -> Floats:
    """Return what `lead` gives where item i has partner order[i], shape (n_permutations,).

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
    rest = everything @ partners.sum(axis=0) - own
    return points(ratio(own, np.full_like(own, n)) - ratio(rest, np.full_like(own, n * (n - 1))))


def shuffled_win_rate(generated: Floats, others: Floats, orders: Ints) -> Floats:
    """Return what `win_rate` gives where item i has partner order[i], shape (n_permutations,)."""
    n, won = len(generated), np.zeros(len(orders))
    for _, beaten in beaten_others(generated, others, orders):
        won += beaten.sum(axis=1, dtype=np.float64)
    return 100 * ratio(won, np.full_like(won, n * (n - 1)))


def beaten_others(generated: Floats, others: Floats, orders: Ints) -> Iterator[tuple[slice, Floats]]:
    """Count, for each image i, the j != order[i] with s(g_i, o_j) < s(g_i, o_order[i]), ties half.

    Yields:
        Some images and their counts, float32, shape (n_permutations, images).
    """
    for rows, cosines in _cosines(generated, others):
        counts = [_beaten(row, row[orders[:, rows.start + at]]) for at, row in enumerate(cosines)]
        yield rows, np.stack(counts, axis=1)


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
    """Return how many cosines are less than each of mine, which is one of them, ties half."""
    ascending = np.sort(cosines)
    below, up_to = ascending.searchsorted(mine - TIE), ascending.searchsorted(mine + TIE, side="right")
    halves: Floats = ((below + up_to - 1) / 2).astype(np.float32)
    return halves


def _cosines(left: Floats, right: Floats) -> Iterator[tuple[slice, Floats]]:
    """Walk over whole rows of the matrix, float32."""
    left, right = small_unit(left), small_unit(right)
    return ((rows, left[rows] @ right.T) for rows in _blocks(len(left)))


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, n_rows)) for start in range(0, n_rows, _ROWS))
