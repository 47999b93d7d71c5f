import csv
from collections import Counter

import pytest

from curation.media_types import HEAD_BYTES, modality
from curation.sources import UNKNOWN_LICENSE, Entry, sample
from rules.errors import ConfigurationError


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return list(sample.entries(""))


def test_every_row_has_its_file_and_every_file_its_row(entries: list[Entry]) -> None:
    with (sample.SAMPLE / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {entry.source_id for entry in entries} == set(rows)
    assert [entry for entry in entries if entry.refusal] == []
    assert {entry.source_id: entry.facts.title for entry in entries} == {
        name: row["title"] for name, row in rows.items()
    }


def test_80_pictures_and_26_recordings_are_what_their_folders_say(entries: list[Entry]) -> None:
    found = Counter()
    for entry in entries:
        with entry.path.open("rb") as file:
            found[entry.source_id.split("/")[0], modality(file.read(HEAD_BYTES))] += 1
    assert found == {("images", "image"): 80, ("music", "music"): 26}


def test_every_item_may_be_passed_on(entries: list[Entry]) -> None:
    assert [entry.source_id for entry in entries if entry.facts.license == UNKNOWN_LICENSE] == []
    assert [entry.source_id for entry in entries if not entry.facts.attribution] == []


def test_url_is_the_path_within_the_sample(entries: list[Entry]) -> None:
    assert all(entry.facts.url == entry.source_id for entry in entries)


def test_every_item_has_a_tag_that_a_rule_can_read(entries: list[Entry]) -> None:
    kinds = {entry.source_id.split("/")[0]: set() for entry in entries}
    for entry in entries:
        kinds[entry.source_id.split("/")[0]] |= {kind for kind, _ in entry.facts.tags}
    assert [entry.source_id for entry in entries if not entry.facts.tags] == []
    assert kinds["images"] == {"style", "genre", "century", "nationality"}
    assert kinds["music"] >= {"sub_genre", "music_feature"}


def test_location_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes no location"):
        sample.entries("elsewhere")
