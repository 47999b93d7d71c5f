"""Real images stand in the place of generated ones: of the right label or of another, never of the item's own group."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.result import RowName
from evaluation.subjects import items, reference_rows
from tests.evaluation.made_splits import Made

SPLIT = Made([0] * 10 + [1] * 6 + [2] * 4)
TRAIN = Made([0] * 8 + [1] * 8 + [2] * 3 + [3] * 5, "train")
ITEMS = items.choose(SPLIT, None, 1)


def labels_of(train: Made, name: RowName, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of items and those of the images that stand there."""
    found = reference_rows.choose(ITEMS, SPLIT, train, seed)[name]
    return ITEMS.labels[found.places], train.pairs["label"].to_numpy()[found.rows]


def test_the_label_is_the_right_one_or_another() -> None:
    own, same = labels_of(TRAIN, "same_label")
    assert (own == same).all()
    own, other = labels_of(TRAIN, "other_label")
    assert (own != other).all()
    assert len(own) == len(ITEMS)


def test_an_item_of_a_label_without_training_images_has_none() -> None:
    found = reference_rows.choose(ITEMS, SPLIT, Made([0] * 20, "train"), 1)
    assert ITEMS.labels[found["same_label"].places].tolist() == [0] * 10
    assert (ITEMS.labels[found["other_label"].places] > 0).all()
    assert len(found["other_label"].places) == 10
    assert (np.diff(found["same_label"].places) > 0).all()


def test_no_image_comes_twice_before_all_of_the_label_have_come() -> None:
    found = reference_rows.choose(ITEMS, SPLIT, TRAIN, 1)["same_label"]
    uses = Counter(found.rows.tolist())
    of_label = {
        label: [uses[row] for row in np.flatnonzero(TRAIN.pairs["label"].to_numpy() == label)] for label in range(3)
    }
    assert sorted(of_label[0]) == [1] * 6 + [2] * 2  # 10 items of 8 images
    assert sorted(of_label[1]) == [0] * 2 + [1] * 6
    assert sorted(of_label[2]) == [1, 1, 2]


def test_labels_do_not_share_the_few_images_that_come_first() -> None:
    """They would be a collapsed model: the floor of FID, and no ceiling."""
    split, train = Made(list(range(10)) * 6), Made(list(range(10)) * 12, "train")
    found = reference_rows.choose(items.choose(split, None, 1), split, train, 1)["other_label"]
    assert len(found.rows) == 60
    assert (
        len(np.unique(found.rows)) >= 58
    )  # 60 of 120 training images are asked for; 10 others came once for each label


def test_a_seed_chooses_the_same_images_and_another_one_others() -> None:
    first, again, other = (reference_rows.choose(ITEMS, SPLIT, TRAIN, seed)["other_label"].rows for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_order_of_the_training_files_decides_nothing() -> None:
    turned = Made(
        TRAIN.pairs["label"].to_pylist()[::-1],
        "train",
        pair_id=TRAIN.pairs["pair_id"].to_pylist()[::-1],
        image_group=TRAIN.pairs["image_group"].to_pylist()[::-1],
    )
    found = [reference_rows.choose(ITEMS, SPLIT, train, 1)["same_label"].rows for train in (TRAIN, turned)]
    assert (found[0] == len(TRAIN) - 1 - found[1]).all()


@pytest.mark.parametrize("name", ["same_label", "other_label"])
@given(
    groups=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30), seed=st.integers(0, 9)
)
@settings(deadline=None, max_examples=60)
def test_within_one_split_no_item_gets_an_image_of_its_own_group(
    name: RowName, groups: list[tuple[int, int]], seed: int
) -> None:
    split = Made([label for label, _ in groups], image_group=[str(group) for _, group in groups])
    chosen = items.choose(split, None, 1)
    found = reference_rows.choose(chosen, split, split, seed)[name]
    labels, of_group = np.array(groups).T
    given_to = dict(zip(found.places.tolist(), found.rows.tolist(), strict=True))
    for place, row in enumerate(chosen.rows.tolist()):
        fits = ((labels == labels[row]) == (name == "same_label")) & (of_group != of_group[row])
        assert (place in given_to) == fits.any()
        assert place not in given_to or fits[given_to[place]]
