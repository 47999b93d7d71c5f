"""Scores of all shufflings at once equal those of shuffled arrays, one at a time."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import metrics
from evaluation.metrics import _shuffling
from evaluation.statistics.resampling import permuted_orders

SHUFFLED = [name for name in metrics.names() if metrics.get(name).SHUFFLED is not None]
N_LABELS = 4


@st.composite
def drawn(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """Return arrays of few different rows, so that many items are equal, and orders that repeat some."""
    n = draw(st.integers(1, 14))
    kinds = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(draw(st.integers(1, 14)), 3))
    item = st.integers(0, n - 1)
    either = st.permutations(range(n)) | st.lists(item, min_size=n, max_size=n)
    orders = np.array(draw(st.lists(either, min_size=1, max_size=6)), dtype=np.int64)
    rows = st.lists(st.integers(0, len(kinds) - 1), min_size=n, max_size=n)
    labels = np.array(draw(st.lists(st.integers(0, N_LABELS - 2), min_size=n, max_size=n)))  # nothing is of the last
    return arrays(*(kinds[draw(rows)].astype(np.float32) for _ in range(2)), labels), orders


def arrays(images: np.ndarray, others: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    texts = np.eye(N_LABELS, images.shape[1], dtype=np.float32) + np.float32(0.1)
    paired = {"generated": images, "music": others, "partners": others}
    return paired | {"texts": texts, "labels": labels, "n_labels": N_LABELS}


def at_once(name: str, given: dict[str, Any], orders: np.ndarray) -> dict[str, np.ndarray]:
    metric = metrics.get(name)
    asked = inspect.signature(metric.shuffled).parameters
    return metric.shuffled(**{key: given[key] for key in asked if key != "orders"}, orders=orders)


def one_at_a_time(name: str, given: dict[str, Any], orders: np.ndarray) -> dict[str, np.ndarray]:
    metric = metrics.get(name)
    asked = inspect.signature(metric.score).parameters
    given = {key: given[key] for key in asked if key != "weights"} | {"weights": np.ones((1, orders.shape[1]))}
    each = [metric.score(**given | {str(metric.SHUFFLED): given[str(metric.SHUFFLED)][order]}) for order in orders]
    return {key: np.array([scores[key][0] for scores in each]) for key in metric.MEASURES}


def check_equal(name: str, given: dict[str, Any], orders: np.ndarray) -> None:
    found, wanted = at_once(name, given, orders), one_at_a_time(name, given, orders)
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key].dtype == np.float64
        assert found[key] == pytest.approx(values, rel=1e-10, nan_ok=True), key


@pytest.fixture(params=[(2, 2, 2, 2), (5, 3, 4, 3), (256, 8, 128, 64)], ids=str, scope="module")
def _blocks(request: pytest.FixtureRequest) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in zip(("_ROWS", "_TOGETHER", "_ORDERS", "_CHUNK"), request.param, strict=True):
            patched.setattr(_shuffling, name, value)
        yield


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("name", SHUFFLED)
@given(drawn())
def test_scores_at_once_are_those_of_shuffled_arrays(name: str, made: tuple[dict[str, Any], np.ndarray]) -> None:
    check_equal(name, *made)


@pytest.mark.parametrize("sizes", [[1] * 300, [1] * 100 + [40] * 5], ids=["recordings of a clip", "of 1 or 40"])
@pytest.mark.parametrize("name", SHUFFLED)
def test_scores_at_once_are_those_of_shuffled_arrays_of_many_items(name: str, sizes: list[int]) -> None:
    draws = np.random.default_rng(1)
    images, others = draws.normal(size=(2, 300, 16)).astype(np.float32)
    others[150:170] = others[0]
    recordings = np.repeat(np.arange(len(sizes)), sizes)
    orders = np.stack(list(permuted_orders(recordings, 1, 140)))
    check_equal(name, arrays(images, others, draws.integers(0, N_LABELS, 300)), orders)
