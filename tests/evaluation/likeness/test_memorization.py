import numpy as np
import pytest

from evaluation.likeness import memorization
from rules.errors import ConfigurationError
from tests.evaluation.nearby import differing, looks, near, signs, train

WIDTH = 48


@pytest.fixture
def scene():
    """200 training images and 60 real images of the test split, none of them near another."""
    draws = np.random.default_rng(1)
    features = draws.normal(size=(260, WIDTH)).astype(np.float32)
    bits = signs(draws, 260)
    return draws, features[:200], bits[:200], looks(features[200:], bits[200:], np.arange(1_000, 1_060))


def test_planted_copies_are_found_and_shown_first(scene):
    draws, features, bits, real = scene
    generated = draws.normal(size=(10, WIDTH)).astype(np.float32)
    hashes = signs(draws, 10)
    generated[4] = near(draws, features[123], 0.99) * 7  # by its features; lengths do not matter
    hashes[7] = differing(bits[55], 4)  # by its hash
    found = memorization.find(looks(generated, hashes), real, train(features, bits))
    assert (found.n, found.n_real, found.n_train) == (10, 60, 200)
    assert found.copies == 2
    by_features, by_hash = found.nearest[:2]
    assert (by_features.pair_id, by_features.nearest_pair_id) == ("test4", "train123")
    assert by_features.nearest_image_sha256 == "sha123"
    assert by_features.likeness == pytest.approx(0.99, abs=1e-5)
    assert (by_hash.pair_id, by_hash.hash_nearest_pair_id, by_hash.hash_distance) == ("test7", "train55", 4)
    assert len(found.nearest) == 10


def test_images_like_the_real_ones_are_hardly_ever_called_copies(scene):
    draws, features, bits, real = scene
    generated = looks(draws.normal(size=(500, WIDTH)).astype(np.float32), signs(draws, 500))
    found = memorization.find(generated, real, train(features, bits))
    assert found.copies <= 0.05 * 500
    assert found.real_copies == 0  # of so few the 99th percentile is the largest
    assert found.likeness_quantiles == pytest.approx(found.real_likeness_quantiles, abs=0.1)
    assert found.likeness_quantiles == sorted(found.likeness_quantiles)
    assert found.copy_likeness == pytest.approx(max(found.real_likeness_quantiles), abs=0.05)


def test_all_training_images_drawn_again_are_copies(scene):
    _, features, bits, real = scene
    found = memorization.find(looks(features[:30], bits[:30]), real, train(features, bits))
    assert found.copies == 30
    assert {one.hash_distance for one in found.nearest} == {0}
    assert {one.likeness for one in found.nearest} == {1.0}
    assert all(one.nearest_pair_id == one.pair_id.replace("test", "train") for one in found.nearest)


def test_real_images_of_the_split_train_are_no_copies_of_themselves(scene):
    _, features, bits, _ = scene
    real = looks(features[:50], bits[:50], np.arange(50), split="train")
    found = memorization.find(looks(features[:5], bits[:5]), real, train(features, bits))
    assert max(found.real_likeness_quantiles) < 0.9
    assert found.copies == 5


def test_it_does_not_depend_on_how_training_images_are_walked(scene):
    draws, features, bits, real = scene
    generated = looks(draws.normal(size=(10, WIDTH)).astype(np.float32), signs(draws, 10))
    first, second = (memorization.find(generated, real, train(features, bits, at_once=at)) for at in (3, 200))
    assert first == second


@pytest.mark.parametrize(("n_real", "train_groups"), [(0, None), (3, [1_000] * 200)], ids=["no real", "one group"])
def test_without_a_baseline_it_is_refused(scene, n_real, train_groups):
    _, features, bits, real = scene
    few = looks(real.features[:n_real], real.bits[:n_real], np.full(n_real, 1_000))
    with pytest.raises(ConfigurationError, match="memorization: expected real images"):
        memorization.find(looks(features[:5], bits[:5]), few, train(features, bits, train_groups))
