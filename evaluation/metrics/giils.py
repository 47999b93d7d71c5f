"""Generated image-image label similarity: by how much images of one label are closer to each other than to all others.

Of a label: x = mean over pairs (i, j) of its images of [ s(g_i, g_j) - mean over all other images k of s(g_i, g_k) ],
s the cosine, then S(x) = 50 + (100 / pi) arcsin x; of all: the mean over labels. From 0 to 100, higher means that a
label's images are more alike; 50: no more than any. The other images k are of all labels, the pair's own included, as
in the paper. Where images of one recording, which has one label, are alike, chance is above 50: shuffling finds it.

`giils` is the paper's: each pair once, and what is taken off is the first image's: it depends on the order of the
images, which is the items'. `giils_both_ends` takes each pair from both ends, and does not.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from scipy import sparse

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_features, check_labels, check_weights
from evaluation.metrics._similarity import IMAGE_NETWORK, blocks, points, ratio, total, unit

MEASURES: Mapping[str, Measure] = {
    "giils": Measure("GIILS", "higher", 0, 100),
    "giils_both_ends": Measure("GIILS, both ends of each pair", "higher", 0, 100),
}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK,)
REFERENCE = "Baione 2024, section 4.1.3"
SHUFFLED: Literal["labels"] = "labels"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return 2


def score(generated: Floats, labels: Ints, n_labels: int, weights: Floats) -> dict[str, Floats]:
    """Return both in points, shape (n_replicates,), and of each label, (n_replicates, n_labels).

    A label without two images is NaN and left out of the mean. An image that counts several times makes no pair with
    itself.

    Args:
        generated: shape (n, d).
        labels: shape (n,), from 0 to n_labels - 1.
        weights: how often each item counts, shape (n_replicates, n).
    """
    check_features({"generated": generated})
    check_labels(labels, len(generated), n_labels)
    check_weights(weights, len(generated))
    everything = total(generated, weights)
    first, both = np.full((2, len(weights), n_labels), np.nan)
    for label in np.unique(labels):
        first[:, label], both[:, label] = _of_label(generated, np.flatnonzero(labels == label), weights, everything)
    first, both = points(first), points(both)
    return {
        "giils": _mean(first),
        "giils_by_label": first,
        "giils_both_ends": _mean(both),
        "giils_both_ends_by_label": both,
    }


def shuffled(generated: Floats, labels: Ints, n_labels: int, orders: Ints) -> dict[str, Floats]:
    """Return both of generated and labels[order], each of shape (n_permutations,)."""
    images = unit(generated)
    n = len(images)
    # Each image's mean cosine with all others; its cosine with itself is 1.
    rest: Floats = ratio(images @ images.sum(axis=0) - 1, np.full(n, n - 1))
    first, both = np.empty((2, len(orders), n_labels))
    for row, order in enumerate(orders):
        first[row], both[row] = _of_labels(images, labels[order], n_labels, rest)
    return {"giils": _mean(points(first)), "giils_both_ends": _mean(points(both))}


def _of_labels(images: Floats, labels: Ints, n_labels: int, rest: Floats) -> tuple[Floats, Floats]:
    """Return x of each label, every image counted once: by the first images of its pairs and by both.

    Args:
        images: unit vectors, shape (n, d).
        rest: shape (n,).
    """
    by_label = np.argsort(labels, kind="stable")
    label, counts = labels[by_label], np.bincount(labels, minlength=n_labels)
    ends = np.cumsum(counts)
    # A sparse product reads each image once, however many labels there are.
    vectors: Floats = sparse.csr_array((np.ones(len(labels)), by_label, np.append(0, ends))) @ images
    pairs = (counts * (counts - 1)).astype(np.float64)
    alike = ratio(np.einsum("ld,ld->l", vectors, vectors) - counts, pairs)
    after = ends[label] - 1 - np.arange(len(labels))
    rest_of_first = np.bincount(label, 2 * after * rest[by_label], n_labels).astype(np.float64)
    rest_of_both = np.bincount(labels, (counts[labels] - 1) * rest, n_labels).astype(np.float64)
    return alike - ratio(rest_of_first, pairs), alike - ratio(rest_of_both, pairs)


def _of_label(generated: Floats, places: Ints, weights: Floats, everything: Floats) -> tuple[Floats, Floats]:
    """Return x of one label, by the first images of its pairs and by both.

    Args:
        places: of the label's images, ascending.
        everything: weighted sum of all unit vectors, shape (n_replicates, d).
    """
    counted, of_label = weights.sum(axis=1, keepdims=True), weights[:, places].sum(axis=1, keepdims=True)
    vectors = np.zeros_like(everything)
    squares, rest_of_first, rest_of_both = np.zeros((3, len(weights)))
    before = np.zeros_like(of_label)
    for images, times in _walk(generated, places, weights):
        vectors += times @ images
        squares += np.einsum("ri,ri->r", times, times)
        rest = ratio(everything @ images.T - times, counted - times)  # an image's cosine with itself is 1
        after = of_label - before - np.cumsum(times, axis=1)
        rest_of_first += np.einsum("ri,ri,ri->r", times, after, rest)
        rest_of_both += np.einsum("ri,ri,ri->r", times, of_label - times, rest)
        before += times.sum(axis=1, keepdims=True)
    pairs = of_label[:, 0] ** 2 - squares  # each from both ends
    alike = ratio(np.einsum("rd,rd->r", vectors, vectors) - squares, pairs)
    return alike - ratio(2 * rest_of_first, pairs), alike - ratio(rest_of_both, pairs)


def _walk(generated: Floats, places: Ints, weights: Floats) -> Iterator[tuple[Floats, Floats]]:
    for rows in blocks(len(places)):
        yield unit(generated[places[rows]]), weights[:, places[rows]]


def _mean(by_label: Floats) -> Floats:
    known = np.isfinite(by_label)
    means: Floats = ratio(np.where(known, by_label, 0).sum(axis=1), known.sum(axis=1))
    return means
