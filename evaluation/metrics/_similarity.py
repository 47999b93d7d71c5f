"""Cosine similarity of paired things and of all others, without the matrix of all pairs or a block of it at a time."""

from collections.abc import Iterator

import numpy as np

from evaluation.metrics import Floats, Ints

# The networks of Baione 2024, section 4.1.3, and of Wav2CLIP (Wu et al. 2022), whose space is that of CLIP ViT-B/32.
IMAGE_NETWORK = "CLIP ViT-B/32 (openai)"
MUSIC_NETWORK = "Wav2CLIP"

# Cosines of float32 vectors of some hundred numbers are sure to about 1e-6: nearer than this, two are equal.
TIE = 1e-5

_ROWS = 1_024  # of a block: with 1,000 replicates it takes 8 MB
_SIDE = 2_048  # of a tile of the matrix: 16 MB


def points(cosine: Floats) -> Floats:
    """Return S(x) = 50 + (100 / pi) arcsin x, the angle of a mean cosine in points: 50 means no closer than average.

    Baione 2024, section 4.1.3, without the second halving inside the arccos that the author's script has not. A
    difference of cosines can pass 1 where unpaired things point apart; it is taken for 1.
    """
    angles: Floats = np.arcsin(np.clip(cosine, -1, 1))
    return 50 + 100 / np.pi * angles


def unit(rows: Floats) -> Floats:
    """Return rows of length 1, float64, of the same shape: the squares of all float32 are in its range."""
    exact: Floats = rows.astype(np.float64)
    exact /= np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, None]
    return exact


def ratio(sums: Floats, counts: Floats) -> Floats:
    """Return sums / counts, NaN where nothing is counted."""
    found: Floats = np.full(np.shape(sums), np.nan)
    np.divide(sums, counts, out=found, where=counts > 0)
    return found


def blocks(n_rows: int) -> Iterator[slice]:
    """Walk over rows, a block at a time."""
    return (slice(start, min(start + _ROWS, n_rows)) for start in range(0, n_rows, _ROWS))


def total(features: Floats, weights: Floats) -> Floats:
    """Return the weighted sum of unit vectors in each replicate, shape (n_replicates, d).

    Args:
        features: shape (n, d).
        weights: shape (n_replicates, n).
    """
    sums = np.zeros((len(weights), features.shape[1]))
    for rows in blocks(len(features)):
        sums += weights[:, rows] @ unit(features[rows])
    return sums


def lead(generated: Floats, others: Floats, labels: Ints, n_labels: int, weights: Floats) -> tuple[Floats, Floats]:
    """Return by how much images are closer to what they are paired with than to the rest, in points.

    x = mean_i [ s(g_i, o_i) - mean over j != i of s(g_i, o_j) ], S once, on the mean. The sum over j of cosines is a
    product with a sum of unit vectors, so it takes O(n d) for each replicate. An item that counts several times is
    never taken for another one: j goes over the other items of the original sample.

    Args:
        generated: shape (n, d); others: what each is paired with, likewise.
        labels: shape (n,).
        weights: shape (n_replicates, n).

    Returns:
        Shapes (n_replicates,), and (n_replicates, n_labels) of the images of each label. NaN where there is no pair.
    """
    everything, counted = total(others, weights), weights.sum(axis=1, keepdims=True)
    sums, counts = np.zeros((len(weights), n_labels)), np.zeros((len(weights), n_labels))
    for rows in blocks(len(generated)):
        images, partners, times = unit(generated[rows]), unit(others[rows]), weights[:, rows]
        own = np.einsum("ij,ij->i", images, partners)
        rest = ratio(everything @ images.T - times * own, counted - times)
        has_label = np.eye(n_labels)[labels[rows]]
        sums += (times * (own - rest)) @ has_label
        counts += times @ has_label
    by_label = points(ratio(sums, counts))
    return points(ratio(sums.sum(axis=1), counts.sum(axis=1))), by_label


def win_rate(generated: Floats, others: Floats, weights: Floats) -> Floats:
    """Return the share of i, j != i with s(g_i, o_i) > s(g_i, o_j), in percent, shape (n_replicates,).

    Ties count half, so that 50 is chance where features are constant, too.

    Args:
        generated: shape (n, d); others: what each is paired with, likewise.
        weights: shape (n_replicates, n).
    """
    # Counts are small integers: float32 holds them exactly, and halves the time and the memory of the product.
    small = weights.astype(np.float32)
    own = own_cosines(generated, others)
    won = np.zeros(len(weights))
    for rows, columns, cosines in tiles(generated, others):
        mine = own[rows, None]
        beaten = np.add(cosines < mine - TIE, cosines <= mine + TIE, dtype=np.float32)  # 2, 1 of a tie, or 0
        won += np.einsum("ri,ri->r", weights[:, rows], small[:, columns] @ beaten.T) / 2
    pairs = weights.sum(axis=1) ** 2 - np.einsum("ri,ri->r", weights, weights)
    return 100 * ratio(won, pairs)


def own_cosines(generated: Floats, others: Floats) -> Floats:
    """Return s(g_i, o_i), float32, shape (n,)."""
    own = np.empty(len(generated), dtype=np.float32)
    for rows in blocks(len(generated)):
        own[rows] = np.einsum("ij,ij->i", unit(generated[rows]), unit(others[rows]))
    return own


def tiles(generated: Floats, others: Floats) -> Iterator[tuple[slice, slice, Floats]]:
    """Walk over the matrix of cosines, a tile at a time, in memory that does not grow with it.

    Yields:
        Rows (of generated), columns (of others) and their cosines, float32, which the next tile overwrites. An item's
        own cosine is NaN there: neither more nor less than any other.
    """
    left, right = small_unit(generated), small_unit(others)
    tile = np.empty((_SIDE, _SIDE), dtype=np.float32)
    for top in range(0, len(left), _SIDE):
        rows = slice(top, min(top + _SIDE, len(left)))
        for start in range(0, len(right), _SIDE):
            columns = slice(start, min(start + _SIDE, len(right)))
            cosines = np.matmul(left[rows], right[columns].T, out=tile[: rows.stop - top, : columns.stop - start])
            if top == start:
                np.fill_diagonal(cosines, np.nan)
            yield rows, columns, cosines


def small_unit(features: Floats) -> Floats:
    """Return rows of length 1, float32, of the same shape."""
    small = np.empty(features.shape, dtype=np.float32)
    for rows in blocks(len(features)):
        small[rows] = unit(features[rows])
    return small
