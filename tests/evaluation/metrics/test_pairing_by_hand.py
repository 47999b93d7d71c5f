"""Pairing measures of arrays that a reader can reckon in his head, and of the extremes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import metrics
from evaluation.metrics import _similarity, aic, ais, giils, iis, retrieval, win_rate_ais, win_rate_iis
from tests.evaluation.metrics.pairing import CALLS, N_LABELS, D, Scores, features, labels_of, once

X, Y, Z = np.eye(3, dtype=np.float32)
NONE = np.zeros(3, dtype=np.int64)
ONE_LABEL = 1


def stack(*rows: np.ndarray) -> np.ndarray:
    return np.stack(rows)


@given(st.floats(-1, 1))
def test_both_expressions_of_the_score_are_equal(x: float) -> None:
    by_arccos = 100 * ((1 - 2 / math.pi * math.acos(x)) + 1) / 2
    assert float(_similarity.points(np.array(x))) == pytest.approx(by_arccos)


@pytest.mark.parametrize(("x", "points"), [(-1, 0), (0, 50), (0.5, 50 + 100 / 6), (1, 100), (2, 100), (-2, 0)])
def test_the_score_is_an_angle_in_points(x: float, points: float) -> None:
    assert float(_similarity.points(np.array(x))) == pytest.approx(points)


@pytest.mark.parametrize("metric", [ais, iis], ids=["ais", "iis"])
def test_similarity_of_pairs_by_hand(metric) -> None:
    # Own: 1, 0, 0. Others: image X sees Z and X (0 and 1), Y sees X and X (0), Z sees X and Z (0 and 1).
    found = metric.score(stack(X, Y, Z), stack(X, Z, X), NONE, ONE_LABEL, once(3))
    x = ((1 - 0.5) + (0 - 0) + (0 - 0.5)) / 3
    assert next(iter(found.values())) == pytest.approx(50 + 100 / math.pi * math.asin(x))


def test_the_length_of_features_does_not_count() -> None:
    images, clips = features(1), features(2)
    scales = np.geomspace(1e-30, 1e30, len(images), dtype=np.float32)[:, None]
    labels = labels_of(images)
    plain = ais.score(images, clips, labels, N_LABELS, once(len(images)))
    scaled = ais.score(images * scales, clips / scales, labels, N_LABELS, once(len(images)))
    assert scaled["ais"] == pytest.approx(plain["ais"])


def test_win_rate_by_hand() -> None:
    # Image X beats one clip and ties with one; Y ties twice; Z ties once and loses once.
    found = win_rate_ais.score(stack(X, Y, Z), stack(X, Z, X), once(3))["win_rate_ais"]
    assert found == pytest.approx(100 * (1.5 + 1 + 0.5) / 6)


def test_likeness_within_a_label_by_hand() -> None:
    # Of label 0 there are X, X and Y. What the others are like to: X 1/3 (X, Y, Z), X 1/3, Y 0.
    images, labels = stack(X, X, Y, Z), np.array([0, 0, 0, 1])
    found = giils.score(images, labels, 2, once(4))
    once_each = ((1 - 1 / 3) + (0 - 1 / 3) + (0 - 1 / 3)) / 3
    both_ends = ((1 - 1 / 3) * 2 + (0 - 1 / 3) * 2 + (0 - 0) * 2) / 6
    assert found["giils_by_label"][0] == pytest.approx([in_points(once_each), math.nan], nan_ok=True)
    assert found["giils_both_ends_by_label"][0] == pytest.approx([in_points(both_ends), math.nan], nan_ok=True)
    assert found["giils"] == pytest.approx(in_points(once_each))


def in_points(x: float) -> float:
    return 50 + 100 / math.pi * math.asin(x)


def test_label_accuracy_by_hand() -> None:
    found = aic.score(stack(X, X + Y / 2, Z), stack(X, Y), np.array([0, 1, 1]), once(3))
    # X is told from X; X + Y/2 from X, wrongly; Z is as far from both, so that half of it is told.
    assert found["aic"] == pytest.approx(100 * 1.5 / 3)
    assert found["aic_by_label"][0] == pytest.approx([100, 25])


def test_retrieval_by_hand() -> None:
    angles = np.linspace(0, 1, 12)
    images = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Clip k lies beside image k, but those of the last two are exchanged.
    found = retrieval.score(images, images[[*range(10), 11, 10]], once(12))
    assert found["music_to_image_r1"] == pytest.approx(100 * 10 / 12)
    assert found["image_to_music_r5"] == pytest.approx(100)
    assert found["music_to_image_median_rank"] == pytest.approx(1)


PERFECT = {
    "ais": 100.0,
    "iis": 100.0,
    "win_rate_ais": 100.0,
    "win_rate_iis": 100.0,
    "music_to_image_r1": 100.0,
    "image_to_music_median_rank": 1.0,
}


@pytest.mark.parametrize("name", ["ais", "iis", "win_rate_ais", "win_rate_iis", "retrieval"])
def test_perfect_pairs_have_the_best_score(name: str) -> None:
    apart = np.eye(13, dtype=np.float32)
    found = CALLS[name](apart, apart, once(13))
    assert {key: float(found[key][0]) for key in PERFECT if key in found} == {
        key: pytest.approx(value) for key, value in PERFECT.items() if key in found
    }


def test_perfect_labels_have_the_best_score() -> None:
    images = np.repeat(np.eye(2, dtype=np.float32), 5, axis=0)
    labels = np.repeat([0, 1], 5)
    assert aic.score(images, np.eye(2, dtype=np.float32), labels, once(10))["aic"] == pytest.approx(100)
    within, other = 1.0, 4 / 9
    found = giils.score(images, labels, 2, once(10))
    assert found["giils"] == pytest.approx(in_points(within - other))
    assert found["giils_both_ends"] == pytest.approx(in_points(within - other))


CONSTANT = {
    "ais": {"ais": 50.0},
    "iis": {"iis": 50.0},
    "giils": {"giils": 50.0, "giils_both_ends": 50.0},
    "win_rate_ais": {"win_rate_ais": 50.0},
    "win_rate_iis": {"win_rate_iis": 50.0},
    "retrieval": {"music_to_image_median_rank": 7.0, "image_to_music_median_rank": 7.0, "music_to_image_r1": 0.0},
    "aic": {"aic": 100.0 / N_LABELS},
}


@pytest.mark.parametrize("width", [D, 2_048])
@pytest.mark.parametrize("name", CONSTANT)
def test_constant_features_score_as_chance_does(name: str, width: int) -> None:
    images, others = (np.tile(features(seed, 1, width), (13, 1)) for seed in (1, 2))
    found = CALLS[name](images, others, once(13))
    assert {key: float(found[key][0]) for key in CONSTANT[name]} == pytest.approx(CONSTANT[name], abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"aic", "retrieval"}))
def test_a_single_item_has_no_score(name: str) -> None:
    found = CALLS[name](features(1, 1), features(2, 1), once(1))
    assert [key for key, values in found.items() if np.isfinite(values).any()] == []


def test_a_single_item_is_found_among_itself() -> None:
    assert retrieval.score(features(1, 1), features(2, 1), once(1))["music_to_image_median_rank"] == [1]


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"aic", "retrieval"}))
def test_a_replicate_of_one_item_has_no_score_and_spoils_no_other(name: str) -> None:
    images, others = features(1), features(2)
    alone = np.zeros((1, 13))
    alone[0, 4] = 13
    found = CALLS[name](images, others, np.concatenate([once(13), alone]))
    plain = CALLS[name](images, others, once(13))
    assert np.isnan(found[name][1])
    assert found[name][0] == pytest.approx(plain[name][0])


@pytest.mark.parametrize("name", CALLS)
def test_every_score_is_described_and_of_the_promised_shape(name: str) -> None:
    metric = metrics.get(name)
    found: Scores = CALLS[name](features(1), features(2), np.ones((3, 13)))
    whole = {key: values.shape for key, values in found.items() if not key.endswith(metrics.BY_LABEL)}
    by_label = {key.removesuffix(metrics.BY_LABEL): values.shape for key, values in found.items() if key not in whole}
    assert whole == dict.fromkeys(metric.MEASURES, (3,))
    assert set(by_label) <= set(whole)
    assert set(by_label.values()) <= {(3, N_LABELS)}
    assert metric.least_items(D) <= 13


def test_the_scores_of_two_papers_are_told_apart() -> None:
    titles = [one.title for metric in (ais, iis, win_rate_ais, win_rate_iis) for one in metric.MEASURES.values()]
    assert titles == ["AIS", "IIS", "AIS of AudioToken (win rate, %)", "IIS of AudioToken (win rate, %)"]
