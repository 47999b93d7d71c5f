"""Features are kept by the network and by what they were made from; damaged ones are made anew."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evaluation.extraction.extracting import Extraction, portions
from evaluation.extraction.portions import PORTION
from tests.evaluation.made_splits import RATE_HZ, Made, Means, color, picture, saved, silent
from training.reading.cache import Cache


def again(tmp_path: Path) -> Extraction:
    """Give another one over the same cache, as the next evaluation has it."""
    return Extraction(tmp_path, silent)


@pytest.mark.parametrize("side", ["image", "music"])
def test_what_was_found_is_neither_read_nor_asked_for_again(tmp_path: Path, side: portions.Side) -> None:
    first, second = Made([0] * 12), Made([0] * 12)
    one = again(tmp_path).of_rows(Means(), first, side, np.arange(12))
    network = Means()
    other = again(tmp_path).of_rows(network, second, side, np.arange(12))
    assert other.features.tobytes() == one.features.tobytes()
    assert (second.read, network.asked) == ([], [])
    assert len(first.read) == 12


def test_files_are_found_by_their_content_wherever_they_lie(tmp_path: Path) -> None:
    again(tmp_path).of_files(Means(), saved(tmp_path / "one", 3))
    network = Means()
    (tmp_path / "other").mkdir()
    paths = [path.rename(tmp_path / "other" / f"named {path.name}") for path in saved(tmp_path / "one", 3)]
    again(tmp_path).of_files(network, paths)
    assert network.asked == []
    paths[1].write_bytes(picture(77))
    assert again(tmp_path).of_files(network, paths).features.tolist() == [color(0), color(77), color(2)]


@pytest.mark.parametrize("change", ["name", "weights_sha256", "version", "sample_rate_hz"])
def test_another_network_finds_nothing_of_this_one_and_takes_nothing_from_it(tmp_path: Path, change: str) -> None:
    again(tmp_path).of_rows(Means(), Made([0] * 3), "music", np.arange(3))
    other = Means()
    values = {"name": "stand-in: others", "weights_sha256": "5f" * 32, "version": 2, "sample_rate_hz": 2 * RATE_HZ}
    setattr(other, change, values[change])
    again(tmp_path).of_rows(other, Made([0] * 3), "music", np.arange(3))
    assert other.asked == [3]
    first = Means()
    again(tmp_path).of_rows(first, Made([0] * 3), "music", np.arange(3))
    assert first.asked == []


@pytest.mark.parametrize("change", ["media", "music_sha256", "music_start_s", "sample_rate_hz"])
def test_another_clip_is_listened_to(tmp_path: Path, change: str) -> None:
    again(tmp_path).of_rows(Means(), Made([0]), "music", np.arange(1))
    other, network = Made([0]), Means()
    if change.startswith("music"):
        other = Made([0], **{change: [30.0 if change == "music_start_s" else "f" * 64]})
    else:
        object.__setattr__(other.revision, change, {"media": "of other rules", "sample_rate_hz": RATE_HZ // 2}[change])
    again(tmp_path).of_rows(network, other, "music", np.arange(1))
    assert other.read == [("audio", 0)]


def test_the_folder_and_each_file_name_the_network_and_its_weights(tmp_path: Path) -> None:
    again(tmp_path).of_rows(Means("CLIP ViT-B/32 (../../evil)"), Made([0] * 3), "image", np.arange(3))
    (folder,) = (tmp_path / "features").iterdir()
    assert folder.name == "clip-vit-b-32-evil-5e5e5e5e5e5e"
    (path,) = folder.glob("*/*")
    kept = Cache(folder).get(path.name)
    assert kept is not None
    about = json.loads(kept["about"].numpy().tobytes())
    assert (about["network"], about["weights_sha256"]) == ("CLIP ViT-B/32 (../../evil)", "5e" * 32)
    assert len(about["made_from"]) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of another portion"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    whole = again(tmp_path).of_rows(Means(), Made([0] * 10), "image", np.arange(10))
    one, other = sorted((tmp_path / "features").glob("*/*/*"))
    content = one.read_bytes()
    if damage == "of another portion":
        shutil.copyfile(other, one)
    else:
        one.write_bytes({"cut": content[:40], "empty": b""}.get(damage, content[:-9] + b"x" + content[-8:]))
    network = Means()
    found = again(tmp_path).of_rows(network, Made([0] * 10), "image", np.arange(10))
    assert found.features.tobytes() == whole.features.tobytes()
    assert network.asked == [5]
    assert one.read_bytes() == content


def test_the_same_features_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        again(tmp_path / name).of_rows(Means(), Made([0] * 10), "image", np.arange(10))
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*/*/*/*")} for name in ("one", "other")
    )
    assert one == other
    assert len(one) == 2


def test_a_killed_walk_goes_on_where_it_was(tmp_path: Path) -> None:
    walk = again(tmp_path).batches(Means(), Made([0] * 20), "image")
    for _ in range(3):
        next(walk)
    walk.close()
    split = Made([0] * 20)
    assert len(list(again(tmp_path).batches(Means(), split, "image"))) == 4
    assert split.read == [("image", row) for row in range(15, 20)]


def test_of_a_row_group_only_what_is_behind_the_known_portions_is_read(tmp_path: Path) -> None:
    count = 2 * PORTION
    again(tmp_path).of_rows(Means(), Made([0] * count, group_rows=count), "music", np.arange(PORTION))
    split = Made([0] * count, group_rows=count)
    found = again(tmp_path).of_rows(Means(), split, "music", np.arange(count))
    assert found.features[:, 0].tolist() == list(range(count))
    assert split.read == [("audio", row) for row in range(PORTION, count)]
