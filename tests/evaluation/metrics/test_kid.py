import numpy as np
import pytest
import torch

from curation.torch_imports import import_torchvision
from evaluation.metrics import _two_samples, kid
from evaluation.statistics.resampling import bootstrap_interval, bootstrap_weights


def _samples(n, m, d=16, shift=0.2):
    draws = np.random.default_rng(n + 7 * m + 31 * d)
    return draws.normal(size=(n, d)) + shift, draws.normal(size=(m, d))


def _pair_by_pair(a, b):
    """The unbiased estimate by its definition: pairs of different items within, all pairs between."""

    def cubic(x, y):
        return (x @ y / len(x) + 1) ** 3

    within = np.mean([cubic(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j])
    within_other = np.mean([cubic(b[i], b[j]) for i in range(len(b)) for j in range(len(b)) if i != j])
    return within + within_other - 2 * np.mean([cubic(x, y) for x in a for y in b])


@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 90), (90, 41)])
def test_over_the_same_subsets_it_is_what_torch_fidelity_finds(n, m):
    import_torchvision()
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = _samples(n, m)
    theirs = kid_features_to_metric(torch.tensor(a), torch.tensor(b), kid_subset_size=min(n, m), verbose=False)
    assert kid.score(a, b)["kid_subsets"][0] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)


def test_over_smaller_subsets_too(monkeypatch):
    import_torchvision()
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = _samples(60, 90)
    monkeypatch.setattr(kid, "SUBSET_SIZE", 25)
    theirs = kid_features_to_metric(torch.tensor(a), torch.tensor(b), kid_subset_size=25, verbose=False)
    assert kid.score(a, b)["kid_subsets"][0] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)


def test_over_all_items_it_is_the_definition_pair_by_pair():
    a, b = _samples(11, 7)
    assert kid.score(a, b)["kid"][0] == pytest.approx(_pair_by_pair(a, b), rel=1e-12)


def test_it_is_the_definition_in_blocks_of_any_size(monkeypatch):
    a, b = _samples(23, 17)
    weights, real_weights = bootstrap_weights(np.arange(23), 1, 4), bootstrap_weights(np.arange(17), 2, 4)
    whole = kid.score(a, b, weights, real_weights)["kid"]
    monkeypatch.setattr(_two_samples, "BLOCK_VALUES", 60)
    assert kid.score(a, b, weights, real_weights)["kid"] == pytest.approx(whole, rel=1e-10)


def test_one_item_by_hand():
    """In one dimension, of 1 and 2 against 1 and 3: (1*2+1)^3 + (1*3+1)^3 - 2 (2^3 + 4^3 + 3^3 + 7^3) / 4."""
    a, b = np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])
    assert kid.score(a, b)["kid"][0] == pytest.approx(27 + 64 - (8 + 64 + 27 + 343) / 2)


def test_an_item_is_never_paired_with_itself_however_often_it_counts():
    a, b = _samples(6, 5)
    weights = np.array([[2.0, 1, 0, 0, 0, 1]])
    pairs = {(i, j): weights[0, i] * weights[0, j] for i in range(6) for j in range(6) if i != j}
    kernel = kid.kernel(a, a)
    within = sum(weight * kernel[pair] for pair, weight in pairs.items()) / sum(pairs.values())
    other, between = kid.kernel(b, b), kid.kernel(a, b)
    expected = within + (other.sum() - np.trace(other)) / 20 - 2 * (weights @ between).sum() / (4 * 5)
    assert kid.score(a, b, weights)["kid"][0] == pytest.approx(expected, rel=1e-12)


def test_samples_of_one_distribution_are_at_distance_0_on_average(monkeypatch):
    monkeypatch.setattr(kid, "SUBSETS", 1)
    draws = np.random.default_rng(5)
    found = [kid.score(*draws.normal(size=(2, 8, 6)))["kid"][0] for _ in range(400)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert 0.25 < np.mean(np.array(found) < 0) < 0.75


def test_intervals_hold_the_true_distance_of_two_distributions(monkeypatch):
    """Recordings of three clips each; the truth is the estimate of thirty times as many."""
    monkeypatch.setattr(kid, "SUBSETS", 1)
    draws = np.random.default_rng(6)

    def generated(n_recordings):
        return (draws.normal(size=(n_recordings, 1, 4)) * 0.5 + draws.normal(size=(n_recordings, 3, 4))).reshape(
            -1, 4
        ) + 0.5

    truth = kid.score(generated(900), draws.normal(size=(2_700, 4)))["kid"][0]
    held = 0
    for seed in range(100):
        a, b = generated(30), draws.normal(size=(60, 4))
        weights = bootstrap_weights(np.repeat(np.arange(30), 3), seed, 200)
        real_weights = bootstrap_weights(np.arange(60), 1_000 + seed, 200)
        low, high = bootstrap_interval(kid.score(a, b, weights, real_weights)["kid"], 30)
        held += low <= truth <= high
    assert 88 <= held <= 99


def test_a_replicate_without_two_items_has_no_value():
    a, b = _samples(3, 5)
    found = kid.score(a, b, np.array([[1.0, 1, 1], [0, 2, 0]]))
    assert np.isfinite(found["kid"][0])
    assert np.isnan(found["kid"][1])
    assert np.isnan(found["kid_subsets"][1])


def test_constant_features_are_alike():
    same = np.ones((4, 3))
    assert kid.score(same, same)["kid"][0] == pytest.approx(0.0, abs=1e-12)
