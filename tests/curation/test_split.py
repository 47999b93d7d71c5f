"""Groups into splits against the bound that split.py states, and against all the ways there are."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.split import Groups, split_label, spread

SHARES = np.array([0.8, 0.1, 0.1])

sizes_of_one = st.lists(st.integers(1, 20), min_size=1, max_size=30).map(lambda sizes: [[size] for size in sizes])
sizes_of_three = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=30)
any_shares = (
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any).map(lambda parts: np.array(parts) / sum(parts))
)


def groups(sizes: list[list[int]], splits: list[int] | None = None) -> Groups:
    return Groups(
        np.array(sizes, np.int64).reshape(len(sizes), len(sizes[0]) if sizes else 0),
        np.array(splits or [-1] * len(sizes), np.int64),
    )


def off(sizes: np.ndarray, splits: np.ndarray, shares: np.ndarray = SHARES) -> np.ndarray:
    """Return what each split has too much or too little of, in all and of each sub-genre, shape (..., 3, columns)."""
    columns = np.concatenate([sizes.sum(axis=1, keepdims=True), sizes], axis=1)
    got = np.stack([(splits == split) @ columns for split in range(len(shares))], axis=-2)
    return np.abs(got - shares[:, None] * columns.sum(axis=0))


def held_back(sizes: np.ndarray, number: int) -> int:
    return int(np.sort(sizes.sum(axis=1))[:number].sum())


@settings(deadline=None, max_examples=300)
@given(sizes_of_one | sizes_of_three, any_shares)
def test_each_split_is_within_the_bound(sizes, shares):
    given_groups = groups(sizes)
    splits = spread(given_groups, shares, fill=False)
    used = (shares > 0).sum()
    bound = (1 - 1 / used) * given_groups.sizes.sum(axis=1).max()
    assert off(given_groups.sizes, splits, shares)[:, 0].max() <= bound + 0.01


@settings(deadline=None, max_examples=300)
@given(sizes_of_one | sizes_of_three)
def test_filling_every_split_costs_no_more_than_the_smallest_groups(sizes):
    given_groups = groups(sizes)
    splits = spread(given_groups, SHARES, fill=True)
    assert len(set(splits.tolist())) == min(3, len(sizes))
    bound = 2 / 3 * given_groups.sizes.sum(axis=1).max() + held_back(given_groups.sizes, 3)
    assert off(given_groups.sizes, splits)[:, 0].max() <= bound + 0.01


def test_most_small_cases_are_optimal_and_none_is_far_from_it():
    random = np.random.default_rng(7)
    excess = []
    for number, columns in itertools.product((4, 6, 8, 9), (1, 2, 3)):
        ways = np.array(list(itertools.product(range(3), repeat=number)))
        ways = ways[[len(set(way)) == 3 for way in ways.tolist()]]
        for _ in range(10):
            sizes = (
                random.integers(1, 21, number)[:, None]
                * np.eye(columns, dtype=np.int64)[random.integers(columns, size=number)]
            )
            best = off(sizes, ways).sum(axis=(1, 2)).min()
            found = off(sizes, spread(groups(sizes.tolist()), SHARES, fill=True)).sum()
            excess.append((found - best) / sizes.sum())
    assert np.mean(np.array(excess) < 0.001) >= 0.95
    assert np.max(excess) < 0.2


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(-1, 2)), min_size=1, max_size=12), sizes_of_one)
def test_split_for_life_is_kept(music, images):
    sizes, splits = zip(*music, strict=True)
    _, found = split_label(groups(images), groups([[size] for size in sizes], list(splits)), SHARES)
    assert all(found[at] == split for at, split in enumerate(splits) if split >= 0)


def test_what_is_held_for_life_leaves_the_rest_in_proportion():
    """The test split has more than its tenth for ever; train and validation share what is left as 8 to 1."""
    splits = spread(groups([[1]] * 100, [2] * 28 + [-1] * 72), SHARES, fill=True)
    assert np.bincount(splits).tolist() == [64, 8, 28]


def test_sub_genre_that_life_placed_badly_is_mended_by_what_is_free():
    """Of the first sub-genre all of 40 are in train, so that its free ones are wanted elsewhere."""
    sizes = [[1, 0]] * 50 + [[0, 1]] * 50
    splits = spread(groups(sizes, [0] * 40 + [-1] * 60), SHARES, fill=True)
    assert off(np.array(sizes), splits).tolist() == [[0, 0, 0]] * 3


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=6), st.lists(st.integers(1, 9), min_size=3, max_size=6))
def test_three_groups_on_each_side_fill_all_splits(images, music):
    for found in split_label(groups([[n] for n in images]), groups([[n] for n in music]), SHARES):
        assert set(found.tolist()) == {0, 1, 2}


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_second_side_follows_the_first(sizes):
    """Where both sides have the same groups, no split is further off than one group: the search is no exact one."""
    both = groups([[size] for size in sizes])
    images, music = split_label(both, both, SHARES)
    counts = [np.bincount(splits, weights=sizes, minlength=3) for splits in (images, music)]
    assert np.abs(counts[0] - counts[1]).max() <= max(sizes)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([1] * 10, [8, 1, 1]), ([8, 1, 1], [8, 1, 1]), ([1] * 100, [80, 10, 10]), ([5], [5, 0, 0])],
)
def test_shares_are_met_exactly_where_they_can_be(sizes, expected):
    found = spread(groups([[size] for size in sizes]), SHARES, fill=False)
    assert np.bincount(found, weights=sizes, minlength=3).tolist() == expected


def test_every_sub_genre_has_its_shares_where_groups_are_many():
    random = np.random.default_rng(3)
    sizes = random.integers(1, 21, 5_000)[:, None] * np.eye(5, dtype=np.int64)[random.integers(5, size=5_000)]
    assert off(sizes, spread(groups(sizes.tolist()), SHARES, fill=True)).max() <= 3


@settings(deadline=None, max_examples=100)
@given(sizes_of_three)
def test_groups_of_one_kind_are_taken_in_their_order(sizes):
    splits = spread(groups(sizes), SHARES, fill=True)
    for kind in {tuple(size) for size in sizes}:
        same = [split for size, split in zip(sizes, splits.tolist(), strict=True) if tuple(size) == kind]
        assert same == sorted(same)


def test_nothing_to_split():
    images, music = split_label(groups([]), groups([]), SHARES)
    assert (len(images), len(music)) == (0, 0)


def test_side_without_another_is_cut_by_the_shares():
    images, _ = split_label(groups([[1]] * 10), groups([]), SHARES)
    assert np.bincount(images).tolist() == [8, 1, 1]
