"""Groups into splits against all the ways there are."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.memory import SPLITS
from curation.split import Groups, split_label, spread, winning_split

SHARES = (0.8, 0.1, 0.1)

group_sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def groups(sizes: list[int], splits: list[int] | None = None) -> Groups:
    names = [f"g{number}" for number in range(len(sizes))]
    return Groups(names, np.array(sizes, np.int64), np.array(splits or [-1] * len(sizes), np.int64))


def distance(sizes: list[int], splits: tuple[int, ...], wanted: np.ndarray) -> float:
    return float(np.abs(np.bincount(splits, weights=sizes, minlength=3) - wanted).sum())


@settings(deadline=None, max_examples=200)
@given(group_sizes)
def test_shares_are_as_near_as_whole_groups_allow(sizes):
    wanted = np.array(SHARES) * sum(sizes)
    every = len(sizes) >= 3
    ways = (way for way in itertools.product(range(3), repeat=len(sizes)) if not every or len(set(way)) == 3)
    best = min(distance(sizes, way, wanted) for way in ways)
    found = spread(groups(sizes), wanted, np.full(3, every))
    assert distance(sizes, tuple(found), wanted) == pytest.approx(best)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=6), st.lists(st.integers(1, 9), min_size=3, max_size=6))
def test_three_groups_on_each_side_fill_all_splits(images, music):
    for found in split_label(groups(images), groups(music), SHARES):
        assert set(found.values()) == {0, 1, 2}


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(-1, 2)), min_size=1, max_size=8), group_sizes)
def test_split_for_life_is_kept(music, images):
    sizes, splits = zip(*music, strict=True)
    _, found = split_label(groups(images), groups(list(sizes), list(splits)), SHARES)
    assert all(found[f"g{at}"] == split for at, split in enumerate(splits) if split >= 0)


@settings(deadline=None)
@given(group_sizes)
def test_second_side_follows_the_first(sizes):
    """Where both sides have the same groups, each split has as many pictures as clips."""
    images, music = split_label(groups(sizes), groups(sizes), SHARES)
    count = [
        np.bincount([side[f"g{at}"] for at in range(len(sizes))], weights=sizes, minlength=3)
        for side in (images, music)
    ]
    assert count[0].tolist() == count[1].tolist()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([1] * 10, [8, 1, 1]), ([8, 1, 1], [8, 1, 1]), ([1] * 100, [80, 10, 10]), ([5], [5, 0, 0])],
)
def test_shares_are_met_exactly_where_they_can_be(sizes, expected):
    found = spread(groups(sizes), np.array(SHARES) * sum(sizes), np.zeros(3, bool))
    assert np.bincount(found, weights=sizes, minlength=3).tolist() == expected


def test_nothing_to_split():
    assert split_label(groups([]), groups([]), SHARES) == ({}, {})


@pytest.mark.parametrize(
    ("found", "winner"),
    [(["train", "test"], "test"), (["validation", "train"], "validation"), (["test", "validation"], "test")],
)
def test_held_out_split_wins(found, winner):
    assert winning_split(dict.fromkeys(found, 1), SPLITS) == winner
