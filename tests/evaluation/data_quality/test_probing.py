import numpy as np
import pytest

from evaluation.data_quality import probing
from tests.evaluation.nearby import NETWORK


@pytest.fixture(autouse=True)
def _few_permutations(monkeypatch):
    monkeypatch.setattr(probing, "PERMUTATIONS", 9)


def _items(n_groups, n_labels, strength, per_group=4, d=12, seed=0):
    """Groups of items that are alike beside what their label adds."""
    draws = np.random.default_rng(seed)
    groups = draws.permutation(np.repeat(np.arange(n_groups), per_group))
    labels = groups % n_labels
    centers, of_groups = draws.normal(size=(n_labels, d)), draws.normal(size=(n_groups, d))
    features = strength * centers[labels] + of_groups[groups] + 0.3 * draws.normal(size=(len(groups), d))
    return features.astype(np.float32), labels.astype(np.int64), groups.astype(np.int64)


def _probe(features, labels, groups, seed=1):
    return probing.probe("image", features, labels, groups, NETWORK, seed)


def test_labels_that_features_hold_are_told():
    found = _probe(*_items(40, 4, 1.5))
    assert 0.9 < found.accuracy.value < 1
    assert found.chance.p_value == 0.1  # the least of 9 permutations
    assert found.chance.value == pytest.approx(0.25, abs=0.15)
    assert found.accuracy.interval[0] > found.chance.interval[1]
    assert (found.n, found.groups, found.folds, found.labels) == (160, 40, 5, [0, 1, 2, 3])
    assert np.trace(found.confusion) / 160 == pytest.approx(found.accuracy.value)
    assert np.sum(found.confusion, axis=1).tolist() == [40] * 4


def test_that_all_are_right_does_not_make_it_sure_that_all_others_are():
    found = _probe(*_items(20, 2, 40.0))
    assert (found.accuracy.value, found.accuracy.interval) == (1.0, None)


def test_features_that_only_know_groups_are_at_chance():
    """Items of one group are nearly the same: told across groups they would be told without fault."""
    found = [_probe(*_items(40, 4, 0.0, seed=seed)) for seed in range(6)]
    assert np.mean([one.accuracy.value for one in found]) == pytest.approx(0.25, abs=0.08)
    assert sum(one.chance.interval[1] < one.accuracy.value for one in found) <= 2


def test_no_item_is_told_by_a_model_that_saw_its_group(monkeypatch):
    seen = []

    class Told:
        def __init__(self, **_):
            pass

        def fit(self, rows, labels):
            seen.append(set(rows[:, 0].round(4).tolist()))

        def predict(self, rows):
            assert not seen[-1] & set(rows[:, 0].round(4).tolist())
            return np.zeros(len(rows), dtype=np.int64)

    monkeypatch.setattr(probing, "LogisticRegression", Told)
    _, labels, groups = _items(20, 2, 1.0)
    features = np.stack([groups, np.ones(len(groups))], axis=1).astype(np.float32)
    found = _probe(features, labels, groups)
    assert len(seen) == 5 * (1 + 9)
    assert found.accuracy.value == 0.5


def test_accuracy_counts_labels_alike_however_many_items_they_have():
    features, labels, groups = _items(40, 4, 4.0)
    labels = np.where(labels == 3, 3, 0)  # 30 groups against 10
    found = _probe(np.ones_like(features), labels, groups)
    assert found.accuracy.value == 0.5
    assert found.confusion == [[120, 0], [40, 0]]


def test_labels_of_too_few_groups_are_left_out_and_named():
    features, labels, groups = _items(40, 4, 4.0)
    labels[groups == 0], labels[groups == 1] = 9, 7
    found = _probe(features, labels, groups)
    assert found.labels == [0, 1, 2, 3]
    assert [(one.label, one.n) for one in found.left_out] == [(7, 4), (9, 4)]
    assert (found.n, found.groups) == (152, 38)


@pytest.mark.parametrize(("n_groups", "folds"), [(5, 2), (8, 3), (10, 3), (13, 4), (16, 5)])
def test_there_are_as_many_folds_as_half_of_the_labels_have_groups(n_groups, folds):
    assert _probe(*_items(n_groups, 3, 4.0)).folds == folds


@pytest.mark.parametrize("n_groups", [1, 3, 4], ids=["one group", "one of each", "two of one label"])
def test_without_two_labels_of_two_groups_there_is_no_probe(n_groups):
    assert _probe(*_items(n_groups, 3, 4.0)) is None


def test_the_same_items_and_seed_give_the_same():
    assert _probe(*_items(20, 3, 1.0)) == _probe(*_items(20, 3, 1.0))


def test_nothing_depends_on_how_groups_and_labels_are_numbered():
    features, labels, groups = _items(20, 3, 1.0)
    found, other = _probe(features, labels, groups), _probe(features, labels * 5 + 1, groups * 3 + 7)
    assert other.accuracy == found.accuracy
    assert other.confusion == found.confusion
    assert other.labels == [1, 6, 11]


def test_constant_features_tell_nothing():
    features, labels, groups = _items(20, 4, 1.0)
    assert _probe(np.ones_like(features), labels, groups).accuracy.value == pytest.approx(0.25)
