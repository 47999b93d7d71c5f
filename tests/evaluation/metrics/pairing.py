"""Arrays that tests of pairing measures share, and the measures written as a reader of the paper would: with loops."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from evaluation.metrics import aic, ais, giils, iis, retrieval, win_rate_ais, win_rate_iis

Scores = dict[str, np.ndarray]

D = 8
LABELS = np.array([0, 1, 0, 2, 1, 0, 2, 0, 1, 1, 0, 2, 2])
N_LABELS = 4  # nothing is of the last
N = len(LABELS)

# How each measure is called with images, what they are paired with, and weights.
CALLS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Scores]] = {
    "ais": lambda images, others, weights: ais.score(images, others, labels_of(images), N_LABELS, weights),
    "iis": lambda images, others, weights: iis.score(images, others, labels_of(images), N_LABELS, weights),
    "giils": lambda images, others, weights: giils.score(images, labels_of(images), N_LABELS, weights),
    "win_rate_ais": win_rate_ais.score,
    "win_rate_iis": win_rate_iis.score,
    "retrieval": retrieval.score,
    "aic": lambda images, others, weights: aic.score(images, others[:N_LABELS], labels_of(images), weights),
}


def labels_of(images: np.ndarray) -> np.ndarray:
    return np.resize(LABELS, len(images))


def features(seed: int, n: int = N, d: int = D) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def once(n: int) -> np.ndarray:
    return np.ones((1, n))


def counts(seed: int, n_replicates: int = 5, n: int = N) -> np.ndarray:
    """Return weights: the sample itself, then replicates in which some items count often and some not at all."""
    return np.concatenate([once(n), np.random.default_rng(seed).integers(0, 4, (n_replicates, n)).astype(float)])


def repeated(weights: np.ndarray) -> list[int]:
    return [item for item, times in enumerate(weights) for _ in range(int(times))]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    x, y = a.astype(float), b.astype(float)
    return float(x @ y / math.sqrt((x @ x) * (y @ y)))


def in_points(x: float) -> float:
    return 100 * ((1 - 2 / math.pi * math.acos(x)) + 1) / 2


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else math.nan


def rest(images: np.ndarray, others: np.ndarray, items: list[int], i: int) -> float:
    """Return the mean cosine of image i with all that is not its own."""
    return mean([cosine(images[i], others[j]) for j in items if j != i])


def loop_lead(images: np.ndarray, others: np.ndarray, items: list[int], of: list[int]) -> float:
    return in_points(mean([cosine(images[i], others[i]) - rest(images, others, items, i) for i in of]))


def loop_win_rate(images: np.ndarray, others: np.ndarray, items: list[int]) -> float:
    own = {i: cosine(images[i], others[i]) for i in items}
    return 100 * mean([cosine(images[i], others[j]) < own[i] for i in items for j in items if i != j])


def loop_giils(images: np.ndarray, items: list[int], label: int) -> tuple[float, float]:
    """Return the paper's, of each pair once, and the one of both ends."""
    of = [i for i in items if LABELS[i] == label]
    first, both = [], []
    for place, i in enumerate(of):
        for other_place, j in enumerate(of):
            if i != j:
                x = cosine(images[i], images[j]) - rest(images, images, items, i)
                both.append(x)
                first += [x] * (place < other_place)
    return in_points(mean(first)), in_points(mean(both))


def loop_ranks(queries: np.ndarray, gallery: np.ndarray, items: list[int]) -> list[int]:
    def rank(i: int) -> int:
        own = cosine(queries[i], gallery[i])
        return 1 + sum(cosine(queries[i], gallery[j]) > own for j in range(len(gallery)) if j != i)

    return [rank(i) for i in items]


def loop_aic(images: np.ndarray, texts: np.ndarray, items: list[int]) -> float:
    nearest = [max(range(len(texts)), key=lambda text: cosine(images[i], texts[text])) for i in items]
    return 100 * mean([label == LABELS[i] for label, i in zip(nearest, items, strict=True)])
