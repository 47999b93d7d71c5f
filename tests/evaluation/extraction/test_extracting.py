"""Features come in the order that was asked for, a portion at a time; what is bad is left out, and told."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tenacity
from PIL import Image

from curation.errors import ItemError, TransientError
from curation.releases import Release
from evaluation.extraction.extracting import Extraction, portions
from evaluation.extraction.portions import PORTION, SIDE_PX
from evaluation.features import Features, Wave
from rules.errors import ConfigurationError
from tests.evaluation.made_splits import RATE_HZ, Made, Means, clip, color, picture, saved, silent
from tests.training.loaders import split_of
from training.data import Split
from training.reading import files


@pytest.fixture
def extraction(tmp_path: Path) -> Extraction:
    return Extraction(tmp_path, silent)


def again(tmp_path: Path) -> Extraction:
    """Give another one over the same cache, as the next evaluation has it."""
    return Extraction(tmp_path, silent)


def test_features_of_files_are_in_their_order(extraction: Extraction, tmp_path: Path) -> None:
    found = extraction.of_files(Means(), saved(tmp_path / "images", PORTION + 3)[::-1])
    assert found.features.dtype == np.float32
    assert found.features.tolist() == [color(number) for number in reversed(range(PORTION + 3))]
    assert found.places.tolist() == list(range(PORTION + 3))
    assert found.bad == {}


def test_features_of_rows_are_as_they_were_asked_for(extraction: Extraction) -> None:
    found = extraction.of_rows(Means(), Made([0] * 12), "image", np.array([11, 0, 7, 0]))
    assert found.features.tolist() == [color(row) for row in (11, 0, 7, 0)]


def test_clips_are_heard_at_the_rate_of_the_network(extraction: Extraction) -> None:
    split = Made([0] * 3)
    assert extraction.of_rows(Means(), split, "music", np.arange(3)).features[:, 0].tolist() == [0, 1, 2]
    heard: list[Wave] = []

    class Fine(Means):
        def sounds(self, waves: list[Wave], sample_rate_hz: int) -> Features:  # type: ignore[override]
            heard.extend(waves)
            return super().sounds(waves, sample_rate_hz)

    extraction.of_rows(Fine(sample_rate_hz=4 * RATE_HZ), split, "music", np.arange(3))
    assert [(wave.dtype, len(wave)) for wave in heard] == [(np.int16, 80)] * 3


def test_nothing_asked_for_is_nothing_found(extraction: Extraction) -> None:
    assert extraction.of_files(Means(), []).features.shape == (0, 3)
    assert extraction.of_rows(Means(), Made([0]), "image", np.array([], dtype=np.int64)).features.shape == (0, 3)


def test_a_network_sees_the_middle_square_of_every_picture_in_one_size(extraction: Extraction, tmp_path: Path) -> None:
    seen: list[Image.Image] = []

    class Eye(Means):
        def images(self, pictures: list[Image.Image]) -> Features:  # type: ignore[override]
            seen.extend(pictures)
            return super().images(pictures)

    wide, gray, large = (tmp_path / f"{name}.png" for name in ("wide", "gray", "large"))
    sides = Image.new("RGB", (300, 100), "red")
    sides.paste("blue", (100, 0, 200, 100))
    sides.save(wide)
    Image.new("L", (16, 16), 9).save(gray)
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8))
    drawn.save(large)
    extraction.of_files(Eye(), [wide, gray, large])
    assert {(image.mode, image.size) for image in seen} == {("RGB", (SIDE_PX, SIDE_PX))}
    assert seen[0].getpixel((20, 256)) == (0, 0, 255) == seen[0].getpixel((490, 256))
    assert seen[1].getpixel((0, 0)) == (9, 9, 9)
    assert seen[2].tobytes() == drawn.tobytes()


BAD: dict[tuple[str, int], bytes | None] = {
    ("image", 1): b"GIF89a",
    ("image", 3): None,
    ("audio", 2): b"RIFF",
    ("audio", 3): clip(3)[:-4],
}


@pytest.mark.parametrize("is_second", [False, True], ids=["read", "from the cache"])
def test_what_cannot_be_used_is_left_out_and_told_once(tmp_path: Path, is_second: bool) -> None:
    split = Made([0] * 7)
    split.spoiled = BAD
    if is_second:
        again(tmp_path).of_rows(Means(), split, "image", np.arange(7))
        again(tmp_path).of_rows(Means(), split, "music", np.arange(7))
    extraction = again(tmp_path)
    images = extraction.of_rows(Means(), split, "image", np.array([3, 0, 1, 2, 1]))
    assert images.places.tolist() == [1, 3]
    assert images.features.tolist() == [color(0), color(2)]
    assert {place: error.reason for place, error in images.bad.items()} == dict.fromkeys((0, 2, 4), "undecodable_image")
    clips = extraction.of_rows(Means(), split, "music", np.arange(7))
    assert clips.features[:, 0].tolist() == [0, 1, 4, 5, 6]
    extraction.of_rows(Means("stand-in: another"), split, "music", np.arange(7))
    ids = split.pairs["pair_id"].to_pylist()
    assert {(left.pair_id, left.stage, left.reason) for left in extraction.left_out} == {
        (ids[1], "true image", "undecodable_image"),
        (ids[3], "true image", "undecodable_image"),
        (ids[2], "clip", "undecodable_audio"),
        (ids[3], "clip", "undecodable_audio"),
    }
    assert len(extraction.left_out) == 4
    assert [left.pair_id for left in extraction.left_out] == sorted(left.pair_id for left in extraction.left_out)


def test_files_that_cannot_be_used_say_why(
    extraction: Extraction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = saved(tmp_path / "images", 5)
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:45])
    paths[2].unlink()
    paths[2].mkdir()
    paths[3].write_bytes(picture(3) + b"\0" * 9000)
    monkeypatch.setattr(portions, "MAX_FILE_BYTES", 9000)
    found = extraction.of_files(Means(), paths)
    assert {place: error.reason for place, error in found.bad.items()} == {
        0: "missing_file",
        1: "undecodable_image",
        2: "unreadable",
        3: "too_many_bytes",
    }
    assert found.places.tolist() == [4]
    assert extraction.left_out == ()


def test_of_clips_one_of_which_is_too_short_for_the_network_the_others_are_heard(extraction: Extraction) -> None:
    class Demanding(Means):
        def sounds(self, waves: list[Wave], sample_rate_hz: int) -> Features:  # type: ignore[override]
            if any(wave[0] == 2 for wave in waves):
                raise ItemError("too_short", "no frame")
            return super().sounds(waves, sample_rate_hz)

    found = extraction.of_rows(Demanding(), Made([0] * 4), "music", np.arange(4))
    assert found.features[:, 0].tolist() == [0, 1, 3]
    assert [(place, error.reason) for place, error in found.bad.items()] == [(2, "too_short")]


def test_a_network_that_gives_another_number_of_vectors_is_a_bug(extraction: Extraction) -> None:
    class Broken(Means):
        def images(self, pictures: list[Image.Image]) -> Features:  # type: ignore[override]
            return super().images(pictures)[:-1]

    with pytest.raises(ValueError, match=r"stand-in: means: \(3, 3\) for 4 items of width 3"):
        extraction.of_rows(Broken(), Made([0] * 4), "image", np.arange(4))


def test_a_walk_gives_all_rows_in_order_and_says_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    walk = Extraction(tmp_path, lambda *what: told.append(what)).batches(Means(), Made([0] * 12, "train"), "image")
    batches = list(walk)
    assert [rows.tolist() for rows, _ in batches] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert np.concatenate([features for _, features in batches]).tolist() == [color(row) for row in range(12)]
    assert told == [("stand-in: means: images of train", done, 12) for done in (0, 5, 10, 12)]


def test_a_walk_may_be_of_some_rows(extraction: Extraction) -> None:
    split = Made([0] * 12)
    walk = extraction.batches(Means(), split, "music", np.array([2, 9]))
    assert [(rows.tolist(), features[:, 0].tolist()) for rows, features in walk] == [([2], [2]), ([9], [9])]
    assert split.read == [("audio", 2), ("audio", 9)]


def test_a_row_group_is_read_once_though_it_passes_in_portions(extraction: Extraction) -> None:
    count = 2 * PORTION + 3
    split, network = Made([0] * count, group_rows=count), Means()
    list(extraction.batches(network, split, "music"))
    assert network.asked == [PORTION, PORTION, 3]
    assert split.read == [("audio", row) for row in range(count)]


def test_features_of_very_many_items_need_no_more_memory_than_those_of_many(tmp_path: Path) -> None:
    class Wide(Means):
        width = 2048

    def peak_bytes(count: int) -> int:
        split = Made([0] * count, group_rows=PORTION)
        extraction, network = again(tmp_path / str(count)), Wide()
        tracemalloc.start()
        seen = sum(len(rows) for rows, _ in extraction.batches(network, split, "music"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == count
        return peak

    few, many = peak_bytes(8 * PORTION), peak_bytes(40 * PORTION)
    assert 40 * PORTION * 2048 * 4 > 10_000_000 > many  # what all features would take
    assert many < 1.5 * few


def test_a_place_that_is_busy_is_asked_again(extraction: Extraction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAIT", tenacity.wait_none())
    split, tries = Made([0] * 3), []
    original = Made.media

    def media(self: Split, *asked: object) -> object:
        tries.append(asked)
        if len(tries) < 3:
            raise TransientError("busy")
        return original(self, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(Made, "media", media)
    assert len(extraction.of_rows(Means(), split, "image", np.arange(3)).features) == 3
    assert len(tries) == 3


def test_a_file_that_is_gone_ends_the_walk_with_its_name(
    extraction: Extraction, tiny_release: Release, tmp_path: Path
) -> None:
    shutil.copytree(tiny_release.folder / "data", tmp_path / "copy" / "data")
    split = split_of(tmp_path / "copy")
    (tmp_path / "copy" / split._names[0]).unlink()
    with pytest.raises(ConfigurationError, match="is gone"):
        list(extraction.batches(Means(sample_rate_hz=16_000), split, "music"))


def test_a_real_release_is_walked(extraction: Extraction, tiny_release: Release) -> None:
    split = split_of(tiny_release.folder)
    for side in ("image", "music"):
        rows = np.concatenate([rows for rows, _ in extraction.batches(Means(sample_rate_hz=16_000), split, side)])
        assert rows.tolist() == list(range(len(split)))
    assert extraction.left_out == ()
