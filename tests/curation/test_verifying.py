"""Every kind of damage is found, told with a way out, and left as it is."""

import json
import os
import shutil
from pathlib import Path

import pytest

from curation import building
from curation.batches import in_threads
from curation.store import Home
from curation.verifying import Fault, verify
from rules.errors import ConfigurationError
from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, tiny_rules


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    return write_collection(tmp_path_factory.mktemp("verified") / "media", range(6), range(5))


def build(home: Home, collection: Path, seed: int = 1) -> None:
    building.build(home, [f"folder:{collection}"], tiny_rules(ROOMY, seed), in_threads(2))


@pytest.fixture(scope="module")
def made(collection) -> Home:
    home = Home(collection.parent / "home")
    build(home, collection)
    build(home, collection, seed=2)
    return home


@pytest.fixture
def home(made, tmp_path) -> Home:
    return Home(shutil.copytree(made.root, tmp_path / "home"))


def faults(home: Home, release: int | None = None) -> list[Fault]:
    before = files_of(home.root)
    found = verify(home, in_threads(2), release)
    assert files_of(home.root) == before
    return found


def damage(path: Path) -> Path:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def first(home: Home, pattern: str) -> Path:
    return min(home.root.glob(pattern))


def told(found: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.path, fault.what) for fault in found]


def test_nothing_is_wrong_with_what_was_just_built(home):
    assert faults(home) == []


def test_a_release_file_is_found_with_the_copy_that_has_its_bytes(home):
    path = damage(first(home, "releases/2/data/*.parquet"))
    (fault,) = faults(home)
    assert (fault.path, fault.what) == (path.relative_to(home.root).as_posix(), "changed")
    assert fault.advice == f"copy releases/1/data/{path.name} there: it has the right bytes"


def test_a_file_that_two_releases_share_is_broken_in_both(home):
    path = first(home, "releases/2/data/*.parquet")
    twin = home.root / "releases" / "1" / "data" / path.name
    path.unlink()
    os.link(twin, path)
    damage(path)
    found = faults(home)
    assert told(found) == [(f"releases/{number}/data/{path.name}", "changed") for number in (1, 2)]
    assert found[0].detail.endswith(f"the same file as releases/2/data/{path.name}")
    assert found[0].advice.startswith("restore it from where the release was published")


def test_a_missing_and_a_surplus_release_file_are_found(home):
    (home.release(1) / "README.md").rename(home.release(1) / "notes.md")
    assert told(faults(home)) == [("releases/1/README.md", "missing"), ("releases/1/notes.md", "surplus")]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"files": {"README.md": 5}}'])
def test_a_manifest_that_cannot_be_read_is_found(home, text):
    (home.root / "releases" / "1.json").write_text(text)
    assert told(faults(home)) == [("releases/1.json", "unreadable")]


def test_one_release_is_checked_without_the_rest(home):
    damage(first(home, "releases/1/metadata/*.parquet"))
    damage(first(home, "blobs/sha256/*/*/*"))
    assert faults(home, release=2) == []
    assert [fault.what for fault in faults(home, release=1)] == ["changed"]
    with pytest.raises(ConfigurationError, match="has no release 3"):
        faults(home, release=3)


def test_a_blob_is_found_and_collected_again_after_the_advice(home, collection):
    path = damage(first(home, "blobs/sha256/*/*/*"))
    (fault,) = faults(home)
    assert (fault.path, fault.what) == (path.relative_to(home.root).as_posix(), "changed")
    words = fault.advice.removeprefix("remove ").partition(":")[0].split(" and ")
    for name in words:
        (path if name == "it" else home.root / name).unlink()
    build(home, collection, seed=2)
    assert path.exists()
    assert faults(home) == []


def test_a_blob_that_an_item_asks_for_and_that_is_missing_is_found(home):
    path = first(home, "blobs/sha256/*/*/*")
    path.unlink()
    (fault,) = faults(home)
    assert (fault.path, fault.what) == (path.relative_to(home.root).as_posix(), "missing")
    assert fault.advice.startswith("remove items/folder/")


def test_what_is_no_blob_is_found(home):
    stray = home.root / "blobs" / "sha256" / "00" / "notes.txt"
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("mine")
    assert told(faults(home)) == [("blobs/sha256/00/notes.txt", "surplus")]


@pytest.mark.parametrize("pattern", ["items/folder/*.parquet", "derived/images-*/*.parquet"])
def test_a_table_that_was_cut_off_is_found(home, pattern):
    path = first(home, pattern)
    path.write_bytes(path.read_bytes()[:-20])
    (fault,) = faults(home)
    assert (fault.path, fault.what) == (path.relative_to(home.root).as_posix(), "unreadable")
    assert fault.advice.startswith("remove it")


def test_a_table_of_another_schema_is_found(home):
    path = first(home, "derived/images-*/*.parquet")
    shutil.copy(first(home, "derived/recordings-*/*.parquet"), path)
    (fault,) = faults(home)
    assert (fault.what, fault.detail.startswith("has no column width_px")) == ("incomplete", True)


def test_a_table_that_no_step_reads_today_may_have_any_schema(home):
    old = home.root / "derived" / "images-0000000000000000"
    shutil.copytree(first(home, "derived/recordings-*"), old)
    assert faults(home) == []


@pytest.mark.parametrize(("text", "count"), [("0" * 64, 0), ("someone\n", 1), ("", 1)])
def test_a_claim_without_a_digest_is_found(home, text, count):
    (home.root / "releases" / "3.claim").write_text(text)
    assert [fault.path for fault in faults(home)] == ["releases/3.claim"] * count


def test_a_release_of_which_the_parent_was_removed_is_whole(home):
    shutil.rmtree(home.release(1))
    for name in ("1.json", "1.claim"):
        (home.root / "releases" / name).unlink()
    assert json.loads((home.root / "releases" / "2.json").read_text())["parent"] == 1
    assert faults(home) == []
