import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from curation.torch_imports import import_torchvision
from evaluation.metrics import fid
from rules.errors import ConfigurationError


@pytest.fixture(scope="module")
def metric_fid():
    import_torchvision()
    from torch_fidelity import metric_fid

    return metric_fid


def _samples(n, m, d):
    draws = np.random.default_rng(n + 7 * m + 31 * d)
    mixing = draws.normal(size=(d, d)) / np.sqrt(d)
    return draws.normal(size=(n, d)) @ mixing + 0.3, draws.gamma(2.0, size=(m, d))


def _by_square_root_of_matrix(a, b):
    """Clean-fid's formula: the trace of scipy's square root of the product of both covariances."""
    difference = a.mean(axis=0) - b.mean(axis=0)
    covariance, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(covariance @ other)
    return difference @ difference + np.trace(covariance) + np.trace(other) - 2 * np.trace(root).real


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 24), (500, 60, 48), (90, 91, 64)])
def test_it_is_what_torch_fidelity_and_clean_fid_find(metric_fid, n, m, d):
    a, b = _samples(n, m, d)
    theirs = metric_fid.fid_statistics_to_metric(
        *(metric_fid.fid_features_to_statistics(torch.tensor(features)) for features in (a, b)), False
    )
    found = fid.score(a, b)["fid"]
    assert found.shape == (1,)
    assert found[0] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert found[0] == pytest.approx(_by_square_root_of_matrix(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(20, 30, 64), (20, 300, 64), (300, 20, 64), (2, 2, 16)])
def test_singular_covariances_need_no_correction(metric_fid, n, m, d):
    a, b = _samples(n, m, d)
    theirs = metric_fid.fid_statistics_to_metric(
        *(metric_fid.fid_features_to_statistics(torch.tensor(features)) for features in (a, b)), False
    )
    assert fid.score(a, b)["fid"][0] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_in_one_dimension_it_is_the_distance_of_two_normal_distributions():
    """(3 - 1)^2 + (4 - 2)^2: means 3 and 1, deviations 4 and 2."""
    draws = np.array([-1.0, 0.0, 1.0])  # of mean 0 and unbiased variance 1
    assert fid.score(3 + 4 * draws[:, None], 1 + 2 * draws[:, None])["fid"][0] == pytest.approx(8.0)


@pytest.mark.parametrize("n", [8, 20, 50, 51])
def test_a_sample_is_at_distance_0_of_itself_and_of_its_rows_in_another_order(n):
    a, _ = _samples(n, 2, 16)
    found = [fid.score(rows, a)["fid"][0] for rows in (a, a[::-1], a * (1 + 1e-15))]
    assert found == pytest.approx([0.0] * 3, abs=1e-10)
    assert min(found) >= 0  # as no rounding may make a distance negative


def test_two_constant_samples_are_at_the_squared_distance_of_their_values():
    a, b = np.full((5, 3), 2.0), np.full((7, 3), 4.0)
    assert fid.score(a, b)["fid"][0] == pytest.approx(12.0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=12, max_size=12), st.integers(2, 20))
def test_an_item_that_counts_twice_is_as_good_as_two(counts, d):
    a, b = _samples(12, 9, d)
    counts = np.array(counts, dtype=np.float64)
    counts[:2] = 1
    repeated = np.repeat(a, counts.astype(int), axis=0)
    found = fid.score(a, b, np.stack([np.ones(12), counts]))["fid"]
    assert found[0] == pytest.approx(fid.score(a, b)["fid"][0])
    assert found[1] == pytest.approx(fid.score(repeated, b)["fid"][0], rel=1e-9)


def test_real_images_are_left_out_likewise():
    a, b = _samples(12, 9, 4)
    weights = np.ones((2, 9))
    weights[1, :3] = 0
    found = fid.score(a, b, np.ones((2, 12)), weights)["fid"]
    assert found[1] == pytest.approx(fid.score(a, b[3:])["fid"][0])


def test_a_single_image_has_no_covariance():
    a, b = _samples(1, 9, 4)
    assert np.isnan(fid.score(a, b)["fid"][0])


def test_two_samples_of_one_distribution_are_far_apart_below_the_rank_limit():
    draws = np.random.default_rng(3)
    small, large = (fid.score(*draws.normal(size=(2, n, 128)))["fid"][0] for n in (64, 1_024))
    assert small > 5 * large
    assert fid.least_items(128) == 129


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (np.ones((3, 4)), np.ones((3, 5)), "generated 4, real 5"),
        (np.ones((0, 4)), np.ones((3, 4)), "generated"),
        (np.ones((3, 4)), np.array([[1.0, 1, 1, 1], [1, np.nan, 1, 1]]), "real: row 1"),
        (np.eye(4)[:3] * [[1], [0], [1]], np.ones((3, 4)), "generated: row 1"),
    ],
    ids=["widths", "empty", "not a number", "zero vector"],
)
def test_what_no_distance_can_be_taken_of_is_named(a, b, told):
    with pytest.raises(ConfigurationError, match=told):
        fid.score(a, b)


def test_replicates_of_both_samples_are_as_many():
    with pytest.raises(ConfigurationError, match="real_weights has 2 replicates: expected 3"):
        fid.score(np.ones((3, 4)), np.ones((3, 4)), np.ones((3, 3)), np.ones((2, 3)))
