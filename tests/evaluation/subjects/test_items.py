"""Clips are chosen by a seed, in proportion to the labels, and in an order that files do not decide."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.result import LeftOut
from evaluation.subjects import items
from evaluation.subjects.items import Pictured
from rules.errors import ConfigurationError
from tests.evaluation.made_splits import Made, pair_id

SKEWED = Made([0] * 60 + [1] * 30 + [2] * 9 + [3])


def counts(labels: np.ndarray) -> list[int]:
    return np.bincount(labels, minlength=4).tolist()


@pytest.mark.parametrize(
    ("sizes", "n", "expected"), [((60, 30, 9, 1), 20, [11, 6, 2, 1]), ((70, 20, 10, 0), 13, [9, 3, 1, 0])]
)
def test_each_label_has_its_share_and_a_rare_one_its_only_clip(
    sizes: tuple[int, ...], n: int, expected: list[int]
) -> None:
    split = Made(np.repeat(range(4), sizes).tolist())
    assert counts(items.choose(split, n, 1).labels) == expected


def test_as_few_clips_as_labels_are_one_of_each() -> None:
    assert counts(items.choose(SKEWED, 4, 1).labels) == [1, 1, 1, 1]


@pytest.mark.parametrize("n", [None, 100, 335])
def test_no_number_or_a_large_one_takes_all(n: int | None) -> None:
    assert counts(items.choose(SKEWED, n, 1).labels) == [60, 30, 9, 1]


def test_fewer_images_than_labels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--n: 3 images: expected at least 4, one for each label"):
        items.choose(SKEWED, 3, 1)


def test_labels_without_clips_do_not_count() -> None:
    assert len(items.choose(Made([0, 0, 9]), 2, 1)) == 2


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    n=st.integers(1, 70),
    seed=st.integers(0, 2**63 - 1),
)
@settings(deadline=None, max_examples=60)
def test_each_label_is_there_no_clip_is_twice_and_fewer_are_among_more(labels: list[int], n: int, seed: int) -> None:
    split = Made(labels)
    n = max(n, len(set(labels)))
    chosen = items.choose(split, n, seed)
    assert len(set(chosen.pair_ids)) == len(chosen) == min(n, len(labels))
    assert set(chosen.labels.tolist()) == set(labels)
    assert set(chosen.pair_ids) <= set(items.choose(split, n + 1, seed).pair_ids)


def test_another_seed_chooses_other_clips() -> None:
    assert items.choose(SKEWED, 20, 1).pair_ids != items.choose(SKEWED, 20, 2).pair_ids


def test_the_order_of_the_files_decides_nothing() -> None:
    numbers = np.random.default_rng(0).permutation(100)
    labels = SKEWED.pairs["label"].to_numpy()[numbers]
    columns = {name: SKEWED.pairs[name].take(numbers) for name in ("pair_id", "music_sha256", "music_title")}
    one, other = items.choose(SKEWED, 20, 1), items.choose(Made(labels.tolist(), **columns), 20, 1)
    assert (one.pair_ids, one.digest) == (other.pair_ids, other.digest)
    assert one.recordings.tolist() == other.recordings.tolist()


def test_items_are_in_order_of_their_pair_id_and_say_where_they_are() -> None:
    chosen = items.choose(SKEWED, 20, 1)
    assert list(chosen.pair_ids) == sorted(chosen.pair_ids)
    assert SKEWED.pairs["pair_id"].take(chosen.rows).to_pylist() == list(chosen.pair_ids)
    assert SKEWED.pairs["label"].take(chosen.rows).to_pylist() == chosen.labels.tolist()


def test_clips_of_one_recording_have_its_number_and_numbers_have_no_gaps() -> None:
    split = Made([0, 0, 0, 0], music_sha256=["b" * 64, "a" * 64, "b" * 64, "c" * 64])
    chosen = items.choose(split, None, 1)
    of_row = dict(zip(chosen.rows.tolist(), chosen.recordings.tolist(), strict=True))
    assert of_row[0] == of_row[2]
    assert sorted(set(of_row.values())) == [0, 1, 2]


def test_a_clip_without_a_title_is_called_by_its_pair() -> None:
    chosen = items.choose(Made([0, 0, 0], music_title=["Nocturne", None, "  "]), None, 1)
    of_row = dict(zip(chosen.rows.tolist(), chosen.titles, strict=True))
    assert of_row == {0: "Nocturne", 1: pair_id("test", 1), 2: pair_id("test", 2)}


def test_the_digest_is_of_the_clips_and_of_the_split() -> None:
    ids = [pair_id("test", number) for number in range(3)]
    digests = {
        items.choose(Made([0, 0, 0], name, pair_id=ids), n, 1).digest for name in ("test", "train") for n in (2, 3)
    }
    assert len(digests) == 4


@pytest.mark.parametrize("name", ["../../../etc/passwd", "", "a/b", "0123456X", "abcdef01\n"])
def test_a_pair_id_that_is_no_name_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected 8 to 64 hexadecimal digits"):
        items.choose(Made([0, 0], pair_id=[pair_id("test", 0), name]), None, 1)


def test_a_pair_id_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has a pair_id twice"):
        items.choose(Made([0, 0], pair_id=[pair_id("test", 0)] * 2), None, 1)


def test_some_of_the_items_are_what_would_have_been_chosen_without_the_others() -> None:
    split = Made([0] * 4, music_sha256=["a" * 64, "b" * 64, "a" * 64, "b" * 64])
    chosen = items.choose(split, None, 1)
    files = tuple(Path(name) for name in chosen.pair_ids)
    lost = LeftOut(pair_id=chosen.pair_ids[1], stage="image", reason="undecodable_image", detail="")
    left = Pictured(chosen, files).only(split, np.array([0, 2]), (lost,))
    assert left.items.pair_ids == chosen.pair_ids[::2]
    assert left.files == files[::2]
    assert left.left_out == (lost,)
    alone = items.of_rows(split, chosen.rows[::2])
    assert left.items.digest == alone.digest != chosen.digest
    assert left.items.recordings.tolist() == alone.recordings.tolist()
