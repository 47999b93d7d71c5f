import numpy as np
import pytest

from evaluation.data_quality import leaks
from rules.errors import ConfigurationError
from tests.evaluation.nearby import NETWORK, differing, looks, near, signs, train

WIDTH = 48


@pytest.fixture
def scene():
    """300 training images, of which the first 250 are asked about too, and 80 of other splits; all of them apart."""
    draws = np.random.default_rng(1)
    return draws, draws.normal(size=(300, WIDTH)).astype(np.float32), draws.normal(size=(80, WIDTH)).astype(np.float32)


def _check(features, others, groups=None, hashes=None):
    groups = np.arange(len(features)) if groups is None else groups
    bits, other_bits = hashes if hashes is not None else (None, None)
    own = looks(features[:250], None if bits is None else bits[:250], groups[:250], "train")
    asked = looks(others, other_bits, np.arange(5_000, 5_000 + len(others)))
    return leaks.check(asked, own, 90, train(features, bits, groups), NETWORK)


def test_of_things_apart_nothing_is_found(scene):
    _, features, others = scene
    found = _check(features, others)
    assert (found.found, found.own_found) == (0, 0)
    assert (found.n, found.available, found.n_own, found.n_train) == (80, 90, 250, 300)
    assert (found.side, found.hash_distance, found.is_stand_in) == ("music", None, True)
    assert found.nearest[0].likeness < found.threshold < 1
    assert len(found.nearest) == leaks.SHOWN


def test_planted_leaks_are_found_and_shown_first(scene):
    draws, features, others = scene
    others[17], others[60] = near(draws, features[204], 0.97), near(draws, features[3], 0.99)
    found = _check(features, others)
    assert found.found == 2
    assert [(leak.pair_id, leak.split, leak.nearest_pair_id) for leak in found.nearest[:2]] == [
        ("test60", "test", "train3"),
        ("test17", "test", "train204"),
    ]
    assert found.nearest[0].likeness == pytest.approx(0.99, abs=1e-5)


def test_a_split_that_is_training_items_again_is_found_whole(scene):
    """The threshold is of the training items alone, so it stays where it is."""
    draws, features, _ = scene
    others = np.stack([near(draws, row, 0.9) for row in features[:80]])
    assert _check(features, others).found == 80


def test_unknown_duplicates_within_the_training_items_do_not_hide_leaks(scene):
    draws, features, others = scene
    for i in range(25):
        features[i + 25] = near(draws, features[i], 0.995)
    others[5] = near(draws, features[299], 0.99)
    found = _check(features, others)
    assert found.found == 1
    assert found.own_found == 50


def test_items_of_one_group_are_known_to_be_alike_and_say_nothing(scene):
    draws, features, others = scene
    for i in range(0, 300, 2):
        features[i + 1] = near(draws, features[i], 0.999)
    found = _check(features, others, groups=np.arange(300) // 2)
    assert (found.found, found.own_found) == (0, 0)
    assert found.threshold < 0.95


def test_hashes_find_images_that_features_do_not(scene):
    draws, features, others = scene
    bits, other_bits = signs(draws, 300), signs(draws, 80)
    other_bits[33] = differing(bits[270], 6)
    found = _check(features, others, hashes=(bits, other_bits))
    assert (found.side, found.hash_bits, found.found) == ("image", 64, 1)
    leak = found.nearest[0]
    assert (leak.pair_id, leak.hash_nearest_pair_id, leak.hash_distance) == ("test33", "train270", 6)


def test_an_exact_copy_is_found_however_unevenly_things_lie(scene):
    """Half of the music is of one kind and near to each other: four quartile ranges lead beyond equality."""
    draws, features, others = scene
    for i in range(1, 300, 2):
        features[i] = near(draws, features[1], 1 - 10.0 ** -draws.uniform(2, 5))
    others[5] = features[298]
    found = _check(features, others)
    assert (found.found, found.own_found) == (1, 0)
    assert found.nearest[0].nearest_pair_id == "train298"


def test_constant_features_make_everything_the_same():
    found = _check(np.ones((300, 4), dtype=np.float32), np.ones((8, 4), dtype=np.float32))
    assert (found.found, found.own_found) == (8, 250)


@pytest.mark.parametrize(
    ("n", "groups"), [(0, None), (4, np.zeros(300, dtype=np.int64))], ids=["no others", "one group"]
)
def test_what_cannot_be_checked_is_refused(scene, n, groups):
    _, features, others = scene
    with pytest.raises(ConfigurationError, match="leaks: expected items of other splits"):
        _check(features, others[:n], groups)
