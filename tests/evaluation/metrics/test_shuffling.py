"""Scores of all shufflings at once equal those of shuffled arrays, one at a time, where each partner is given once."""

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


OF_LABELS = [name for name in SHUFFLED if metrics.get(name).SHUFFLED == "labels"]


@st.composite
def drawn(draw: st.DrawFn, may_repeat: bool) -> tuple[dict[str, Any], np.ndarray]:
    """Return arrays of few different rows, so that many items are equal, and orders, which may repeat some."""
    n = draw(st.integers(1, 14))
    kinds = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(draw(st.integers(1, 14)), 3))
    item = st.integers(0, n - 1)
    order = st.lists(item, min_size=n, max_size=n) if may_repeat else st.permutations(range(n))
    orders = np.array(draw(st.lists(order, min_size=1, max_size=6)), dtype=np.int64)
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


@pytest.fixture(params=[2, 5], scope="module")
def _blocks(request: pytest.FixtureRequest) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_shuffling, "_ROWS", request.param)
        yield


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("name", SHUFFLED)
@given(drawn(may_repeat=False))
def test_scores_at_once_are_those_of_shuffled_arrays(name: str, made: tuple[dict[str, Any], np.ndarray]) -> None:
    check_equal(name, *made)


@pytest.mark.parametrize("name", OF_LABELS)
@given(drawn(may_repeat=True))
def test_labels_may_be_given_to_any_number_of_items(name: str, made: tuple[dict[str, Any], np.ndarray]) -> None:
    check_equal(name, *made)


def by_hand(cosines: np.ndarray, order: np.ndarray) -> dict[str, float]:
    """Return what each measure says where item i has partner order[i], and is compared with all others, each once."""
    n = len(order)
    own = cosines[np.arange(n), order]
    others = np.array([np.delete(cosines[i], order[i]) for i in range(n)])
    images = np.array([np.delete(cosines[:, order[i]], i) for i in range(n)])
    lead = 50 + 100 / np.pi * np.arcsin(own.mean() - others.mean())
    win_rate = 100 * beaten(own, others).mean()
    found = {"ais": lead, "iis": lead, "win_rate_ais": win_rate, "win_rate_iis": win_rate}
    for name, gallery in (("music_to_image", images), ("image_to_music", others)):
        ranks = n - beaten(own, gallery).sum(axis=1)
        found |= {f"{name}_r{first}": 100 * (ranks <= first).mean() for first in (1, 5, 10)}
        found[f"{name}_median_rank"] = float(np.median(ranks))
    return found


def beaten(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return 1 where an item is nearer than another one, a half where both are equally near."""
    apart = own[:, None] - others
    return np.where(np.abs(apart) < 1e-5, 0.5, apart > 0)


@pytest.mark.parametrize("sizes", [[1] * 60, [1] * 30 + [10] * 3], ids=["recordings of a clip", "of 1 or 10"])
@pytest.mark.parametrize("name", [name for name in SHUFFLED if name not in OF_LABELS])
def test_partners_that_are_given_twice_do_not_tie_with_themselves(name: str, sizes: list[int]) -> None:
    draws = np.random.default_rng(1)
    images, others = draws.normal(size=(2, 60, 16)).astype(np.float32)
    others[50:53] = others[0]
    recordings = np.repeat(np.arange(len(sizes)), sizes)
    orders = np.stack(list(permuted_orders(recordings, 1, 20)))
    found = at_once(name, arrays(images, others, np.zeros(60, dtype=np.int64)), orders)
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, others)]
    for at, order in enumerate(orders):
        wanted = by_hand(units[0] @ units[1].T, order)
        assert {key: values[at] for key, values in found.items()} == pytest.approx(
            {key: wanted[key] for key in found}, rel=1e-6
        )
