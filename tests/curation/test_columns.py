import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curation.columns import (
    first_rows,
    flat,
    heads,
    mask,
    numbered,
    numbered_hashes,
    places,
    places_within,
    shuffled,
    taken,
)

words = st.lists(st.sampled_from("abc") | st.none(), max_size=8)


@given(words, words)
def test_places_are_those_of_the_first_equal(values, among):
    found = places(pa.array(values, pa.string()), pa.chunked_array([among[:2], among[2:]], pa.string()))
    assert found.tolist() == [-1 if value is None or value not in among else among.index(value) for value in values]


@given(words, words)
def test_equal_values_of_all_columns_have_one_number(one, other):
    found = np.concatenate(numbered(pa.array(one, pa.string()), pa.array(other, pa.string()))).tolist()
    values = [*one, *other]
    assert [number < 0 for number in found] == [value is None for value in values]
    told = {(value, number) for value, number in zip(values, found, strict=True) if value is not None}
    assert len(told) == len({value for value, _ in told}) == len({number for _, number in told})


@given(st.lists(st.sampled_from([0, 2**128, 2**192, 2**192 + 2**128, 2**255]), max_size=8), st.integers(0, 8))
def test_hashes_are_numbered_by_what_tells_them_apart(values, cut):
    hashes = pa.array([f"{value:064x}" for value in values], pa.string())
    parts = hashes[:cut], hashes[cut:]
    assert numbered_values(numbered_hashes(*parts)) == numbered_values(numbered(*parts))


def numbered_values(parts: list[np.ndarray]) -> list[list[int]]:
    return [part.tolist() for part in parts]


@given(st.lists(st.integers(-1, 3), max_size=12))
def test_first_rows_are_those_of_each_number(numbers):
    found = first_rows(np.array(numbers, np.int64), 4).tolist()
    assert found == [numbers.index(number) if number in numbers else -1 for number in range(4)]


@given(st.lists(st.integers(0, 3), max_size=12))
def test_places_within_count_each_group_from_zero(groups):
    found = places_within(np.array(groups, np.int64))
    assert found.tolist() == [groups[:row].count(group) for row, group in enumerate(groups)]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=5), st.integers(0, 2))
def test_heads_are_the_first_bits_of_hashes(numbers, start):
    hashes = pa.array([f"{number:016x}" + "0" * 48 for number in numbers], pa.string())
    assert heads(hashes.slice(start)).tolist() == numbers[start:]


def test_heads_are_found_in_hashes_of_several_lengths():
    assert heads(pa.array(["0" * 15 + "a", "0" * 15 + "b" + "c" * 16])).tolist() == [10, 11]


def test_order_depends_on_the_seed_and_on_the_salt():
    hashes = pa.array([f"{number:064x}" for number in range(0, 2**256, 2**250)])
    orders = [shuffled(hashes, 1), shuffled(hashes, 2), shuffled(hashes, 1, np.arange(64))]
    assert len({tuple(np.argsort(order)) for order in orders}) == 3


def test_negative_numbers_take_null():
    assert taken(pa.array(["a", "b"]), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]


def test_empty_columns_are_arrays():
    nothing = pa.chunked_array([], pa.bool_())
    assert (len(flat(nothing)), mask(nothing).tolist()) == (0, [])
