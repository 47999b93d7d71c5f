import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.clusters import (
    NO_EDGES,
    Duplicates,
    Edges,
    components,
    drop_details,
    equal_rows,
    group_names,
    keep_one,
    of_released,
)
from curation.columns import numbered

links = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)
TWO = np.array([0, 1])


def edges(*pairs: tuple[int, int]) -> Edges:
    return np.array([(min(pair), max(pair)) for pair in pairs], np.int64).reshape(-1, 2)


def details_dropped(found: Duplicates, works: list[str | None], details: list[bool]) -> Duplicates:
    drop_details(found, numbered(pa.array(works, pa.string()))[0], np.array(details), np.arange(len(works)))
    return found


@given(links)
def test_components_are_what_links_join(pairs):
    found = components(10, edges(*pairs))
    assert all(found[a] == found[b] for a, b in pairs)
    joined = {frozenset(np.flatnonzero(found == number).tolist()) for number in found}
    alone = set(range(10)) - {row for pair in pairs for row in pair}
    assert all(frozenset([row]) in joined for row in alone)


def test_rows_of_one_number_are_linked_to_the_first():
    assert equal_rows(np.array([0, -1, 0, -1, 1, 0])).tolist() == [[0, 2], [0, 5]]


@given(links, st.permutations(range(10)))
def test_one_of_each_cluster_stays(pairs, order):
    rank = np.array(order)
    found = keep_one(edges(*pairs[::2]), edges(*pairs[1::2]), "near_duplicate", rank)
    cluster = components(10, edges(*pairs))
    for number in set(cluster.tolist()):
        rows = np.flatnonzero(cluster == number).tolist()
        best = min(rows, key=lambda row: rank[row])
        assert [int(found.kept_by[row]) for row in rows] == [-1 if row == best else best for row in rows]


def test_reason_tells_equal_from_similar():
    found = keep_one(edges((0, 1)), edges((1, 2)), "near_duplicate", np.arange(3))
    assert found.reason.tolist() == [None, "exact_duplicate", "near_duplicate"]


@pytest.mark.parametrize(
    ("works", "kept_by"),
    [(["a", "a"], [-1, 0]), (["a", "b"], [-1, -1]), ([None, None], [-1, -1])],
)
def test_detail_gives_way_to_its_whole(works, kept_by):
    found = keep_one(NO_EDGES, NO_EDGES, "near_duplicate", TWO)
    assert details_dropped(found, works, [False, True]).kept_by.tolist() == kept_by


def test_twin_of_a_detail_names_the_whole():
    found = keep_one(edges((0, 1)), NO_EDGES, "near_duplicate", np.arange(3))
    details_dropped(found, ["a", "a", "a"], [True, True, False])
    assert found.kept_by.tolist() == [2, 2, -1]
    assert found.reason.tolist() == ["detail", "exact_duplicate", None]


def test_details_alone_stay():
    found = keep_one(NO_EDGES, NO_EDGES, "near_duplicate", TWO)
    assert details_dropped(found, ["a", "a"], [True, True]).kept_by.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("exact", "similar", "kept_by", "reason"),
    [
        (edges((0, 2)), NO_EDGES, [-1, -1, 0], "exact_duplicate"),
        (NO_EDGES, edges((0, 2), (1, 2)), [-1, -1, 1], "near_duplicate"),  # the released one that ranks first
        (NO_EDGES, edges((0, 1)), [-1, -1, -1], None),
    ],
)
def test_new_one_gives_way_to_a_released_one(exact, similar, kept_by, reason):
    released, rank = np.array([True, True, False]), np.array([2, 1, 0])
    found = of_released(exact, NO_EDGES, similar, "near_duplicate", released, rank)
    assert (found.kept_by.tolist(), found.reason[2]) == (kept_by, reason)


@pytest.mark.parametrize(
    ("earlier", "name"), [([None, None], "a" * 16), ([None, "old"], "old"), (["new", "old"], "new")]
)
def test_group_keeps_a_name_that_it_had(earlier, name):
    names = group_names(np.array([0, 0]), pa.array(["b" * 64, "a" * 64]), pa.array(earlier, pa.string()))
    assert names.to_pylist() == [name]
