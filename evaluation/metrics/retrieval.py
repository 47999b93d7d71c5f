"""Retrieval: at what place the right image is found by a clip, and the right clip by an image.

All items are ranked by cosine. R@k: share of the queries whose right one is among the first k, in percent, from 0 to
100, higher is better; chance is 100 k / n. Median rank: from 1, lower is better; chance is (n + 1) / 2.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_paired, check_weights
from evaluation.metrics._shuffling import beaten_images, beaten_others
from evaluation.metrics._similarity import IMAGE_NETWORK, MUSIC_NETWORK, TIE, own_cosines, ratio, tiles

_FIRST = (1, 5, 10)
_DIRECTIONS = {"music_to_image": "Music to image", "image_to_music": "Image to music"}
_BLOCK = 64  # replicates whose median is sought together

MEASURES: Mapping[str, Measure] = {
    f"{name}_r{k}": Measure(f"{title}, R@{k} (%)", "higher", 0, 100)
    for name, title in _DIRECTIONS.items()
    for k in _FIRST
} | {
    f"{name}_median_rank": Measure(f"{title}, median rank", "lower", 1, None, digits=1)
    for name, title in _DIRECTIONS.items()
}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK, MUSIC_NETWORK)
REFERENCE = "Karpathy and Fei-Fei 2015, https://arxiv.org/abs/1412.2306"
SHUFFLED: Literal["music"] = "music"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return max(_FIRST) + 1  # among fewer, everything is found among the first


def score(generated: Floats, music: Floats, weights: Floats) -> dict[str, Floats]:
    """Return R@1, R@5, R@10 and median rank of both directions, each of shape (n_replicates,).

    Queries are resampled, what they search in stays: a replicate with fewer different items would be an easier one.

    Args:
        generated: shape (n, d); music: the items' clips, likewise.
        weights: how often each item counts as a query, shape (n_replicates, n).
    """
    check_paired({"generated": generated, "music": music})
    check_weights(weights, len(generated))
    scores = {}
    for name, ranks in zip(_DIRECTIONS, _ranks(generated, music), strict=True):
        for k in _FIRST:
            scores[f"{name}_r{k}"] = 100 * ratio(weights @ (ranks <= k), weights.sum(axis=1))
        scores[f"{name}_median_rank"] = _medians(ranks, weights)
    return scores


def shuffled(generated: Floats, music: Floats, orders: Ints) -> dict[str, Floats]:
    """Return the same where item i has the clip of item order[i], each of shape (n_permutations,)."""
    ranks = np.empty(orders.shape, dtype=np.float32)  # all of them, for the median; halves are exact
    for permutations, images, beaten in beaten_images(generated, music, orders):
        ranks[permutations, images] = len(generated) - beaten
    scores = _of_ranks("music_to_image", ranks)
    for rows, beaten in beaten_others(generated, music, orders):
        ranks[:, rows] = len(generated) - beaten
    return scores | _of_ranks("image_to_music", ranks)


def _of_ranks(name: str, ranks: Floats) -> dict[str, Floats]:
    """Return the scores of one direction, of ranks of shape (n_permutations, n) that count once each."""
    scores: dict[str, Floats] = {f"{name}_r{k}": 100 * (ranks <= k).mean(axis=1) for k in _FIRST}
    return scores | {f"{name}_median_rank": np.array([np.median(row) for row in ranks], dtype=np.float64)}


def _ranks(generated: Floats, music: Floats) -> tuple[Floats, Floats]:
    """Return the places, from 1, of each clip's image and of each image's clip; ties count half."""
    own = own_cosines(generated, music)
    by_clip, by_image = np.ones((2, len(own)))
    for images, clips, cosines in tiles(generated, music):
        for ranks, queries, mine, axis in (
            (by_clip, clips, own[None, clips], 0),
            (by_image, images, own[images, None], 1),
        ):
            ahead = (cosines > mine + TIE).sum(axis=axis, dtype=np.uint16)
            not_behind = (cosines >= mine - TIE).sum(axis=axis, dtype=np.uint16)
            ranks[queries] += (ahead.astype(np.float64) + not_behind) / 2
    return by_clip, by_image


def _medians(ranks: Floats, weights: Floats) -> Floats:
    """Return the median of ranks that are repeated as often as their weights say, for each replicate."""
    order = np.argsort(ranks, kind="stable")
    ranks = ranks[order]
    medians = np.empty(len(weights))
    for start in range(0, len(weights), _BLOCK):
        replicates = slice(start, start + _BLOCK)
        until = np.cumsum(weights[replicates][:, order], axis=1)
        half = until[:, -1:] / 2
        lower, upper = (until >= half).argmax(axis=1), (until > half).argmax(axis=1)
        medians[replicates] = (ranks[lower] + ranks[upper]) / 2
    return medians
