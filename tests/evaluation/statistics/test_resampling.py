"""Recordings, not clips, are drawn, left out and exchanged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from evaluation.statistics.resampling import (
    MAX_PARTS,
    REPLICATES,
    bootstrap_interval,
    bootstrap_weights,
    effective_groups,
    jackknife_error,
    jackknife_interval,
    jackknife_keeps,
    middle,
    p_value,
    permuted_orders,
)

GROUPS = np.array([2, 0, 1, 0, 3, 2, 2, 1])
NAMES = np.array(list("abcd"))

# Numbers of groups without gaps, in any order.
ANY_GROUPS = st.lists(st.integers(0, 5), min_size=1, max_size=30).map(
    lambda numbers: np.unique(numbers, return_inverse=True)[1].astype(np.int64)
)


def count(groups: np.ndarray) -> int:
    return int(groups.max()) + 1


@given(ANY_GROUPS, st.integers(0, 2**63 - 1))
def test_a_replicate_draws_as_many_recordings_as_there_are(groups: np.ndarray, seed: int) -> None:
    weights = bootstrap_weights(groups, seed, 5)
    first = np.unique(groups, return_index=True)[1]
    assert weights.shape == (6, len(groups))
    assert (weights[:, first].sum(axis=1) == count(groups)).all()
    assert (weights == weights[:, first][:, groups]).all()  # all clips of a recording count alike


def test_the_first_replicate_is_the_sample() -> None:
    weights = bootstrap_weights(GROUPS, 1)
    assert weights.shape == (1 + REPLICATES, len(GROUPS))
    assert (weights[0] == 1).all()
    assert len(np.unique(weights[1:], axis=0)) > 30  # of 35 ways to draw 4 of 4


def test_draws_depend_on_the_seed_alone() -> None:
    assert (bootstrap_weights(GROUPS, 1, 9) == bootstrap_weights(GROUPS.copy(), 1, 9)).all()
    assert (bootstrap_weights(GROUPS, 1, 9) != bootstrap_weights(GROUPS, 2, 9)).any()
    assert (jackknife_keeps(np.arange(99), 1) != jackknife_keeps(np.arange(99), 2)).any()
    orders = [np.stack(list(permuted_orders(GROUPS, seed, 9))) for seed in (1, 1, 2)]
    assert (orders[0] == orders[1]).all()
    assert (orders[0] != orders[2]).any()


@given(ANY_GROUPS, st.integers(1, 8), st.integers(0, 2**63 - 1))
def test_each_recording_is_left_out_once(groups: np.ndarray, parts: int, seed: int) -> None:
    keeps = jackknife_keeps(groups, seed, parts)
    n_parts = min(parts, count(groups)) if count(groups) > 1 else 0
    assert keeps.shape == (n_parts, len(groups))
    assert ((~keeps).sum(axis=0) == bool(n_parts)).all()
    assert len({(group, *keep) for group, keep in zip(groups, keeps.T, strict=True)}) == count(groups)


def test_parts_that_are_left_out_are_of_equal_size() -> None:
    left_out = (~jackknife_keeps(np.arange(50), 1)).sum(axis=1)
    assert sorted(left_out) == [2] * 10 + [3] * 10
    assert len(left_out) == MAX_PARTS


@given(ANY_GROUPS, st.integers(0, 2**63 - 1))
def test_a_shuffled_recording_gets_the_clips_of_one_recording_in_order(groups: np.ndarray, seed: int) -> None:
    (order,) = permuted_orders(groups, seed, 1)
    places = [np.flatnonzero(groups == group) for group in range(count(groups))]
    given_to = [groups[order[mine]][0] for mine in places]
    assert sorted(given_to) == list(range(count(groups)))
    expected = [np.resize(places[other], len(mine)) for mine, other in zip(places, given_to, strict=True)]
    assert [order[mine].tolist() for mine in places] == [each.tolist() for each in expected]


def test_every_exchange_of_recordings_is_equally_likely() -> None:
    orders = [tuple(order) for order in permuted_orders(np.arange(3), 5, 6_000)]
    times = [orders.count(order) for order in sorted(set(orders))]
    assert len(times) == 6
    assert min(times) > 850
    assert max(times) < 1_150


def test_clips_go_round_where_the_other_recording_is_shorter() -> None:
    orders = {"".join(NAMES[order]) for order in permuted_orders(np.array([0, 0, 0, 1]), 1, 20)}
    assert orders == {"abcd", "ddda"}


def test_many_recordings_have_plain_percentiles() -> None:
    values = np.concatenate([[0.0], np.linspace(-1, 1, 100_001)])
    assert bootstrap_interval(values, 10**9) == pytest.approx((-0.95, 0.95), abs=1e-4)


@pytest.mark.parametrize(
    # -z = t(n - 1) sqrt(n / (n - 1)): t from a table of Student's distribution.
    ("n_groups", "t"),
    [(6, 2.5706), (10, 2.2622), (31, 2.0423)],
)
def test_percentiles_lie_further_out_for_few_recordings(n_groups: int, t: float) -> None:
    normal = ndtri((np.arange(100_000) + 0.5) / 100_000)
    reach = t * np.sqrt(n_groups / (n_groups - 1))
    found = bootstrap_interval(np.concatenate([[0.0], normal]), n_groups)
    assert found == pytest.approx((-reach, reach), abs=0.02)


@pytest.mark.parametrize(("n_groups", "is_told"), [(1, False), (2, False), (5, False), (6, True)])
def test_a_thousand_replicates_of_five_recordings_tell_nothing(n_groups: int, is_told: bool) -> None:
    values = np.random.default_rng(1).normal(size=1 + REPLICATES)
    assert (bootstrap_interval(values, n_groups) is not None) == is_told


@pytest.mark.parametrize(("groups", "effective"), [([0, 1, 2], 3), ([0, 0, 1, 1], 2), ([0, 1, 2, 2, 2], 25 / 11)])
def test_groups_of_different_sizes_tell_less(groups: list[int], effective: float) -> None:
    assert effective_groups(np.array(groups)) == pytest.approx(effective)


def test_replicates_without_a_value_are_left_out() -> None:
    values = np.random.default_rng(1).normal(size=1 + REPLICATES)
    spoiled = np.insert(values, [3, 500, 700], np.nan)
    assert bootstrap_interval(spoiled, 20) == bootstrap_interval(values, 20)
    assert bootstrap_interval(np.concatenate([[np.nan], values[1:]]), 20) is None
    assert bootstrap_interval(np.concatenate([[1.0], np.full(REPLICATES, np.nan)]), 20) is None


def test_replicates_are_moved_onto_the_value() -> None:
    # A replicate counts pairs of one recording too often; here that moves all of them by 7.
    values = np.random.default_rng(1).normal(size=1 + REPLICATES)
    values[0] = values[1:].mean()
    moved = np.concatenate([values[:1], values[1:] + 7])
    assert bootstrap_interval(moved, 20) == pytest.approx(bootstrap_interval(values, 20))


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    sample = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    found = jackknife_error(np.array([np.delete(sample, place).mean() for place in range(5)]))
    assert found == pytest.approx((sample.std(ddof=1) / np.sqrt(5), 4))
    low, high = jackknife_interval(4.0, np.array([np.delete(sample, place).mean() for place in range(5)])) or (0, 0)
    assert (low + high) / 2 == pytest.approx(4)
    assert (high - low) / 2 == pytest.approx(2.7764 * sample.std(ddof=1) / np.sqrt(5), rel=1e-4)


def test_variances_of_two_samples_add() -> None:
    a, b = np.array([1.0, 2.0, 4.0]), np.array([1.0, 5.0, 2.0, 2.0])
    alone = [jackknife_error(values) or (0, 0) for values in (a, b)]
    error, freedom = jackknife_error(a, b) or (0, 0)
    assert error == pytest.approx(np.hypot(alone[0][0], alone[1][0]))
    assert 2 < freedom < 5
    assert jackknife_error(a, a * 1e-9) == pytest.approx(alone[0])


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, np.nan], [2.0, 2.0]], ids=["none", "one part", "NaN without one", "nothing varies"]
)
def test_a_jackknife_that_cannot_tell_says_so(values: list[float]) -> None:
    assert jackknife_error(np.array(values)) is None
    assert jackknife_interval(1.0, np.array(values)) is None


def test_a_p_value_counts_the_true_order_too() -> None:
    permuted = np.array([1.0, 2.0, 3.0, 4.0])
    assert p_value(3.5, permuted, "higher") == 2 / 5
    assert p_value(3.5, permuted, "lower") == 4 / 5
    assert p_value(9, permuted, "higher") == 1 / 5


def test_shufflings_that_change_nothing_but_the_last_digits_are_as_good() -> None:
    assert p_value(50 + 1e-12, np.full(9, 50.0), "higher") == 1


def test_the_middle_of_values() -> None:
    assert middle(np.linspace(0, 100, 1_001)) == pytest.approx((2.5, 97.5))
    assert middle(np.array([])) is None
