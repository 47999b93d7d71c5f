"""A release in a folder, or at an address that fsspec knows: whole or not there, small to update, nothing lost."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, load_dataset

from curation.publishing import folders
from curation.publishing.folder_sending import CARD_OF_NOTHING
from curation.publishing.folder_state import UNFINISHED
from curation.publishing.manifest import Manifest, PublishedFile, read
from curation.publishing.storage import asking
from tests.curation.publishing.to_folder import Killed, held, killed_after, publish
from tests.curation.publishing.to_hub import pickled

_numbers = itertools.count()


@pytest.fixture(params=["folder", "address"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give a place that is not there yet, once a folder and once an address."""
    if request.param == "folder":
        yield str(tmp_path / "place")
    else:
        bucket = f"bucket{next(_numbers)}"
        yield f"memory://{bucket}/place"
        if fsspec.filesystem("memory").exists(f"/{bucket}"):
            fsspec.filesystem("memory").rm(f"/{bucket}", recursive=True)


def manifest_of(where: str, version: str) -> Manifest:
    return read(held(where)[f"{version}/artune.json"], where)


def test_a_version_holds_what_may_be_published_and_its_manifest_lists_it(editions, where):
    outcome = publish(editions, "first", where)
    assert (outcome.version, outcome.commit, outcome.is_new) == ("v1", None, True)
    assert outcome.location == f"{where}/v1"
    assert (outcome.embedded, outcome.referenced, outcome.excluded) == (6, 2, 1)
    found, listed = held(where), outcome.manifest.files
    assert sorted(found) == sorted(f"v1/{name}" for name in (*listed, "README.md", "artune.json"))
    assert manifest_of(where, "v1") == outcome.manifest
    for name, file in listed.items():
        content = found[f"v1/{name}"]
        rows = len(pq.read_table(pa.BufferReader(content))) if name.endswith(".parquet") else 0
        assert file == PublishedFile(hashlib.sha256(content).hexdigest(), len(content), rows)
    assert sorted(outcome.sent_files) == sorted(name[3:] for name in found)
    assert outcome.sent_bytes == sum(map(len, found.values()))


@pytest.mark.parametrize(("config", "rows"), [("default", 6), ("metadata", 8), ("references", 16)])
def test_datasets_loads_a_folder(editions, tmp_path, config, rows):
    outcome = publish(editions, "first", str(tmp_path / "place"))
    loaded = load_dataset(outcome.location, config, cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, loaded.values())) == rows
    if config == "default":
        row = loaded["train"].cast_column("audio", Audio(decode=False))[0]
        assert row["image"].mode == "RGB"
        assert row["audio"]["bytes"][:4] == b"RIFF"


def test_again_it_does_nothing_and_says_so(editions, where):
    first = publish(editions, "first", where)
    before = held(where)
    again = publish(editions, "first", where)
    assert replace(again, is_new=True, sent_files=first.sent_files, sent_bytes=first.sent_bytes) == first
    assert (again.is_new, again.sent_files, again.sent_bytes) == (False, (), 0)
    assert folders.check(editions.home, editions.first, where) == again
    assert held(where) == before


def test_a_dry_run_says_what_would_be_sent_and_writes_nothing(editions, where):
    assert folders.check(editions.home, editions.first, where) is None
    said = folders.dry_run(editions.home, editions.first, where, pickled)
    assert held(where) == {}
    assert publish(editions, "first", where) == said
    assert folders.dry_run(editions.home, editions.first, where, pickled).is_new is False
    said = folders.dry_run(editions.home, editions.opened, where, pickled)
    assert publish(editions, "opened", where) == said


def test_an_update_sends_what_changed_and_leaves_the_earlier_version_as_it_was(editions, where):
    first = publish(editions, "first", where)
    before = held(where)
    second = publish(editions, "opened", where)
    assert {name: content for name, content in held(where).items() if name.startswith("v1/")} == before
    same = [name for name, file in second.manifest.files.items() if first.manifest.files.get(name) == file]
    assert len(same) > 3
    assert not {name for name in second.sent_files if name.startswith(("data/", "metadata/", "references/"))} & {*same}
    assert all(held(where)[f"v2/{name}"] == before[f"v1/{name}"] for name in same)


def test_in_a_folder_versions_share_the_files_that_they_share(editions, tmp_path):
    first, second = (publish(editions, which, str(tmp_path)) for which in ("first", "opened"))
    for name, file in second.manifest.files.items():
        if name.startswith("data/") and first.manifest.files.get(name) == file:
            assert (tmp_path / "v1" / name).samefile(tmp_path / "v2" / name)
            assert not (tmp_path / "v1" / name).samefile(editions.opened.folder / name)


def test_an_edited_card_goes_on_in_the_next_version(editions, where):
    publish(editions, "first", where)
    with asking(where, "edit the card") as storage:
        card = storage.read("v1/README.md").decode()
        storage.write(card.replace("\n## ", "\nOurs: said by hand.\n\n## ", 1).encode(), "v1/README.md")
    assert publish(editions, "first", where).is_new is False
    assert publish(editions, "opened", where).hand_edited
    assert b"Ours: said by hand." in held(where)["v2/README.md"]


def test_what_was_sent_before_a_kill_is_neither_sent_nor_rendered_again(editions, where, monkeypatch):
    monkeypatch.setattr(folders, "BATCH_FILES", 3)
    with pytest.raises(Killed):
        folders.publish(editions.home, editions.first, where, killed_after(7))
    before = held(where)
    assert "v1/artune.json" not in before
    assert before["v1/README.md"] == CARD_OF_NOTHING
    sent = {name[3:] for name in before if name.endswith(".parquet")}
    assert len(sent) == 6
    again = publish(editions, "first", where)
    assert not sent & {*again.sent_files}
    assert not any(UNFINISHED in name for name in held(where))


def test_a_file_that_vanished_meanwhile_is_sent_again(editions, where, monkeypatch):
    monkeypatch.setattr(folders, "BATCH_FILES", 3)
    with pytest.raises(Killed):
        folders.publish(editions.home, editions.first, where, killed_after(7))
    gone = next(name for name in held(where) if name.endswith(".parquet"))
    with asking(where, "delete") as storage:
        storage.delete(gone)
    assert gone[3:] in publish(editions, "first", where).sent_files
    assert gone in held(where)


def test_notes_that_a_kill_left_in_a_whole_version_are_removed(editions, where):
    publish(editions, "first", where)
    right = held(where)
    with asking(where, "write") as storage:
        storage.write(json.dumps({"inputs": editions.first.manifest["inputs"]}).encode(), f"v1/{UNFINISHED}/begun.json")
    assert folders.check(editions.home, editions.first, where) is None
    assert publish(editions, "first", where).is_new is False
    assert held(where) == right


@pytest.mark.parametrize("calls", range(4, 7))
def test_a_version_that_is_not_finished_cannot_be_loaded(editions, tmp_path, calls):
    with pytest.raises(Killed):
        folders.publish(editions.home, editions.first, str(tmp_path), killed_after(calls))
    with pytest.raises(FileNotFoundError, match="this-version-is-not-finished"):
        load_dataset(str(tmp_path / "v1"), cache_dir=tmp_path / "cache")
    publish(editions, "first", str(tmp_path))
    assert load_dataset(str(tmp_path / "v1"), cache_dir=tmp_path / "cache")["train"].num_rows
