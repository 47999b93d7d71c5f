"""Real builds of made media: the same bytes wherever and however, and only what is new is done again."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import pyarrow.parquet as pq
import pytest

from curation import building, collect, cutting, images, shards
from curation.batches import in_threads
from curation.releases import Release
from curation.sources import folder as folder_source
from curation.store import Home
from rules.errors import ConfigurationError
from rules.schema import RuleSet
from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, content, tiny_rules

RULES = tiny_rules(ROOMY)
WRAPPER = """#!/bin/sh
echo "$*" >> "{log}"
exec "{ffmpeg}" "$@"
"""


@dataclass
class Decoder:
    """Stands before ffmpeg and writes down what it is called with."""

    log: Path

    def starts(self) -> Counter[str]:
        """Return how often a decoder was started on each blob since the last call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        words = (word for line in lines for word in line.split() if "/blobs/sha256/" in word)
        return Counter(word.rpartition("/")[2] for word in words)


@dataclass
class Grown:
    """A collection that was released, grew, and was released again.

    Attributes:
        starts: of decoders, for each release.
        encoded: the pictures that were encoded, for each release.
    """

    home: Home
    folder: Path
    first: Release
    second: Release
    starts: list[Counter[str]]
    encoded: list[list[str]]


@pytest.fixture(scope="module", autouse=True)
def small_files() -> Iterator[None]:
    """Cut the tiny release into as many files as a large one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "TARGET_FILE_BYTES", 500_000)
        yield


def build(home: Home, folder: Path, workers: int = 2, rule_set=RULES, may_drop: bool = False) -> Release | None:
    return building.build(home, [f"folder:{folder}"], rule_set, in_threads(workers), may_drop=may_drop)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    root = tmp_path_factory.mktemp("grown")
    wrapper, decoder, encoded = root / "ffmpeg", Decoder(root / "log"), []
    wrapper.write_text(WRAPPER.format(log=decoder.log, ffmpeg=imageio_ffmpeg.get_ffmpeg_exe()))
    wrapper.chmod(0o755)

    def encode(path, settings):
        encoded[-1].append(path.name)
        return images.encode(path, settings)

    home, found, starts = Home(root / "home"), [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGEIO_FFMPEG_EXE", str(wrapper))
        patch.setattr(cutting, "images", type("Counted", (), {"encode": staticmethod(encode)}))
        for pictures, recordings in ((8, 5), (13, 6)):
            encoded.append([])
            folder = write_collection(root / "media", range(pictures), range(recordings))
            found.append(build(home, folder))
            starts.append(decoder.starts())
    return Grown(home, folder, *found, starts, encoded)


def shuffled(entries):
    def listed(location):
        found = list(entries(location))
        random.Random(5).shuffle(found)
        return iter(found)

    return listed


def rows_of(release: Release, config: str = "data") -> dict[str, dict[str, object]]:
    paths = sorted((release.folder / config).glob("*.parquet"))
    return {row["pair_id"]: row for path in paths for row in pq.read_table(path).to_pylist()}


@pytest.mark.parametrize("workers", [1, 8])
def test_same_bytes_in_any_order_at_any_path_with_any_workers(grown, workers, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_source, "entries", shuffled(folder_source.entries))
    elsewhere = write_collection(tmp_path / "another place", range(8), range(5))
    again = build(Home(tmp_path / "another home"), elsewhere, workers)
    assert files_of(again.folder) == files_of(grown.first.folder)
    name = "releases/1.json"
    assert (tmp_path / "another home" / name).read_bytes() == (grown.home.root / name).read_bytes()


def test_manifest_names_every_file_with_its_hash(grown):
    from hashlib import sha256

    for release in (grown.first, grown.second):
        found = files_of(release.folder)
        listed = release.manifest["files"]
        assert {name: row["sha256"] for name, row in listed.items()} == {
            name: sha256(data).hexdigest() for name, data in found.items()
        }
        assert all(listed[name]["size_bytes"] == len(data) for name, data in found.items())
        assert sum(release.manifest["pairs"].values()) == len(rows_of(release))


def test_second_build_does_nothing(grown):
    before = {path: path.stat().st_mtime_ns for path in grown.home.root.rglob("*")}
    assert build(grown.home, grown.folder) is None
    assert {path: path.stat().st_mtime_ns for path in grown.home.root.rglob("*")} == before


def test_a_build_leaves_nothing_temporary(grown):
    assert sorted(path.name for path in (grown.home.root / "releases").iterdir()) == [
        "1", "1.claim", "1.json", "2", "2.claim", "2.json"
    ]  # fmt: skip
    assert list((grown.home.root / "tmp").iterdir()) == []


def test_recording_is_decoded_once_to_measure_and_once_to_write(grown):
    written = {row["music_sha256"] for row in rows_of(grown.first).values()}
    assert written
    assert all(count == 1 + (sha256 in written) for sha256, count in grown.starts[0].items())
    assert len(grown.starts[0]) == 5


def test_growing_decodes_and_encodes_only_what_is_new(grown):
    old = rows_of(grown.first)
    new = {name: row for name, row in rows_of(grown.second).items() if name not in old}
    assert new
    unseen = set(grown.starts[1]) - set(grown.starts[0])
    assert len(unseen) == 1
    cut_again = {row["music_sha256"] for row in new.values()} - unseen
    assert all(grown.starts[1][sha256] == (sha256 in cut_again) for sha256 in grown.starts[0])
    assert sorted(grown.encoded[1]) == sorted(row["image_sha256"] for row in new.values())


def test_growing_changes_no_released_row(grown):
    for config in ("data", "metadata"):
        before, after = rows_of(grown.first, config), rows_of(grown.second, config)
        assert len(before) < len(after)
        assert {name: after[name] for name in before} == before


def test_file_without_a_change_is_the_same_file(grown):
    ids = {}
    for release in (grown.first, grown.second):
        for path in sorted((release.folder / "data").iterdir()):
            inode = path.stat().st_ino
            ids.setdefault(path.name, []).append(
                (pq.read_table(path, columns=["pair_id"])["pair_id"].to_pylist(), inode)
            )
    both = [found for found in ids.values() if len(found) == 2]
    assert {first[0] == second[0] for first, second in both} == {True, False}
    assert all((first[0] == second[0]) == (first[1] == second[1]) for first, second in both)


def test_removed_file_leaves_and_the_rest_stays(grown, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(grown.home.root, home.root)
    folder = shutil.copytree(grown.folder, tmp_path / "media")
    before = rows_of(grown.second)
    gone = min(row["image_source_id"] for row in before.values())
    (folder / gone).unlink()
    third = build(home, folder, may_drop=True)
    after = rows_of(third)
    rejected = pq.read_table(third.folder / "rejections.parquet").to_pylist()
    assert gone not in {row["image_source_id"] for row in after.values()}
    assert {"missing_file"} == {row["reason"] for row in rejected if row["source_id"] == gone}
    staying = {name: row for name, row in before.items() if row["image_source_id"] != gone}
    assert {name: after.get(name) for name in staying} == staying
    assignment = pq.read_table(third.folder / "assignment.parquet").to_pylist()
    assert [row["pair_id"] for row in assignment if row["source_id"] == gone] == [None]


def test_a_release_that_loses_many_rows_waits_for_a_yes(grown, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(grown.home.root, home.root)
    folder = shutil.copytree(grown.folder, tmp_path / "media")
    for path in sorted(folder.glob("*.wav"))[:3]:
        path.unlink()
    before, planned = files_of(home.root / "releases"), collect.last_listing(home, "tiny")
    with pytest.raises(
        building.LargeDrop, match=r"\d of the \d+ pairs of release 2 would go, more than 10%: say --yes"
    ):
        build(home, folder)
    assert files_of(home.root / "releases") == before
    assert collect.last_listing(home, "tiny").versions == planned.versions  # what a plan goes by
    assert build(home, folder, may_drop=True).number == 3


def test_claim_of_other_inputs_is_refused_by_its_name(grown, tmp_path):
    home = Home(tmp_path)
    claim = tmp_path / "releases" / "1.claim"
    claim.parent.mkdir()
    claim.write_text("f00d" * 16 + "\n")
    with pytest.raises(ConfigurationError, match=r"release 1 is claimed.*f00df00df00d.*1\.claim"):
        build(home, grown.folder)
    assert not home.release(1).exists()


def test_nothing_to_pair_is_refused_and_the_rejections_are_named(tmp_path):
    folder = write_collection(tmp_path / "media", range(2), range(0))
    with pytest.raises(
        ConfigurationError, match=r"give no pair: no recording can be used \(2 class_full.*rejections\.parquet"
    ):
        build(Home(tmp_path / "home"), folder)
    rejected = pq.read_table(tmp_path / "home/releases/1/rejections.parquet")
    assert rejected["reason"].to_pylist() == ["class_full", "class_full"]


def test_refusal_leaves_no_claim_that_other_inputs_would_meet(tmp_path):
    folder, home = write_collection(tmp_path / "media", range(2), range(0)), Home(tmp_path / "home")
    with pytest.raises(ConfigurationError, match="give no pair"):
        build(home, folder)
    write_collection(folder, range(2), range(2))
    assert build(home, folder).number == 1


def test_release_that_another_process_writes_is_refused(grown, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(grown.home.root, home.root)
    (home.root / "releases" / "2.json").unlink()  # as if the second build were under way
    with home.locked(home.root / "releases" / "2.claim") as mine:
        assert mine
        with pytest.raises(ConfigurationError, match="another process is building release 2 right now"):
            build(home, grown.folder)


def test_clips_of_another_format_are_refused(grown):
    values = content(ROOMY)
    values["audio"] |= {"clip_s": 2.0}
    with pytest.raises(ConfigurationError, match="the clips of release 2 are .*'clip_s': 1.0"):
        build(grown.home, grown.folder, rule_set=RuleSet.model_validate(values))


def test_empty_folder_is_refused(tmp_path):
    (tmp_path / "media").mkdir()
    with pytest.raises(ConfigurationError, match="the sources hold no item: expected pictures and recordings"):
        build(Home(tmp_path / "home"), tmp_path / "media")


def test_disk_that_is_too_small_is_refused(tmp_path, monkeypatch):
    folder = write_collection(tmp_path / "media", range(2), range(2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(ConfigurationError, match="bytes needed.*, 1 free"):
        build(Home(tmp_path / "home"), folder)
