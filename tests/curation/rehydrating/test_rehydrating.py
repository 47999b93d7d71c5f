"""From a publication in a folder, and the publisher's files or what became of them, to a release."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
import soundfile

from curation import building, history, planning, rehydrating, releases, verifying
from curation.batches import in_threads
from curation.rehydrating import Rehydrated
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.publications import Made, means, pair_ids, rules_for_spans, song, yields
from tests.curation.tables import RATE_HZ
from tests.media import encode
from tests.pictures import photo, saved


def rehydrated(made: Made, root: Path, media: Path | None = None, **more: object) -> Rehydrated:
    named = [f"folder:{media}"] if media else []
    return rehydrating.rehydrate(Home(root), str(made.published), means(), named=named, **more)


def data_files(release: releases.Release) -> dict[str, str]:
    return {name: row["sha256"] for name, row in release.manifest["files"].items() if "-of-" in name}


def is_clean(root: Path) -> None:
    assert verifying.verify(Home(root), in_threads(2)) == []


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Rehydrated:
    return rehydrated(made, tmp_path_factory.mktemp("whole") / "home", made.media)


def test_with_the_same_media_the_files_are_those_of_the_release_byte_for_byte(made, whole):
    assert whole.release is not None
    assert data_files(whole.release) == data_files(made.release)
    assert (whole.published, whole.embedded, whole.kept, whole.waiting) == (6, 2, 6, 0)
    assert Counter(row["outcome"] for row in yields(whole.release)) == {"embedded": 4, "exact": 8}
    assert whole.release.manifest["pairs"] == made.release.manifest["pairs"]
    is_clean(whole.release.folder.parent.parent)


def test_the_release_can_be_loaded_and_says_what_it_was_made_from(made, whole, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(whole.release.folder), cache_dir=str(tmp_path))
    assert {name for split in loaded.values() for name in split["pair_id"]} == set(pair_ids(made.release))
    about = whole.release.manifest["rehydrated"]
    assert about["name"] == str(made.published / "v1")
    assert about["inputs"] == made.release.manifest["inputs"] != whole.release.manifest["inputs"]
    home = Home(whole.release.folder.parent.parent)
    assert history.summaries(home)[0].made_by == f"rehydrated from {made.published / 'v1'}"


def test_the_assignment_says_what_the_builder_s_says_but_the_works(made, whole):
    mine, theirs = (pq.read_table(each.folder / "assignment.parquet") for each in (whole.release, made.release))
    assert mine["work"].null_count == len(mine)
    assert mine.drop_columns(["work"]).equals(theirs.drop_columns(["work"]))


def test_a_publication_may_lie_at_any_address_that_fsspec_knows(made, tmp_path):
    files = fsspec.filesystem("memory")
    files.put(str(made.published / "v1"), "/bucket/set/v1", recursive=True)
    try:
        done = rehydrating.rehydrate(Home(tmp_path), "memory://bucket/set", means())
    finally:
        files.rm("/bucket", recursive=True)
    assert (done.publication.name, done.kept) == ("memory://bucket/set/v1", 2)


def test_again_it_does_nothing_and_says_so(made, whole):
    root = whole.release.folder.parent.parent
    again = rehydrated(made, root, made.media)
    assert not again.is_new
    assert (again.release, again.counts, again.kept) == (whole.release, whole.counts, whole.kept)
    assert rehydrating.check(Home(root), str(made.published)) == replace(again, named=())


def test_nothing_can_be_built_on_it(made, whole):
    home = Home(whole.release.folder.parent.parent)
    with pytest.raises(ConfigurationError, match=r"release 1 was rehydrated from .*v1 and does not remember"):
        building.build(home, [f"folder:{made.media}"], rules_for_spans(), in_threads(2))
    with pytest.raises(ConfigurationError, match="does not remember"):
        planning.refuse(home, rules_for_spans())


def test_without_the_folder_its_pairs_are_left_out_and_the_option_is_told(made, tmp_path):
    done = rehydrated(made, tmp_path)
    assert (done.published, done.kept) == (6, 2)
    rows = [row for row in yields(done.release) if row["outcome"] != "embedded"]
    assert {(row["outcome"], row["reason"], row["is_kept"]) for row in rows} == {("gone", "gone", False)}
    assert all("--source folder:PATH" in row["detail"] for row in rows)
    assert pair_ids(done.release) == made.embedded
    assert done.release.manifest["rejections"] == {"gone": 8}
    is_clean(tmp_path)


@pytest.fixture(scope="module")
def later(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Rehydrated]:
    """Give what became of files that changed since, and what came of rehydrating them."""
    root = tmp_path_factory.mktemp("later")
    media = shutil.copytree(made.media, root / "media")
    fetched = [row for row in pq.read_table(made.release.folder / "metadata").to_pylist()]
    fetched = [row for row in fetched if row["pair_id"] not in made.embedded]
    music, pictures = ([row[f"{side}_source_id"] for row in fetched] for side in ("music", "image"))
    fates = {}
    for fate, name in zip(("same_content", "changed", "gone", "exact"), music, strict=True):
        fates[name] = fate
    for fate, name in zip(("changed", "exact", "exact", "same_content"), pictures, strict=True):
        fates[name] = fate
    number = int(music[0].removeprefix("music").removesuffix(".wav"))
    encode(media / "other.mp3", song(number), rate_hz=RATE_HZ, channels=1).replace(media / music[0])
    soundfile.write(media / music[1], song(99), RATE_HZ, "PCM_16")
    (media / music[2]).unlink()
    (media / music[3]).rename(media / "renamed.wav")
    saved(media / pictures[0], photo(160, 120, 99))
    number = int(pictures[3].removeprefix("picture").removesuffix(".bmp"))
    saved(media / "other.jpg", photo(160, 120, number).resize((140, 105)), quality=60).replace(media / pictures[3])
    return fates, rehydrated(made, root / "home", media)


def test_each_side_is_exact_or_the_same_content_or_changed_or_gone(made, later):
    fates, done = later
    rows = [row for row in yields(done.release) if row["outcome"] != "embedded"]
    assert {row["source_id"]: row["outcome"] for row in rows} == fates
    assert {row["source_id"]: row["reason"] for row in rows if row["reason"]} == {
        name: fate.replace("gone", "missing_file") for name, fate in fates.items() if fate in ("changed", "gone")
    }
    for row in rows:
        assert (row["found_sha256"] is None) == (row["outcome"] == "gone")
        assert (row["found_sha256"] == row["sha256"]) == (row["outcome"] == "exact")


def test_pairs_with_both_sides_are_kept_and_nothing_is_lost(made, later):
    _, done = later
    rows = yields(done.release)
    assert [row["pair_id"] for row in rows[::2]] == [row["pair_id"] for row in rows[1::2]]
    assert sorted(row["pair_id"] for row in rows[::2]) == pair_ids(made.release)
    for image, music in zip(rows[::2], rows[1::2], strict=True):
        assert image["is_kept"] == music["is_kept"] == (not image["reason"] and not music["reason"])
    kept = sorted(row["pair_id"] for row in rows[::2] if row["is_kept"])
    assert (pair_ids(done.release), done.kept) == (kept, 3)
    rejected = pq.read_table(done.release.folder / "rejections.parquet").to_pylist()
    assert len(rejected) == 2 * (6 - 3)
    assert Counter(row["reason"] for row in rejected) == {"changed": 2, "missing_file": 1, "no_partner": 3}


def test_what_has_the_same_content_keeps_its_name_and_has_media_of_its_own(made, later):
    _, done = later
    (row,) = [row for row in yields(done.release) if row["outcome"] == "same_content" and row["is_kept"]]
    files = sorted((done.release.folder / "data").glob("*.parquet"))
    mine = {one["pair_id"]: one for path in files for one in pq.read_table(path).to_pylist()}[row["pair_id"]]
    files = sorted((made.release.folder / "data").glob("*.parquet"))
    theirs = {one["pair_id"]: one for path in files for one in pq.read_table(path).to_pylist()}[row["pair_id"]]
    changed = {name for name in theirs if mine[name] != theirs[name]}
    assert changed == {"image"}
    is_clean(done.release.folder.parent.parent)
