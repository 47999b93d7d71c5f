import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.duplicates import components, drop_details, equal_rows, group_names, keep_one, similar_hashes

near_hashes = st.lists(
    st.builds(
        lambda base, flips: base ^ sum({1 << bit for bit in flips}),
        st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]),
        st.lists(st.integers(0, 63), max_size=8),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(near_hashes)
def test_similar_hashes_are_those_of_few_differing_bits(hashes):
    """Every link is right, and no right one is missing that other links do not make up for."""
    found = similar_hashes(np.array(hashes, np.uint64))
    pairs = itertools.combinations(range(len(hashes)), 2)
    right = [(a, b) for a, b in pairs if (hashes[a] ^ hashes[b]).bit_count() <= 6]
    assert set(found) <= set(right)
    assert components(len(hashes), found).tolist() == components(len(hashes), right).tolist()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_components_are_what_links_join(edges):
    found = components(10, edges)
    assert all(found[a] == found[b] for a, b in edges)
    joined = {frozenset(np.flatnonzero(found == number).tolist()) for number in found}
    alone = set(range(10)) - {row for edge in edges for row in edge}
    assert all(frozenset([row]) in joined for row in alone)


def test_nothing_equals_none():
    assert equal_rows(["a", None, "a", None, "b", "a"]) == [(0, 2), (0, 5)]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12).map(
        lambda edges: [(min(edge), max(edge)) for edge in edges]
    ),
    st.permutations(range(10)),
)
def test_one_of_each_cluster_stays(edges, order):
    rank = [(place,) for place in order]
    found = keep_one(edges[::2], edges[1::2], "near_duplicate", rank)
    cluster = components(10, edges)
    for number in set(cluster.tolist()):
        rows = np.flatnonzero(cluster == number).tolist()
        best = min(rows, key=lambda row: rank[row])
        assert [int(found.kept_by[row]) for row in rows] == [-1 if row == best else best for row in rows]


def test_reason_tells_equal_from_similar():
    found = keep_one([(0, 1)], [(1, 2)], "near_duplicate", [(0,), (1,), (2,)])
    assert found.reason == [None, "exact_duplicate", "near_duplicate"]


@pytest.mark.parametrize(
    ("works", "kept_by"),
    [(["a", "a"], [-1, 0]), (["a", "b"], [-1, -1]), ([None, None], [-1, -1])],
)
def test_detail_gives_way_to_its_whole(works, kept_by):
    found = keep_one([], [], "near_duplicate", [(0,), (1,)])
    drop_details(found, works, [False, True], [(0,), (1,)])
    assert found.kept_by.tolist() == kept_by


def test_twin_of_a_detail_names_the_whole():
    rank = [(0,), (1,), (2,)]
    found = keep_one([(0, 1)], [], "near_duplicate", rank)
    drop_details(found, ["a", "a", "a"], [True, True, False], rank)
    assert found.kept_by.tolist() == [2, 2, -1]
    assert found.reason == ["detail", "exact_duplicate", None]


def test_details_alone_stay():
    found = keep_one([], [], "near_duplicate", [(0,), (1,)])
    drop_details(found, ["a", "a"], [True, True], [(0,), (1,)])
    assert found.kept_by.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("earlier", "name"), [([None, None], "a" * 16), ([None, "old"], "old"), (["new", "old"], "new")]
)
def test_group_keeps_a_name_that_it_had(earlier, name):
    assert group_names(np.array([0, 0]), ["b" * 64, "a" * 64], earlier) == [name, name]
