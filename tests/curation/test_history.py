"""What a work folder can do without goes, and nothing else: the next build finds all it needs."""

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curation import building, history, measure, releases, verifying
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.collection import copy_linked, files_of, write_collection
from tests.curation.tables import ROOMY, tiny_rules

RULES = tiny_rules(ROOMY)
NEVER_PAIRED = "picture4.bmp"  # a landscape, and no recording is for landscapes


class Past:
    """Three releases: of a collection, of one with more in it, and of one with less."""

    def __init__(self, root: Path) -> None:
        self.home, self.folder = Home(root / "home"), root / "media"

    def build(self, rule_set=RULES) -> Release | None:
        return building.build(self.home, [f"folder:{self.folder}"], rule_set, in_threads(2), may_drop=True)

    def copy(self, root: Path) -> "Past":
        """Return a copy in which hard links are hard links."""
        copied = Past(root)
        copy_linked(self.home.root, copied.home.root)
        shutil.copytree(self.folder, copied.folder)
        return copied


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Past:
    past = Past(tmp_path_factory.mktemp("past"))
    for pictures, recordings in ((8, 5), (10, 6)):
        write_collection(past.folder, range(pictures), range(recordings))
        past.build()
    write_collection(past.folder, [number for number in range(10) if number != 4], range(6))
    (past.folder / NEVER_PAIRED).unlink()
    past.build()
    return past


@pytest.fixture
def past(made, tmp_path) -> Past:
    return made.copy(tmp_path)


def collected(past: Past, removed: list[int]) -> history.Garbage:
    found = history.garbage(past.home, keep=1)
    assert found.releases == removed
    history.remove(past.home, found)
    return found


def sha256_of(past: Past, source_id: str) -> str:
    rows = pq.read_table(past.home.items("folder"), columns=["source_id", "sha256"])
    return rows.filter(pc.equal(rows["source_id"], source_id))["sha256"][0].as_py()


def test_summaries_tell_what_made_each_release_and_what_it_shares(made):
    first, second, third = history.summaries(made.home)
    assert [first.made_by, second.made_by, third.made_by] == ["first", "items", "items"]
    assert [first.parent, second.parent, third.parent] == [None, 1, 2]
    assert first.shared_bytes == 0
    assert 0 < third.shared_bytes < third.size_bytes
    assert sum(second.pairs.values()) == sum(releases.get(made.home, 2).manifest["pairs"].values())
    assert (second.labels_with_pairs, second.labels) == (1, 4)


def test_an_edit_of_the_rules_is_told_as_such(past):
    past.build(tiny_rules((6, 19, 4, 3)))
    assert history.summaries(past.home)[-1].made_by == "rules"


def test_a_parent_that_was_removed_is_told(past):
    collected(past, [1, 2])
    (last,) = history.summaries(past.home)
    assert (last.parent, last.made_by) == (2, "unknown, for its parent is removed")


def test_only_what_no_release_and_no_item_asks_for_goes(past):
    lonely, before = past.home.blob(sha256_of(past, NEVER_PAIRED)), files_of(past.home.root / "blobs")
    orphan = past.home.blob("ab" * 32)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"a killed build never wrote the row of this")
    found = collected(past, [1, 2])
    assert {path.name for path in found.blobs} == {lonely.name, orphan.name}
    assert set(before) - set(files_of(past.home.root / "blobs")) == {
        lonely.relative_to(past.home.root / "blobs").as_posix()
    }
    assert verifying.verify(past.home, in_threads(2)) == []


def test_what_was_ever_released_keeps_its_blob_for_its_split_is_for_life(past):
    released = pq.read_table(past.home.release(1) / "assignment.parquet", columns=["source_id", "sha256"]).to_pylist()
    gone = min(row["source_id"] for row in released if row["source_id"].startswith("picture"))
    (past.folder / gone).unlink()
    past.build()
    collected(past, [1, 2, 3])
    assert past.home.blob(next(row["sha256"] for row in released if row["source_id"] == gone)).exists()


def test_the_next_build_is_the_same_with_and_without_the_past(past, tmp_path):
    other = past.copy(tmp_path / "other")
    collected(past, [1, 2])
    for each in (past, other):
        write_collection(each.folder, [number for number in range(12) if number != 4], range(7))
    fourth, same = past.build(), other.build()
    assert (fourth.number, fourth.manifest["parent"]) == (4, 3)
    assert fourth.manifest == same.manifest


def test_an_item_that_comes_back_is_collected_again(past):
    collected(past, [1, 2])
    write_collection(past.folder, range(10), range(6))
    fourth = past.build()
    assert past.home.blob(sha256_of(past, NEVER_PAIRED)).exists()
    assert fourth.manifest["items"] == releases.get(past.home, 3).manifest["items"] + 1


def test_nothing_is_left_to_remove_after_it(past):
    collected(past, [1, 2])
    assert history.garbage(past.home, keep=1).amounts(past.home) == {
        "releases": (0, 0), "blobs": (0, 0), "tables of measurements": (0, 0), "leftovers": (0, 0)
    }  # fmt: skip
    assert past.build() is None


def test_bytes_that_a_later_release_shares_are_not_counted_as_free(past):
    found = history.garbage(past.home, keep=1)
    told = sum(size for _, size in found.amounts(past.home).values())
    releases_before = {path for number in (1, 2) for path in past.home.release(number).rglob("*") if path.is_file()}
    alone = {path for path in releases_before if path.stat().st_nlink == 1}
    assert told < sum(path.stat().st_size for path in releases_before)
    assert told >= sum(path.stat().st_size for path in alone)


def test_measurements_of_another_key_go_and_those_of_today_stay(past):
    step = measure.steps(RULES)["image"]
    today = past.home.derived(step.name, step.key)
    old = past.home.derived(step.name, "0" * 64)
    shutil.copytree(today, old)
    collected(past, [1, 2])
    assert not old.exists()
    assert list(today.glob("*.parquet"))


def test_each_data_set_keeps_its_own_last_releases(past):
    past.build(RULES.model_copy(update={"name": "other"}))
    assert history.garbage(past.home, keep=1).releases == [1, 2]
    assert history.garbage(past.home, keep=2).releases == [1]


def test_a_folder_that_nobody_claimed_is_a_leftover(past):
    folder = past.home.release(9)
    folder.mkdir()
    (folder / "rejections.parquet").write_bytes(b"of a build that gave no pair")
    assert [path.name for path in collected(past, [1, 2]).leftovers] == ["9"]
    assert not folder.exists()


def test_a_claimed_folder_stays(past):
    past.home.release(4).mkdir()
    (past.home.root / "releases" / "4.claim").write_text("0" * 64)
    collected(past, [1, 2])
    assert past.home.release(4).exists()


def interrupted(past: Past, after: int, monkeypatch) -> None:
    """Remove, and be killed before one of the files or folders of releases goes."""
    left = iter(range(after))

    def killing(remove):
        def killed(path: Path, *arguments: object, **named: object) -> None:
            if path.parent.name != "tmp" and next(left, None) is None:
                raise KeyboardInterrupt
            remove(path, *arguments, **named)

        return killed

    found = history.garbage(past.home, keep=1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killing(Path.unlink))
        patch.setattr(shutil, "rmtree", killing(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            history.remove(past.home, found)


@pytest.mark.parametrize("after", range(8))
def test_killed_at_any_file_it_leaves_a_valid_folder_and_the_next_one_ends_it(made, past, tmp_path, monkeypatch, after):
    interrupted(past, after, monkeypatch)
    assert verifying.verify(past.home, in_threads(2)) == []
    assert history.unfinished(past.home) == []
    whole = made.copy(tmp_path / "whole")
    for each in (past, whole):
        history.remove(each.home, history.garbage(each.home, keep=1))
    names = [sorted(files_of(each.home.root / part)) for each in (past, whole) for part in ("blobs", "releases")]
    assert names[:2] == names[2:]


@pytest.mark.parametrize("name", [".artune-home", "releases/4.claim"])
def test_nothing_is_removed_while_a_build_runs(past, name):
    held = past.home.root / name
    if not held.exists():
        held.write_text("0" * 64)
    with (
        past.home.locked(held),
        pytest.raises(ConfigurationError, match="a build is running"),
        history.alone(past.home),
    ):
        pass


def test_a_release_that_stays_and_cannot_be_read_is_told(past):
    (past.home.release(3) / "assignment.parquet").write_bytes(b"?")
    with pytest.raises(ConfigurationError, match=r"3/assignment\.parquet cannot be read; `artune verify`"):
        history.garbage(past.home, keep=1)


def test_a_damaged_release_of_the_past_can_go(past):
    (past.home.release(1) / "assignment.parquet").write_bytes(b"?")
    collected(past, [1, 2])
    assert verifying.verify(past.home, in_threads(2)) == []


def test_a_work_folder_without_a_release_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="has no release yet"):
        history.garbage(Home(tmp_path), keep=1)
