import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import vendi
from rules.errors import ConfigurationError


def _of_one_label(rows, weights=None):
    return vendi.score(rows, np.zeros(len(rows), dtype=np.int64), 1, weights)["vendi"]


def test_it_counts_images_that_have_nothing_in_common():
    assert _of_one_label(np.eye(6)[:4])[0] == pytest.approx(4.0)
    assert _of_one_label(np.repeat(np.eye(6)[:3], 5, axis=0))[0] == pytest.approx(3.0)
    assert _of_one_label(np.ones((7, 6)))[0] == pytest.approx(1.0)


def test_two_images_by_hand():
    """Cosine 0.6: the eigenvalues of K / 2 are 0.8 and 0.2."""
    found = _of_one_label(np.array([[1.0, 0.0], [3.0, 4.0]]))[0]
    assert found == pytest.approx(np.exp(-0.8 * np.log(0.8) - 0.2 * np.log(0.2)))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(1, 9), st.integers(0, 999))
def test_it_is_the_entropy_of_the_eigenvalues_between_1_and_n(n, d, seed):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(rows @ rows.T / n)
    shares = shares[shares > 1e-12]
    found = _of_one_label(rows)[0]
    assert found == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert 1 <= found <= n + 1e-9


def test_labels_are_measured_apart_and_one_image_has_no_diversity():
    rows = np.concatenate([np.eye(4), np.ones((3, 4)), np.ones((1, 4))])
    labels = np.array([2] * 4 + [0] * 3 + [4])
    found = vendi.score(rows, labels, 5)
    assert found["vendi_by_label"][0] == pytest.approx([1.0, np.nan, 4.0, np.nan, np.nan], nan_ok=True)
    assert found["vendi"][0] == pytest.approx(2.5)


def test_images_left_out_are_as_if_they_had_never_been_there():
    rows = np.random.default_rng(1).normal(size=(9, 4))
    weights = np.ones((2, 9))
    weights[1, :3] = 0
    assert _of_one_label(rows, weights)[1] == pytest.approx(_of_one_label(rows[3:])[0])


def test_without_two_images_of_any_label_there_is_no_value():
    found = vendi.score(np.eye(3), np.arange(3), 3)
    assert np.isnan(found["vendi"][0])


@pytest.mark.parametrize(
    ("rows", "labels", "told"),
    [
        (np.zeros((2, 3)), np.zeros(2, dtype=np.int64), "generated: row 0"),
        (np.ones((2, 3)), np.array([0, 7]), "labels: row 1 is 7"),
        (np.ones((2, 3)), np.zeros(3, dtype=np.int64), "labels"),
    ],
    ids=["zero vector", "label", "count"],
)
def test_what_has_no_diversity_is_named(rows, labels, told):
    with pytest.raises(ConfigurationError, match=told):
        vendi.score(rows, labels, 5)
