"""Scores of weighted items equal plain loops over items that are repeated as often as their weights say."""

import numpy as np
import pytest

from evaluation.metrics import _similarity, aic, ais, giils, iis, retrieval, win_rate_ais, win_rate_iis
from tests.evaluation.metrics.pairing import (
    LABELS,
    N_LABELS,
    N,
    counts,
    features,
    loop_aic,
    loop_giils,
    loop_lead,
    loop_ranks,
    loop_win_rate,
    mean,
    once,
    repeated,
)

IMAGES, OTHERS, WEIGHTS = features(1), features(2), counts(3)
ITEMS = [repeated(row) for row in WEIGHTS]


@pytest.fixture(params=[2, 5, 1_024], ids="blocks of {}".format)
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_similarity, "_ROWS", request.param)
    monkeypatch.setattr(_similarity, "_SIDE", request.param)


pytestmark = pytest.mark.usefixtures("_blocks")


@pytest.mark.parametrize(("metric", "name"), [(ais, "ais"), (iis, "iis")], ids=["ais", "iis"])
def test_similarity_of_pairs_equals_a_loop(metric, name: str) -> None:
    scores = metric.score(IMAGES, OTHERS, LABELS, N_LABELS, WEIGHTS)
    assert scores[name] == pytest.approx([loop_lead(IMAGES, OTHERS, items, items) for items in ITEMS])
    by_label = [
        [loop_lead(IMAGES, OTHERS, items, [i for i in items if LABELS[i] == label]) for label in range(N_LABELS)]
        for items in ITEMS
    ]
    assert scores[f"{name}_by_label"] == pytest.approx(np.array(by_label), nan_ok=True)


@pytest.mark.parametrize(
    ("metric", "name"), [(win_rate_ais, "win_rate_ais"), (win_rate_iis, "win_rate_iis")], ids=["ais", "iis"]
)
def test_win_rates_equal_a_loop(metric, name: str) -> None:
    scores = metric.score(IMAGES, OTHERS, WEIGHTS)
    assert scores[name] == pytest.approx([loop_win_rate(IMAGES, OTHERS, items) for items in ITEMS])


def test_likeness_within_labels_equals_a_loop() -> None:
    scores = giils.score(IMAGES, LABELS, N_LABELS, WEIGHTS)
    loops = np.array([[loop_giils(IMAGES, items, label) for label in range(N_LABELS)] for items in ITEMS])
    for place, name in enumerate(("giils", "giils_both_ends")):
        assert scores[f"{name}_by_label"] == pytest.approx(loops[:, :, place], nan_ok=True)
        assert scores[name] == pytest.approx(np.nanmean(loops[:, :, place], axis=1))


@pytest.mark.parametrize(
    ("name", "queries", "gallery"),
    [("music_to_image", OTHERS, IMAGES), ("image_to_music", IMAGES, OTHERS)],
    ids=["music to image", "image to music"],
)
def test_retrieval_equals_a_loop_over_queries(name: str, queries: np.ndarray, gallery: np.ndarray) -> None:
    scores = retrieval.score(IMAGES, OTHERS, WEIGHTS)
    ranks = [loop_ranks(queries, gallery, items) for items in ITEMS]
    for k in (1, 5, 10):
        assert scores[f"{name}_r{k}"] == pytest.approx([100 * mean([rank <= k for rank in each]) for each in ranks])
    assert scores[f"{name}_median_rank"] == pytest.approx([np.median(each) for each in ranks])


def test_label_accuracy_equals_a_loop() -> None:
    texts = features(4, N_LABELS)
    assert aic.score(IMAGES, texts, LABELS, WEIGHTS)["aic"] == pytest.approx(
        [loop_aic(IMAGES, texts, items) for items in ITEMS]
    )
    by_label = aic.score(IMAGES, texts, LABELS, once(N))["aic_by_label"]
    of = [[i for i in range(N) if LABELS[i] == label] for label in range(N_LABELS)]
    assert by_label == pytest.approx(np.array([[loop_aic(IMAGES, texts, items) for items in of]]), nan_ok=True)
