import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.duplicates import MAX_HASH_BITS
from evaluation.likeness import neighbors
from evaluation.likeness.neighbors import copy_bits, nearest, unit


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9_999), st.integers(1, 9), st.integers(1, 40), st.integers(1, 50))
def test_it_finds_what_one_product_of_matrices_finds(seed, n, n_train, at_once):
    draws = np.random.default_rng(seed)
    asked, there = (draws.integers(-3, 4, size=(size, 4)).astype(np.float32) for size in (n, n_train))
    groups, train_groups = draws.integers(-1, 5, n), draws.integers(0, 5, n_train)
    products = np.where(groups[:, None] == train_groups, -np.inf, asked @ there.T)
    batches = [(rows, there[rows]) for rows in np.array_split(np.arange(n_train), range(at_once, n_train, at_once))]
    found = nearest(asked, groups, batches, train_groups)
    assert found.products.tolist() == products.max(axis=1).tolist()
    has_one = np.isfinite(products.max(axis=1))
    assert found.rows.tolist() == np.where(has_one, products.argmax(axis=1), -1).tolist()


def test_batches_of_any_size_give_the_same(monkeypatch):
    draws = np.random.default_rng(1)
    asked, there = (draws.integers(-3, 4, size=(size, 4)).astype(np.float32) for size in (5, 60))
    whole = nearest(asked, np.full(5, -1), [(np.arange(60), there)], np.arange(60))
    monkeypatch.setattr(neighbors, "AT_ONCE", 8)
    small = [(np.arange(at, at + 3), there[at : at + 3]) for at in range(0, 60, 3)]
    found = nearest(asked, np.full(5, -1), small, np.arange(60))
    assert (found.rows.tolist(), found.products.tolist()) == (whole.rows.tolist(), whole.products.tolist())


def test_rows_that_a_walk_leaves_out_are_not_found():
    features = np.eye(3, dtype=np.float32)
    found = nearest(features, np.full(3, -1), [(np.array([0, 2]), features[[0, 2]])], np.arange(3))
    assert found.rows.tolist() == [0, 0, 2]


def test_a_walk_over_many_items_takes_no_more_memory_than_over_few():
    def peak(n_batches):
        asked = np.ones((20, 64), dtype=np.float32)
        tracemalloc.start()
        walk = (
            (np.arange(at, at + 500), np.full((500, 64), at, dtype=np.float32)) for at in range(0, n_batches * 500, 500)
        )
        found = nearest(asked, np.full(20, -1), walk, np.arange(n_batches * 500))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.rows.tolist() == [(n_batches - 1) * 500] * 20
        return most

    assert peak(200) < 1.5 * peak(20)  # 26 MB of features, of which the numbers of groups are 0.8 MB


def test_a_zero_vector_is_like_nothing():
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 0],
    ]


@pytest.mark.parametrize(
    ("distances", "expected"),
    [([30] * 100, MAX_HASH_BITS), ([8] + [30] * 20, 7), ([0] * 5, 0), ([8] + [30] * 999, MAX_HASH_BITS)],
    ids=["far", "one of few is near", "all the same", "one of many is near"],
)
def test_hashes_tell_a_copy_only_where_others_are_further_apart(distances, expected):
    assert copy_bits(np.array(distances)) == expected
