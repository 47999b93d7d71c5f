"""AudioToken's audio-image content: how often the label of the music is told from the image, zero-shot, in percent.

An image is said to be of the label whose prompt is nearest to it. From 0 to 100, higher is better; chance depends on
the labels of the items and of the images, and is found by shuffling.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_features, check_labels, check_weights
from evaluation.metrics._similarity import IMAGE_NETWORK, TIE, blocks, ratio, unit

MEASURES: Mapping[str, Measure] = {"aic": Measure("AIC of AudioToken (zero-shot label accuracy, %)", "higher", 0, 100)}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK,)
REFERENCE = "Yariv et al. 2023, https://arxiv.org/abs/2305.13050"
SHUFFLED: Literal["labels"] = "labels"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return 1


def score(generated: Floats, texts: Floats, labels: Ints, weights: Floats) -> dict[str, Floats]:
    """Return "aic" in percent, shape (n_replicates,), and of the items of each label, (n_replicates, n_labels).

    Args:
        generated: shape (n, d).
        texts: a prompt for each label, shape (n_labels, d).
        labels: of the music, shape (n,), from 0 to n_labels - 1.
        weights: how often each item counts, shape (n_replicates, n).
    """
    check_features({"generated": generated, "texts": texts})
    check_labels(labels, len(generated), len(texts))
    check_weights(weights, len(generated))
    of_label = np.eye(len(texts))[labels]
    told = (weights * _told(generated, texts)[np.arange(len(labels)), labels]) @ of_label
    counts = weights @ of_label
    return {"aic": 100 * ratio(told.sum(axis=1), counts.sum(axis=1)), "aic_by_label": 100 * ratio(told, counts)}


def shuffled(generated: Floats, texts: Floats, labels: Ints, orders: Ints) -> dict[str, Floats]:
    """Return "aic" of generated and labels[order], shape (n_permutations,)."""
    told, items = _told(generated, texts), np.arange(len(labels))
    return {"aic": np.array([100 * told[items, labels[order]].mean() for order in orders])}


def _told(generated: Floats, texts: Floats) -> Floats:
    """Return 1 for the label that is told of an image and 0 for the others, shape (n, n_labels).

    Labels that are equally near share the 1.
    """
    told = np.empty((len(generated), len(texts)))
    prompts = unit(texts)
    for rows in blocks(len(generated)):
        cosines = unit(generated[rows]) @ prompts.T
        nearest = cosines >= cosines.max(axis=1, keepdims=True) - TIE
        told[rows] = nearest / nearest.sum(axis=1, keepdims=True)
    return told
