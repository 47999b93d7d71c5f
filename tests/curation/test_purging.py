"""A purge leaves not a byte of the media, and everything else as it was."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import building, ingested, releases, removal, verifying
from curation.batches import in_threads
from curation.history import garbage, unfinished
from curation.history import remove as collect_garbage
from curation.releases import Release
from curation.report.previews import LARGE, SMALL, thumbnail
from curation.schemas import FOUND, INGESTED
from rules.errors import ConfigurationError
from tests.curation.collection import files_of, write_collection
from tests.curation.tables import tiny_rules
from tests.curation.test_removal import Place, names, rows

ROOT = Path(__file__).parents[2]
EVENTS = (0, 2, 5, 9, 12, 16, 20, 25, 30)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Place:
    """Give two releases of a collection that grew: they share the files that did not change."""
    place = Place(tmp_path_factory.mktemp("purging"))
    for pictures in (8, 9):
        write_collection(place.folder, range(pictures), range(5))
        place.build()
    return place


@pytest.fixture
def place(made, tmp_path) -> Place:
    return made.copy(tmp_path / "place")


def media_of(place: Place, side: str) -> tuple[str, list[bytes]]:
    """Return an item that both releases hold, and everything that shows it or sounds like it."""
    first, second = (releases.get(place.home, number) for number in (1, 2))
    both = sorted(names(first) & names(second) & {row[f"{side}_source_id"] for row in rows(first)})
    (item, *_) = both
    found = []
    for release in (first, second):
        for path in sorted((release.folder / "data").glob("*.parquet")):
            for row in pq.read_table(path).to_pylist():
                if row[f"{side}_source_id"] == item:
                    found.append(row["image" if side == "image" else "audio"]["bytes"])
                    found.append(place.home.blob(row[f"{side}_sha256"]).read_bytes())
    previews = [thumbnail(found[0], size).uri.encode() for size in (LARGE, SMALL)] if side == "image" else []
    return item, [*found, *previews]


def is_clean(place: Place) -> None:
    assert verifying.verify(place.home, in_threads(2)) == []


@dataclass(frozen=True)
class After:
    """A work folder from which an item was purged, and what it held before."""

    place: Place
    item: str
    media: list[bytes]
    found: removal.Removal
    before: dict[int, list[dict[str, object]]]

    def copy(self, root: Path) -> Place:
        return self.place.copy(root)


@pytest.fixture(scope="module", params=["image", "music"])
def purged(made, tmp_path_factory, request) -> After:
    place = made.copy(tmp_path_factory.mktemp(request.param))
    item, media = media_of(place, request.param)
    files = files_of(place.home.root)
    assert all(any(part in content for content in files.values()) for part in media)
    before = {number: rows(releases.get(place.home, number)) for number in (1, 2)}
    return After(place, item, media, place.remove(item, purge=True), before)


def is_in(row: dict[str, object], item: str) -> bool:
    return item in (row["image_source_id"], row["music_source_id"])


def test_not_a_byte_of_the_media_stays(purged):
    assert purged.found.purged is not None
    assert (purged.found.purged.blobs, purged.found.purged.releases) == (1, [1, 2])
    assert [(one.release, one.purged) for one in purged.found.held_by] == [(1, True), (2, True)]
    files = files_of(purged.place.home.root)
    assert [name for name, content in files.items() if any(part in content for part in purged.media)] == []
    is_clean(purged.place)


@pytest.mark.parametrize("number", [1, 2])
def test_a_purged_release_can_be_loaded_and_says_what_it_lost(purged, number, tmp_path):
    import datasets

    release = releases.get(purged.place.home, number)
    left = [row for row in purged.before[number] if not is_in(row, purged.item)]
    assert rows(release) == left
    (entry,) = release.manifest["purged"]
    assert entry["sha256"] == purged.found.sha256s[0]
    assert len(left) + len(entry["pairs"]) == len(purged.before[number])
    loaded = datasets.load_dataset(str(release.folder), cache_dir=str(tmp_path))
    assert {name for split in loaded.values() for name in split["pair_id"]} == {row["pair_id"] for row in left}
    assert {split: len(found) for split, found in loaded.items()} == release.manifest["pairs"]


def test_a_purged_item_keeps_its_name_and_its_reason_only(purged):
    tables = [pq.read_table(path) for path in purged.place.home.items("folder").glob("*.parquet")]
    mine = [row for table in tables for row in table.to_pylist() if row["source_id"] == purged.item]
    assert mine
    for row in mine:
        kept = {"source", "source_id", "modality", "sha256", "version", "reason"}
        assert {name for name, value in row.items() if value} == kept
    for path in (purged.place.home.root / "derived").glob("*/*.parquet"):
        table = pq.read_table(path)
        assert "sha256" not in table.column_names or mine[0]["sha256"] not in table["sha256"].to_pylist()


def test_a_purge_again_finds_nothing_to_do(purged):
    files = files_of(purged.place.home.root)
    again = purged.place.remove(purged.found.sha256s[0][:12], purge=True)
    assert again.name == f"folder:{purged.item}"
    assert again.purged == removal.Purged(0, 0, 0, 0, 0, 0, [], [])
    assert files_of(purged.place.home.root) == files


def test_files_that_do_not_hold_it_stay_the_same_files_and_shared_ones_stay_shared(place):
    item, _ = media_of(place, "music")
    folders = [place.home.release(number) / "data" for number in (1, 2)]
    shared = {path.name for path in folders[0].iterdir() if path.samefile(folders[1] / path.name)}
    inodes = {path: path.stat().st_ino for folder in folders for path in folder.iterdir()}
    holds = {
        path
        for path in inodes
        if item in pq.read_table(path, columns=["music_source_id"])["music_source_id"].to_pylist()
    }
    assert any(path.name in shared for path in holds)
    place.remove(item, purge=True)
    for path, inode in inodes.items():
        if path.exists():
            assert (path.stat().st_ino == inode) == (path not in holds)
    for name in shared:
        if (folders[0] / name).exists():
            assert (folders[0] / name).samefile(folders[1] / name)


def test_the_next_release_is_the_same_with_and_without_a_purge(made, purged, tmp_path):
    place, other = purged.copy(tmp_path / "purged"), made.copy(tmp_path / "other")
    assert other.remove(purged.item).sha256s == purged.found.sha256s
    folders = []
    for one in (place, other):
        release = one.build()
        assert release is not None
        assert purged.item not in names(release)
        folders.append(files_of(release.folder))
    assert folders[0] == folders[1]
    collect_garbage(place.home, garbage(place.home, keep=1))
    for one in (place, other):
        assert one.remove(purged.item, purge=True).again
        assert one.build() is None
        is_clean(one)


def test_a_rollback_to_a_purged_release_brings_back_the_rest(purged, tmp_path):
    place = purged.copy(tmp_path / "place")
    left = {row["pair_id"] for row in rows(releases.get(place.home, 1))}
    place.build()
    back = building.roll_back(place.home, place.sources, 1, in_threads(2), may_drop=True)
    assert back is not None
    assert {row["pair_id"] for row in rows(back)} == left
    files = files_of(place.home.root)
    assert not any(part in content for content in files.values() for part in purged.media)
    is_clean(place)


def test_a_release_that_held_nothing_else_stays_as_a_memory(tmp_path):
    place = Place(tmp_path)
    write_collection(place.folder, [1], [1])
    first = place.build(tiny_rules((1, 1, 1, 1)))
    assert first is not None
    (pair,) = rows(first)
    place.remove(str(pair["music_source_id"]), purge=True)
    release = releases.get(place.home, 1)
    assert (rows(release), release.manifest["pairs"]) == ([], {})
    assert not (release.folder / "README.md").exists()
    assert not list((release.folder / "data").glob("*"))
    is_clean(place)
    write_collection(place.folder, [1], [1, 2])
    second = place.build(tiny_rules((1, 1, 1, 1)))
    assert second is not None
    assert [row["music_source_id"] for row in rows(second)] == ["music2.wav"]
    assert [row["split"] for row in pq.read_table(second.folder / "references").to_pylist()][0] == pair_split(first)


def pair_split(release: Release) -> str:
    (split,) = set(pq.read_table(release.folder / "assignment.parquet")["split"].to_pylist())
    return str(split)


def test_two_sides_of_one_pair_may_be_purged_one_after_the_other(place):
    pair = next(row for row in rows(releases.get(place.home, 1)))
    place.remove(str(pair["image_source_id"]), purge=True)
    found = place.remove(str(pair["music_source_id"]), purge=True)
    assert found.held_by[0].purged
    release = releases.get(place.home, 1)
    assert [pair["pair_id"] in one["pairs"] for one in release.manifest["purged"]] == [True, True]
    assert sum(release.manifest["pairs"].values()) == len(rows(release))
    is_clean(place)


def test_what_an_unfinished_build_had_written_goes_too(place):
    item, media = media_of(place, "image")
    work = place.home.root / "releases" / "3.work"
    work.mkdir()
    (work / "x.arrow").write_bytes(media[0])
    (place.home.root / "releases" / "3.claim").write_text("0" * 64)
    found = place.remove(item, purge=True)
    assert found.purged is not None
    assert found.purged.unfinished == [3]
    assert unfinished(place.home) == []
    assert not work.exists()


def test_while_a_build_runs_nothing_is_deleted_but_the_request_stands(place):
    item, _ = media_of(place, "image")
    before = files_of(place.home.root / "blobs")
    with place.home.in_use(), pytest.raises(ConfigurationError, match="is refused from now on all the same"):
        place.remove(item, purge=True)
    assert files_of(place.home.root / "blobs") == before
    assert place.remove(item).again


def test_what_an_ingest_left_of_an_item_goes_too(tmp_path):
    """A cut download, the archive that it came in, and what a killed ingest had fetched and not yet written down."""
    place = Place(tmp_path)
    write_collection(place.folder, range(3), range(2))
    place.build()
    home, name = place.home, "owner/set/a/b.jpg"
    sha256, size_bytes = home.put_blob([b"fetched and not written down"], 99)
    row = dict.fromkeys(INGESTED.names) | {"source": "kaggle", "source_id": name, "address": name, "tags": []}
    row |= {"modality": "image", "sha256": sha256, "size_bytes": size_bytes, "version": "00000001.x", "revision": 1}
    journal = ingested.working_folder(home, "kaggle") / "x.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps(row | {"title": "T"}) + "\n")
    listed = dict.fromkeys(FOUND.names) | {"source_id": name, "address": "http://a/b", "tags": []}
    home.write_table(home.root / "found" / "kaggle" / "x.parquet", pa.Table.from_pylist([listed], FOUND))
    head = hashlib.sha256(b"http://a/b").hexdigest()
    ours = [home.root / "partial" / head, home.root / "partial" / f"{head}.json"]
    ours.append(home.root / "archives" / "kaggle" / "owner" / "set@3.zip")
    others = [home.root / "partial" / ("0" * 64), home.root / "archives" / "kaggle" / "owner" / "setting@3.zip"]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"part")
    found = place.remove(f"kaggle:{name}", purge=True)
    assert found.sha256s == [sha256]
    assert found.purged is not None
    assert (found.purged.partial_files, found.purged.archives, found.purged.blobs) == (2, 1, 1)
    assert [path.exists() for path in (*ours, *others)] == [False, False, False, True, True]
    assert not home.blob(sha256).exists()
    is_clean(place)


@pytest.fixture(scope="module")
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.curation.purge_child"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


def purged_by(child: subprocess.Popen[bytes], place: Place, item: str, event: int) -> int:
    """Return how the child ended that was to die at an event."""
    request = {"home": str(place.home.root), "item": item, "event": event}
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()
    return int(child.stdout.readline().split()[1])


def state_of(place: Place) -> dict[str, bytes]:
    """Return all files; a request says when it was made, which differs."""
    files = files_of(place.home.root)
    return {name: data for name, data in files.items() if not name.startswith("tombstones/")}


def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_bytes(child, made, tmp_path):
    item, media = media_of(made, "image")
    whole, again = made.copy(tmp_path / "whole"), made.copy(tmp_path / "again")
    assert purged_by(child, whole, item, 10**6) == 0
    killed = [purged_by(child, again, item, event) for event in EVENTS]
    once = [made.copy(tmp_path / f"once {number}") for number in range(2)]
    lots = random.Random(4)
    killed += [purged_by(child, one, item, lots.randrange(30)) for one in once]
    assert sum(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL for status in killed) >= 8, killed
    for one in (again, *once):
        assert purged_by(child, one, item, 10**6) == 0
        found, right = state_of(one), state_of(whole)
        assert sorted(found) == sorted(right)
        assert [name for name, data in found.items() if data != right[name]] == []
        assert not any(part in data for data in found.values() for part in media)
        is_clean(one)
