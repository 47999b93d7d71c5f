"""The learning rate is a function of the step."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.fitting.schedule import learning_rate, peak, share
from training.recipe import Optimizer, Schedule

KINDS = st.sampled_from(["constant", "cosine"])


@given(kind=KINDS, warmup=st.integers(0, 500), steps=st.integers(1, 2_000))
def test_the_share_is_never_below_0_or_above_1(kind, warmup, steps):
    shares = [share(Schedule(kind=kind, warmup_steps=warmup), step, steps) for step in range(1, steps + 1)]

    assert min(shares) >= 0
    assert max(shares) <= 1


@given(kind=KINDS, warmup=st.integers(2, 500), steps=st.integers(2, 2_000))
def test_a_warm_up_rises_by_equal_parts_to_the_peak(kind, warmup, steps):
    schedule = Schedule(kind=kind, warmup_steps=warmup)
    rises = [share(schedule, step, steps) for step in range(1, min(warmup, steps) + 1)]

    assert rises == pytest.approx([step / warmup for step in range(1, len(rises) + 1)])
    assert steps < warmup or rises[-1] == 1


@given(warmup=st.integers(0, 500), steps=st.integers(1, 2_000))
def test_a_cosine_ends_at_exactly_0_and_never_rises_after_its_warm_up(warmup, steps):
    schedule = Schedule(kind="cosine", warmup_steps=warmup)
    shares = [share(schedule, step, steps) for step in range(max(warmup, 1), steps + 1)]

    assert steps <= warmup or shares[-1] == 0.0
    assert shares == sorted(shares, reverse=True)


@given(warmup=st.integers(0, 500), half=st.integers(1, 1_000))
def test_a_cosine_is_at_half_its_peak_when_half_of_it_is_done(warmup, half):
    assert share(Schedule(kind="cosine", warmup_steps=warmup), warmup + half, warmup + 2 * half) == pytest.approx(0.5)


@given(warmup=st.integers(0, 500), beyond=st.integers(1, 1_000))
def test_a_constant_schedule_stays_at_its_peak(warmup, beyond):
    assert share(Schedule(kind="constant", warmup_steps=warmup), warmup + beyond, warmup + beyond) == 1


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1), ("linear", 16), ("sqrt", 4)])
def test_the_learning_rate_is_scaled_by_the_items_of_a_step_as_the_recipe_says(scaling, factor):
    assert peak(Optimizer(learning_rate=1e-4, scaling=scaling), 16) == pytest.approx(factor * 1e-4)


def test_the_learning_rate_is_the_peak_times_the_share():
    optimizer = Optimizer(learning_rate=8e-5, scaling="linear")
    found = learning_rate(optimizer, Schedule(kind="cosine", warmup_steps=500), 875, 2_000, 8)

    assert found == pytest.approx(8 * 8e-5 * 0.5 * (1 + math.cos(math.pi / 4)))
