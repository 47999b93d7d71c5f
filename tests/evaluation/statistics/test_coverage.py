"""What intervals and p-values promise, held against simulated data sets of which the truth is known."""

from collections.abc import Iterator

import numpy as np
import pytest

from evaluation.metrics import ais, iis, retrieval, win_rate_ais
from evaluation.metrics._similarity import points
from evaluation.statistics.resampling import (
    bootstrap_interval,
    bootstrap_weights,
    effective_groups,
    p_value,
    permuted_orders,
)

RUNS = 400
REPLICATES = 300  # with fewer than the 1,000 of an evaluation the ends of an interval are only less even
D = 16
ALIKE = 0.7  # cosine of two clips of one recording


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn(draws: np.random.Generator, clips: np.ndarray) -> np.ndarray:
    """Return unit vectors in all directions, those of one recording alike.

    Args:
        clips: number of the recording of each clip.
    """
    recordings = unit(draws.normal(size=(clips.max() + 1, D)))
    own = unit(draws.normal(size=(len(clips), D)))
    return unit(np.sqrt(ALIKE) * recordings[clips] + np.sqrt(1 - ALIKE) * own)


def planted(draws: np.random.Generator, music: np.ndarray, clips: np.ndarray, strength: float) -> np.ndarray:
    """Return images whose cosine with their own clip is `strength` on average, and 0 with those of other recordings."""
    cosines = strength + 0.3 * draws.uniform(-1, 1, (len(clips), 1))
    noise = drawn(draws, clips)
    noise = unit(noise - np.einsum("ij,ij->i", noise, music)[:, None] * music)
    return cosines * music + np.sqrt(1 - cosines**2) * noise


def score(images: np.ndarray, music: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ais.score(images, music, np.zeros(len(images), dtype=np.int64), 1, weights)["ais"]


def intervals(clips: np.ndarray, resampled: np.ndarray, strength: float | None) -> Iterator[tuple[float, float]]:
    """Yield the interval of each simulated evaluation.

    Args:
        resampled: number of the group of each clip, that are drawn together.
        strength: of the planted signal; None: images do not depend on the music.
    """
    for run in range(RUNS):
        draws = np.random.default_rng(run)
        music = drawn(draws, clips)
        images = drawn(draws, clips) if strength is None else planted(draws, music, clips, strength)
        values = score(images, music, bootstrap_weights(resampled, run, REPLICATES))
        found = bootstrap_interval(values, effective_groups(resampled))
        assert found is not None
        yield found


def share_that_hold(truth: float, found: Iterator[tuple[float, float]]) -> float:
    return float(np.mean([low <= truth <= high for low, high in found]))


CLIPS = {
    "60 recordings of a clip": np.arange(60),
    "20 recordings of 3 clips": np.repeat(np.arange(20), 3),
    "30 recordings of a clip, 3 of 10": np.repeat(np.arange(33), [1] * 30 + [10] * 3),
    "8 recordings of 3 clips": np.repeat(np.arange(8), 3),
}


@pytest.mark.parametrize("clips", CLIPS.values(), ids=CLIPS)
def test_intervals_of_shuffled_pairs_hold_50_as_often_as_they_say(clips: np.ndarray) -> None:
    assert 0.92 <= share_that_hold(50, intervals(clips, clips, None)) <= 0.98


def test_intervals_by_clip_would_hold_50_less_often() -> None:
    # Why recordings are drawn: clips of one recording say much the same.
    assert share_that_hold(50, intervals(CLIPS["20 recordings of 3 clips"], np.arange(60), None)) < 0.9


def test_intervals_of_a_planted_signal_hold_its_size_as_often_as_they_say() -> None:
    clips = CLIPS["60 recordings of a clip"]
    truth = float(points(np.array(0.2)))
    assert 0.92 <= share_that_hold(truth, intervals(clips, clips, 0.2)) <= 0.98


def test_p_values_of_shuffled_pairs_are_small_as_rarely_as_they_say() -> None:
    # A p-value of 39 shufflings is at most 0.05 where at most one of them is as good.
    clips, ones = CLIPS["20 recordings of 3 clips"], np.ones((1, 60))
    small = 0
    for run in range(200):
        draws = np.random.default_rng(run)
        music, images = drawn(draws, clips), drawn(draws, clips)
        permuted = np.array([score(images, music[order], ones)[0] for order in permuted_orders(clips, run, 39)])
        small += p_value(score(images, music, ones)[0], permuted, "higher") <= 0.05
    assert 0.02 <= small / 200 <= 0.08


@pytest.mark.parametrize("metric", [iis, win_rate_ais, retrieval], ids=["iis", "win_rate_ais", "retrieval"])
def test_a_planted_signal_is_found(metric) -> None:
    clips = np.repeat(np.arange(40), 2)
    draws = np.random.default_rng(1)
    music = drawn(draws, clips)
    images, ones = planted(draws, music, clips, 0.5), np.ones((1, 80))
    labels = (np.zeros(80, dtype=np.int64), 1) if metric is iis else ()
    values = next(iter(metric.score(images, music, *labels, bootstrap_weights(clips, 1)).values()))
    orders = permuted_orders(clips, 1, 199)
    permuted = np.array([next(iter(metric.score(images, music[order], *labels, ones).values()))[0] for order in orders])
    low, _ = bootstrap_interval(values, 40) or (0, 0)
    assert low > permuted.mean()
    assert p_value(values[0], permuted, "higher") <= 0.01


@pytest.mark.parametrize("strength", [0.05, 0.2, 0.6])
def test_the_size_of_a_planted_signal_is_recovered(strength: float) -> None:
    clips = np.arange(1_000)
    draws = np.random.default_rng(2)
    music = drawn(draws, clips)
    values = score(planted(draws, music, clips, strength), music, bootstrap_weights(clips, 1, 400))
    low, high = bootstrap_interval(values, 1_000) or (0, 0)
    truth = float(points(np.array(strength)))
    assert 50 < low < truth < high
    assert values[0] == pytest.approx(truth, abs=0.5)
