"""What a publication into a folder refuses, before anything is written there."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from curation.publishing import folders
from curation.publishing.folder_state import BEGUN
from curation.publishing.storage import opened
from rules.errors import ConfigurationError
from tests.curation.collection import files_of
from tests.curation.publishing.to_folder import publish
from tests.curation.publishing.to_hub import pickled


def refused(editions, where: Path | str, match: str, which: str = "first") -> None:
    """See that both a publication and its dry run are refused, and that neither changes anything."""
    place = Path(where)
    before = files_of(place) if place.is_dir() else {}
    for attempt in (folders.publish, folders.dry_run):
        with pytest.raises(ConfigurationError, match=match):
            attempt(editions.home, getattr(editions, which), str(where), pickled)
    assert (files_of(place) if place.is_dir() else {}) == before


def edited(place: Path, how: Callable[[bytes], bytes]) -> None:
    path = place / "v1" / "artune.json"
    path.write_bytes(how(path.read_bytes()))


def test_an_earlier_release_after_a_later_one(editions, tmp_path):
    publish(editions, "opened", str(tmp_path))
    refused(editions, tmp_path, "holds v2 already: expected a later release than 1, for versions only move forward")


def test_another_data_set(editions, tmp_path):
    publish(editions, "first", str(tmp_path))
    edited(tmp_path, lambda content: content.replace(b'"data_set": "tiny"', b'"data_set": "other"'))
    refused(editions, tmp_path, "holds the data set other, not tiny", "opened")


def test_a_release_of_another_work_folder(editions, tmp_path):
    publish(editions, "first", str(tmp_path))
    mine = editions.first.manifest["inputs"].encode()
    edited(tmp_path, lambda content: content.replace(mine, b"0" * 64))
    refused(editions, tmp_path, "that is not release 1 of .*: expected the work folder", "opened")


def test_a_version_that_holds_something_else(editions, tmp_path):
    publish(editions, "first", str(tmp_path))
    mine = editions.first.manifest["inputs"].encode()
    edited(tmp_path, lambda content: content.replace(mine, b"0" * 64))
    refused(editions, tmp_path, f"{tmp_path}/v1 holds something else than release 1 .*: a version never changes")


@pytest.mark.parametrize("name", ["README.md", "NOTICE", "data/*.parquet"])
def test_a_version_that_lacks_a_file(editions, tmp_path, name):
    publish(editions, "first", str(tmp_path))
    next((tmp_path / "v1").glob(name)).unlink()
    refused(editions, tmp_path, "or lacks files: a version never changes")


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"\xff", b""])
def test_a_manifest_that_is_none(editions, tmp_path, content):
    publish(editions, "first", str(tmp_path))
    edited(tmp_path, lambda _: content)
    refused(editions, tmp_path, "v1/artune.json: expected a manifest of artune", "opened")


@pytest.mark.parametrize("name", ["README.md", "NOTICE", "metadata/train-00000-of-00001.parquet"])
def test_a_file_that_artune_would_have_to_replace(editions, tmp_path, name):
    path = tmp_path / "v1" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    refused(editions, tmp_path, f"v1/{name} is there, and no artune.json says that artune wrote it")


def test_a_file_that_datasets_believes_rather_than_the_card(editions, tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / ".huggingface.yaml").write_text("configs: []")
    refused(editions, tmp_path, "v1/.huggingface.yaml is there, which `datasets` believes rather than the card")


@pytest.mark.parametrize("begun", [True, False])
def test_a_file_that_would_be_read_as_rows(editions, tmp_path, begun):
    (tmp_path / "v1" / "data").mkdir(parents=True)
    (tmp_path / "v1" / "data" / "mine.parquet").write_bytes(b"mine")
    if begun:
        (tmp_path / "v1" / BEGUN).parent.mkdir()
        (tmp_path / "v1" / BEGUN).write_text(f'{{"inputs": "{editions.first.manifest["inputs"]}"}}')
    refused(editions, tmp_path, "v1/data/mine.parquet is there, which artune did not write and `datasets` would read")


def test_what_another_work_folder_has_begun(editions, tmp_path):
    (tmp_path / "v1" / BEGUN).parent.mkdir(parents=True)
    (tmp_path / "v1" / BEGUN).write_text('{"inputs": "other"}')
    refused(editions, tmp_path, "v1 was begun from another work folder and is not finished")


def test_other_files_are_left_alone_and_told(editions, tmp_path):
    (tmp_path / "v1").mkdir()
    for name in ("v1/mine.txt", "mine.parquet", "v1/data.csv"):
        (tmp_path / name).write_bytes(b"mine")
    assert publish(editions, "first", str(tmp_path)).left_alone == ["data.csv", "mine.txt"]
    assert publish(editions, "first", str(tmp_path)).left_alone == ["data.csv", "mine.txt"]
    assert [(tmp_path / name).read_bytes() for name in ("v1/mine.txt", "mine.parquet")] == [b"mine", b"mine"]


def test_a_place_in_the_work_folder(editions):
    before = files_of(editions.home.root)
    for where in (editions.home.root, editions.home.root / "releases" / "1"):
        refused(editions, where, "is in the work folder")
    assert files_of(editions.home.root) == before


def test_a_place_that_is_a_file(editions, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(editions, tmp_path / "file", "Not a directory.*expected a folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written(editions):
    with pytest.raises(ConfigurationError, match="/proc/artune: .*expected a "):
        publish(editions, "first", "/proc/artune")


def test_a_disk_that_is_too_small(editions, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    refused(editions, tmp_path / "a" / "b", r"[\d,]+ bytes needed to write v1, 1 free")


def test_a_file_of_the_release_that_changed_on_disk(editions, tmp_path):
    folder = tmp_path / "release"
    shutil.copytree(editions.first.folder, folder)
    path = sorted((folder / "data").glob("*.parquet"))[0]
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{path} changed on disk .*artune verify"):
        folders.publish(editions.home, replace(editions.first, folder=folder), str(tmp_path / "place"), pickled)
    assert not (tmp_path / "place" / "v1" / "artune.json").exists()


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ("nosuch://bucket/x", "expected a folder, or an address that fsspec knows: Protocol not known: nosuch"),
        ("gs://bucket/x", "what opens gs:// is not installed: .*gcsfs"),
        ("simplecache::memory://bucket/x", "expected one address"),
        ("memory://", "expected a folder or a bucket in it"),
        ("/", "expected a folder or a bucket in it"),
        ("sftp://me:secret@host/x", "expected these in the environment"),
    ],
)
def test_an_address_that_nothing_here_can_write_to(where, match):
    with pytest.raises(ConfigurationError, match=match) as refusal:
        opened(where)
    assert "secret" not in str(refusal.value)


def test_an_address_of_files_is_a_folder(editions, tmp_path):
    outcome = publish(editions, "first", f"file://{tmp_path}/place")
    assert outcome.location == f"{tmp_path}/place/v1"
    assert publish(editions, "first", f"{tmp_path}/place").is_new is False
