import numpy as np
import pytest

from evaluation.metrics import cmmd
from evaluation.statistics.resampling import bootstrap_weights


def _samples(n, m, d=8):
    draws = np.random.default_rng(n + 7 * m)
    return draws.normal(size=(n, d)) + 0.4, draws.normal(size=(m, d))


def _definition(a, b):
    """The reference: unit vectors, exp(-|x - y|^2 / (2 * 10^2)), all pairs with own ones, x 1,000."""
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))

    def mean(x, y):
        return np.exp(-((x[:, None] - y) ** 2).sum(axis=2) / 200).mean()

    return 1_000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (9, 14), (30, 5)])
def test_it_is_the_reference_by_its_definition(n, m):
    a, b = _samples(n, m)
    assert cmmd.score(a, b)["cmmd"][0] == pytest.approx(_definition(a, b), rel=1e-9)


def test_lengths_do_not_matter():
    a, b = _samples(9, 14)
    assert cmmd.score(5 * a, 0.1 * b)["cmmd"][0] == pytest.approx(cmmd.score(a, b)["cmmd"][0], rel=1e-9)


def test_of_one_distribution_the_unbiased_one_is_0_on_average_and_the_reference_is_not():
    draws = np.random.default_rng(5)
    found = [cmmd.score(*draws.normal(size=(2, 10, 6))) for _ in range(200)]
    unbiased, biased = (np.array([one[name][0] for one in found]) for name in ("cmmd_unbiased", "cmmd"))
    assert abs(unbiased.mean()) < 3 * unbiased.std() / np.sqrt(200)
    assert biased.min() > 0
    # 1,000 (1 - mean kernel) (1/n + 1/m), with unit vectors whose squared distances have mean 2
    assert biased.mean() == pytest.approx(1_000 * (1 - np.exp(-2 / 200)) * 0.2, rel=0.05)


def test_repeated_items_do_not_move_it_as_own_pairs_would():
    a, b = _samples(40, 40)
    found = cmmd.score(a, b, bootstrap_weights(np.arange(40), 1, 400), bootstrap_weights(np.arange(40), 2, 400))["cmmd"]
    assert found[1:].mean() == pytest.approx(found[0], rel=0.1)


@pytest.mark.parametrize("n", [5, 9, 17, 33])
def test_perfect_and_constant_images_are_at_distance_0(n):
    a, _ = _samples(n, 2)
    found = [cmmd.score(rows, a)["cmmd"][0] for rows in (a, a[::-1], a * (1 + 1e-15))]
    assert found == pytest.approx([0.0] * 3, abs=1e-9)
    assert min(found) >= 0
    assert cmmd.score(np.ones((3, 4)), np.ones((5, 4)))["cmmd"][0] == pytest.approx(0.0, abs=1e-9)
