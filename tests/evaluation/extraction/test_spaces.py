"""A space holds the features of all items and of what stands beside them; an item without one of its media leaves."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.extraction import spaces
from evaluation.extraction.extracting import Extraction
from evaluation.extraction.spaces import Loaded, Splits, of_space, usable
from evaluation.result import NetworkFacts
from evaluation.subjects import items, reference_rows
from evaluation.subjects.items import Pictured
from rules.errors import ConfigurationError
from tests.evaluation.made_splits import Made, Means, picture, silent

LABELS = [0] * 4 + [1] * 4
FACTS = (NetworkFacts(role="likeness", name="m", weights=None, weights_sha256="5e" * 32, width=3, is_stand_in=True),)


@pytest.fixture
def extraction(tmp_path: Path) -> Extraction:
    return Extraction(tmp_path / "cache", silent)


def loaded() -> Loaded:
    return Loaded(Means(), FACTS, music=Means(), prompts=["one", "three"])


@pytest.fixture
def split() -> Made:
    return Made(LABELS)


@pytest.fixture
def pictured(split: Made, tmp_path: Path) -> Pictured:
    """Give all clips of `split`, each with an image whose color is 100 and its place."""
    chosen = items.choose(split, None, 1)
    files = tuple(tmp_path / f"{name}.png" for name in chosen.pair_ids)
    for number, path in enumerate(files):
        path.write_bytes(picture(100 + number))
    return Pictured(chosen, files)


def splits(pictured: Pictured, split: Made, train: Made | None = None) -> Splits:
    train = train or Made([0] * 6 + [1] * 6, "train")
    return Splits(split, train, reference_rows.choose(pictured.items, split, train, 1), 1)


def test_a_space_has_everything_in_the_order_of_the_items(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    space = of_space(extraction, pictured, splits(pictured, split), loaded())
    rows = pictured.items.rows
    assert space.generated[:, 0].tolist() == list(range(100, 108))
    assert space.partners[:, 0].tolist() == rows.tolist()
    assert space.music is not None
    assert space.music[:, 0].tolist() == rows.tolist()
    assert space.real[:, 0].tolist() == list(range(8))
    assert space.real_groups.tolist() == list(range(8))
    assert space.texts is not None
    assert space.texts[:, 0].tolist() == [3, 5]
    assert space.networks == FACTS


def test_a_space_of_images_alone_has_neither_music_nor_words(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    space = of_space(extraction, pictured, splits(pictured, split), Loaded(Means(), FACTS))
    assert (space.music, space.texts) == (None, None)
    assert ("audio", 0) not in split.read


def test_reference_images_are_those_that_were_chosen(extraction: Extraction, split: Made, pictured: Pictured) -> None:
    where = splits(pictured, split)
    space = of_space(extraction, pictured, where, loaded())
    assert set(space.others) == {"other_label", "same_label"}
    for name, (places, features) in space.others.items():
        assert places.tolist() == where.references[name].places.tolist()
        assert features[:, 0].tolist() == where.references[name].rows.tolist()


def test_a_reference_image_that_cannot_be_used_is_missing_from_its_row_alone(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    train = Made([0] * 6 + [1] * 6, "train")
    where = splits(pictured, split, train)
    lost = int(where.references["same_label"].rows[2])
    train.spoiled = {("image", lost): None}
    places, features = of_space(extraction, pictured, where, loaded()).others["same_label"]
    chosen = where.references["same_label"]
    is_there = chosen.rows != lost
    assert places.tolist() == chosen.places[is_there].tolist()
    assert features[:, 0].tolist() == chosen.rows[is_there].tolist()
    assert [(left.pair_id, left.stage) for left in extraction.left_out] == [
        (where.train.pairs["pair_id"][lost].as_py(), "true image")
    ]


def test_real_images_are_each_there_once(extraction: Extraction, pictured: Pictured) -> None:
    names = ["a" * 64, "b" * 64, "a" * 64, "c" * 64, "b" * 64, "d" * 64, "e" * 64, "f" * 64]
    groups = ["one", "two", "one", "two", "two", "three", "three", "four"]
    split = Made(LABELS, image_sha256=names, image_group=groups)
    space = of_space(extraction, pictured, splits(pictured, split), loaded())
    assert space.real[:, 0].tolist() == [0, 1, 3, 5, 6, 7]
    assert space.real_groups.tolist() == [0, 1, 1, 2, 2, 3]
    assert space.partners[:, 0].tolist() == pictured.items.rows.tolist()


def test_of_too_many_real_images_a_seed_chooses(split: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spaces, "MAX_REAL", 3)
    chosen = [spaces.real_rows(split, seed).tolist() for seed in range(6)]
    assert all(len(rows) == 3 and rows == sorted(rows) for rows in chosen)
    assert len({tuple(rows) for rows in chosen}) > 1
    assert spaces.real_rows(split, 0).tolist() == chosen[0]


def test_partners_that_are_not_among_few_real_images_are_there(
    extraction: Extraction, split: Made, pictured: Pictured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces, "MAX_REAL", 3)
    space = of_space(extraction, pictured, splits(pictured, split), loaded())
    assert space.partners[:, 0].tolist() == pictured.items.rows.tolist()
    assert space.real[:, 0].tolist() == spaces.real_rows(split, 1).tolist()


def test_an_item_without_one_of_its_media_leaves_with_a_reason(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    rows, ids = pictured.items.rows.tolist(), pictured.items.pair_ids
    split.spoiled = {("image", rows[1]): None, ("audio", rows[2]): b"RIFF"}
    pictured.files[4].write_bytes(b"no picture")
    pictured.files[6].unlink()
    left = usable(extraction, pictured, split, loaded(), 1)
    assert left.items.pair_ids == tuple(ids[place] for place in (0, 3, 5, 7))
    assert left.files == tuple(pictured.files[place] for place in (0, 3, 5, 7))
    assert {(one.pair_id, one.stage, one.reason) for one in (*left.left_out, *extraction.left_out)} == {
        (ids[1], "true image", "undecodable_image"),
        (ids[2], "clip", "undecodable_audio"),
        (ids[4], "image", "undecodable_image"),
        (ids[6], "image", "missing_file"),
    }
    space = of_space(extraction, left, splits(left, split), loaded())
    assert space.generated[:, 0].tolist() == [100, 103, 105, 107]
    assert space.partners[:, 0].tolist() == left.items.rows.tolist()
    assert rows[1] not in space.real[:, 0].tolist()
    assert len(space.real) == len(space.real_groups) == 7


def test_what_was_found_to_be_usable_is_not_asked_for_again(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    first, second = loaded(), loaded()
    usable(extraction, pictured, split, first, 1)
    split.read.clear()
    of_space(extraction, pictured, splits(pictured, split), replace(second, prompts=None))
    assert split.read == []
    assert isinstance(second.music, Means)
    assert second.music.asked == []


def test_if_nothing_can_be_used_the_first_item_says_why(
    extraction: Extraction, split: Made, pictured: Pictured
) -> None:
    for path in pictured.files:
        path.write_bytes(b"no picture")
    expected = f"not one of 8 items can be used; the first, {pictured.items.pair_ids[0]}: undecodable_image"
    with pytest.raises(ConfigurationError, match=expected):
        usable(extraction, pictured, split, loaded(), 1)


def test_a_file_that_changes_in_the_midst_is_told(extraction: Extraction, split: Made, pictured: Pictured) -> None:
    left = usable(extraction, pictured, split, loaded(), 1)
    left.files[2].unlink()
    with pytest.raises(ConfigurationError, match=f"{left.items.pair_ids[2]} could be used a moment ago: missing_file"):
        of_space(extraction, left, splits(left, split), loaded())


def test_the_words_of_a_label_are_taken_as_they_are() -> None:
    assert spaces.prompt("Noon {x} %s") == "an art image of Noon {x} %s"
