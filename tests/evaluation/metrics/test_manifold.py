import numpy as np
import pytest

from evaluation.metrics import _two_samples, manifold

NAMES = ("precision", "recall", "density", "coverage")


def _samples(n, m, d=5):
    draws = np.random.default_rng(n + 7 * m)
    return draws.normal(size=(n, d)) * 0.8 + 0.3, draws.normal(size=(m, d))


def _definition(generated, real, k=manifold.NEAREST):
    """As Kynkäänniemi et al. and Naeem et al. define them, one item at a time."""

    def distance(x, y):
        return float(np.sqrt(((x - y) ** 2).sum()))

    def radius(rows, i):
        return sorted(distance(rows[i], rows[j]) for j in range(len(rows)) if j != i)[k - 1]

    of_real = [radius(real, i) for i in range(len(real))]
    of_generated = [radius(generated, j) for j in range(len(generated))]
    inside = np.array([[distance(x, y) <= of_real[i] for y in generated] for i, x in enumerate(real)])
    in_generated = np.array([[distance(x, y) <= of_generated[j] for j, y in enumerate(generated)] for x in real])
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": in_generated.any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / k,
        "coverage": inside.any(axis=1).mean(),
    }


@pytest.mark.parametrize(("n", "m"), [(6, 6), (30, 50), (60, 20)])
def test_all_four_are_their_definitions_one_item_at_a_time(n, m):
    generated, real = _samples(n, m)
    found = manifold.score(generated, real)
    expected = _definition(generated, real)
    assert {name: found[name][0] for name in NAMES} == pytest.approx(expected, abs=1e-12)


def test_blocks_of_any_size_give_the_same(monkeypatch):
    generated, real = _samples(30, 50)
    whole = manifold.score(generated, real)
    monkeypatch.setattr(_two_samples, "BLOCK_VALUES", 70)
    found = manifold.score(generated, real)
    assert {name: found[name].tolist() for name in NAMES} == {name: whole[name].tolist() for name in NAMES}


@pytest.mark.parametrize("n_left_out", [1, 10, 50], ids=["one", "some", "more than the candidates"])
def test_items_left_out_are_as_if_they_had_never_been_there(n_left_out):
    generated, real = _samples(60, 62)
    order = np.argsort(((real - real[0]) ** 2).sum(axis=1))  # neighbors of one another
    stays, real_stays = np.ones((3, 60)), np.ones((3, 62))
    stays[1, :n_left_out] = 0
    real_stays[2, order[:n_left_out]] = 0
    found = manifold.score(generated, real, stays, real_stays)
    expected = (
        manifold.score(generated, real),
        manifold.score(generated[n_left_out:], real),
        manifold.score(generated, real[np.sort(order[n_left_out:])]),
    )
    for replicate, alone in enumerate(expected):
        assert {name: found[name][replicate] for name in NAMES} == pytest.approx(
            {name: alone[name][0] for name in NAMES}, abs=1e-12
        )


def test_perfect_images_have_it_all():
    _, real = _samples(2, 40)
    found = manifold.score(real.copy(), real)
    assert [found[name][0] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert found["density"][0] == pytest.approx(1 + 1 / manifold.NEAREST)  # an image's k neighbors' balls and its own


@pytest.mark.parametrize("seed", range(6))
def test_rounding_puts_no_image_beyond_a_border_that_it_lies_on(monkeypatch, seed):
    """Of copies an image's k-th neighbor lies on its border; in another order its distance is rounded differently."""
    draws = np.random.default_rng(seed)
    real = draws.normal(size=(90, 100 + 37 * seed)) + 30
    monkeypatch.setattr(_two_samples, "BLOCK_VALUES", 90 * 7)
    found = manifold.score(real[draws.permutation(90)], real)
    assert found["density"][0] == pytest.approx(1 + 1 / manifold.NEAREST, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_one_image_are_the_same_however_their_distance_is_rounded(monkeypatch, seed):
    row = np.random.default_rng(seed).normal(size=100 + 37 * seed) + 10
    monkeypatch.setattr(_two_samples, "BLOCK_VALUES", 23 * 7)
    found = manifold.score(np.tile(row, (23, 1)), np.tile(row, (31, 1)))
    assert [found[name][0] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert found["density"][0] == pytest.approx(31 / manifold.NEAREST)


def test_images_from_elsewhere_have_nothing():
    generated, real = _samples(20, 20)
    found = manifold.score(generated + 100, real)
    assert [found[name][0] for name in NAMES] == [0, 0, 0, 0]


def test_one_image_again_and_again_is_precise_and_covers_little():
    _, real = _samples(2, 40)
    found = manifold.score(np.repeat(real[:1], 20, axis=0), real)
    assert found["precision"][0] == 1
    assert found["coverage"][0] < 0.5
    assert found["recall"][0] < 0.1


def test_constant_features_lie_where_the_others_lie():
    same = np.full((8, 3), 0.1)
    found = manifold.score(same, same)
    assert [found[name][0] for name in ("precision", "recall", "coverage")] == [1, 1, 1]


def test_with_no_more_than_k_items_there_is_no_kth_neighbor():
    generated, real = _samples(5, 40)
    assert all(np.isnan(found[0]) for found in manifold.score(generated, real).values())
    assert manifold.least_items(768) == 6
