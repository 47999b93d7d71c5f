"""An epoch's order: every row once, for ever the same, and no row group far apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.reading.order import epoch_order, file_order

sizes = st.lists(st.integers(1, 40), max_size=40).map(lambda values: np.array(values, dtype=np.int64))
seeds, epochs = st.integers(0, 2**63 - 1), st.integers(0, 1_000)
windows = st.integers(1, 100)


@given(sizes, seeds, epochs, windows)
def test_an_order_is_a_permutation_that_depends_on_nothing_else(group_sizes, seed, epoch, window_rows) -> None:
    order = epoch_order(group_sizes, seed, epoch, window_rows)
    assert sorted(order.rows.tolist()) == list(range(group_sizes.sum()))
    again = epoch_order(group_sizes.copy(), seed, epoch, window_rows)
    assert (again.rows == order.rows).all()
    assert (again.windows == order.windows).all()


@given(sizes, seeds, epochs, windows)
def test_the_rows_of_a_row_group_lie_in_one_window(group_sizes, seed, epoch, window_rows) -> None:
    order = epoch_order(group_sizes, seed, epoch, window_rows)
    assert order.windows[0] == 0
    assert order.windows[-1] == len(order.rows)
    lengths = np.diff(order.windows)
    largest = int(group_sizes.max(initial=0))
    assert (lengths < window_rows + largest).all()
    assert (lengths[:-1] >= window_rows).all()
    group_of = np.repeat(np.arange(len(group_sizes)), group_sizes)[order.rows]
    window_of = np.repeat(np.arange(len(lengths)), lengths)
    for group in range(len(group_sizes)):
        assert len(set(window_of[group_of == group])) == 1


@given(seeds, epochs)
def test_another_epoch_and_another_seed_have_another_order(seed, epoch) -> None:
    group_sizes = np.full(30, 5)
    rows = epoch_order(group_sizes, seed, epoch).rows
    assert (rows != epoch_order(group_sizes, seed, epoch + 1).rows).any()
    assert (rows != epoch_order(group_sizes, seed ^ 1, epoch).rows).any()


def test_an_order_never_changes() -> None:
    """Else a run that goes on under another version of a library would see some pairs twice and others never."""
    assert epoch_order(np.array([3, 2, 4, 1]), 7, 1, 4).rows.tolist() == EXPECTED


EXPECTED = [0, 1, 9, 2, 8, 5, 3, 4, 6, 7]


@pytest.mark.parametrize("place", range(4))
def test_each_row_comes_to_each_place_about_as_often(place: int) -> None:
    group_sizes = np.array([2, 2])
    found = [int(epoch_order(group_sizes, 1, epoch).rows[place]) for epoch in range(2_000)]
    assert np.bincount(found, minlength=4).min() > 400  # of 500; its standard deviation is 19


def test_a_million_rows_are_ordered_at_once() -> None:
    order = epoch_order(np.full(55_556, 18), 1, 1)
    assert len(order.rows) == 1_000_008
    assert len(order.windows) == 1 + -(-55_556 // 4)


@given(sizes, windows)
def test_the_order_of_files_has_windows_too(group_sizes, window_rows) -> None:
    order = file_order(group_sizes, window_rows)
    assert order.rows.tolist() == list(range(group_sizes.sum()))
    assert set(order.windows.tolist()) <= {0, *np.cumsum(group_sizes).tolist()}
    assert order.windows[-1] == group_sizes.sum()
