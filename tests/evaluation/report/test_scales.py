"""Where values lie on the axes of charts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.report.scales import MARGIN, MAX_TICKS, Axis, axis, lane
from evaluation.result import Estimate

VALUES = st.floats(-1e9, 1e9).map(lambda value: round(value, 6))


@given(st.lists(VALUES, min_size=1, max_size=6), st.booleans())
def test_every_value_lies_on_its_axis_in_order(values: list[float], is_flipped: bool) -> None:
    scale = axis(values, 2, is_flipped=is_flipped)
    places = [scale.percent(value) for value in sorted(values, reverse=is_flipped)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= 100


@given(VALUES, st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_within(low: float, length: float) -> None:
    ticks = Axis(low, low + length).ticks()
    assert len(ticks) <= MAX_TICKS + 1
    assert all(-0.01 <= float(at) <= 100.01 for at, _ in ticks)


def test_ticks_by_hand() -> None:
    fifths = [
        ("0.00", "0.0"),
        ("20.00", "0.2"),
        ("40.00", "0.4"),
        ("60.00", "0.6"),
        ("80.00", "0.8"),
        ("100.00", "1.0"),
    ]
    assert Axis(0.0, 1.0).ticks() == fifths
    assert Axis(49.0, 51.0, is_flipped=True).ticks(2) == [("100.00", "49"), ("50.00", "50"), ("0.00", "51")]
    assert Axis(-3_000.0, 2_000.0).ticks(2) == [("60.00", "0")]


def test_an_axis_leaves_a_margin_so_that_marks_are_whole() -> None:
    scale = axis([10.0, 20.0], 2)
    assert (scale.low, scale.high) == (10 - 10 * MARGIN, 20 + 10 * MARGIN)


@pytest.mark.parametrize("values", [[], [0.0], [7.0, 7.0], [float("nan")], [float("inf"), 3.0]])
def test_an_axis_of_one_value_or_none_has_a_length(values: list[float]) -> None:
    scale = axis(values, 2)
    assert scale.low < scale.high


def test_a_flipped_axis_puts_the_lower_end_of_a_range_on_the_right() -> None:
    assert Axis(0.0, 10.0).span((1.0, 3.0)) == ("10.00", "20.00")
    assert Axis(0.0, 10.0, is_flipped=True).span((1.0, 3.0)) == ("70.00", "20.00")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_value_that_is_not_known_is_not_drawn(value: float | None) -> None:
    found = lane("subject", "x", Estimate(value=value, interval=(0.0, 1.0), n=3), Axis(0.0, 1.0), 2)
    assert (found.value, found.interval, found.at, found.span) == ("unknown", None, None, None)


def test_differences_that_are_not_told_are_not_blown_up() -> None:
    scale = axis([50.0001, 50.0003], 2)
    assert scale.high - scale.low == pytest.approx(0.2 * (1 + 2 * MARGIN))
    assert abs(scale.percent(50.0003) - scale.percent(50.0001)) < 0.2


def test_no_tick_is_beyond_what_a_measure_can_be() -> None:
    assert [name for _, name in axis([0.0], 2, bounds=(0.0, 1.0)).ticks(2)] == ["0.0", "0.1"]
    assert axis([0.2, 1.0], 2, bounds=(0.0, 1.0)).ticks(2)[-1][1] == "1.0"
    assert axis([0.98, 1.0], 2, bounds=(0.0, 1.0)).ticks(1)[-1][1] == "1.0"
