"""What was published stays known: once for each time, whatever happens to the release afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from curation import releases
from curation.publishing import records
from curation.publishing.records import Record
from curation.store import Home
from rules.errors import ConfigurationError

HUB = Record("me/art", "https://huggingface.co", "tiny", 1, "v1", "c1")
FOLDER = Record("/out", None, "tiny", 1, "v1", None)
GONE = "a" * 64


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for number in (1, 2):
        write_release(Home(tmp_path), number, [])
    return Home(tmp_path)


def write_release(home: Home, number: int, purged: list[str]) -> None:
    path = home.root / "releases" / f"{number}.json"
    path.parent.mkdir(exist_ok=True)
    told = dict.fromkeys(releases.NEEDED) | {"purged": [{"sha256": sha256, "pairs": []} for sha256 in purged]}
    path.write_text(json.dumps(told))


def files(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home.root / records.FOLDER).iterdir()}


def test_nothing_was_published_yet(home):
    assert records.read(home) == []


def test_publications_are_read_by_release_and_place(home):
    later, elsewhere = replace(HUB, release=2, version="v2", commit="c2"), replace(HUB, endpoint="https://hub.example")
    for record in (later, HUB, elsewhere, FOLDER):
        assert records.write(home, record)
    assert records.read(home) == [FOLDER, elsewhere, HUB, later]


def test_the_same_publication_again_changes_nothing(home):
    assert records.write(home, HUB)
    before = files(home)
    assert not records.write(home, HUB)
    assert files(home) == before


def test_what_was_verified_later_is_one_publication_and_the_first_file_stays(home):
    records.write(home, HUB)
    before = files(home)
    records.write(home, replace(HUB, verified=True))
    records.write(home, HUB)
    assert records.read(home) == [replace(HUB, verified=True)]
    assert before.items() < files(home).items()
    assert len(files(home)) == 2


def test_a_record_remembers_what_was_deleted_from_its_release_before(home):
    records.write(home, HUB)
    write_release(home, 1, [GONE])
    records.write(home, FOLDER)
    assert records.read(home) == [replace(FOLDER, without=(GONE,)), HUB]


def test_a_folder_that_was_written_anew_after_a_purge_is_without_what_was_deleted(home):
    records.write(home, replace(FOLDER, verified=True))
    write_release(home, 1, [GONE])
    records.write(home, FOLDER)
    assert records.read(home) == [replace(FOLDER, without=(GONE,))]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"{}", b'{"where": "me/art"}', b"\xff"])
def test_a_damaged_record_is_refused(home, content):
    records.write(home, HUB)
    (path,) = (home.root / records.FOLDER).iterdir()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"published/\w+\.json: expected a record of a publication"):
        records.read(home)
