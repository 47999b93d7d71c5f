"""How far collecting is, for `artune status`; and what a build makes of what was ingested."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from curation import building, ingest, tombstones
from curation.batches import in_threads
from curation.errors import ItemError
from curation.sources import Facts, Fetched, Found
from curation.store import Home
from curation.tally import Tally, tally
from curation.tombstones import Tombstone
from curation.verifying import verify
from rules.schema import RuleSet
from tests.curation.collection import write_collection
from tests.curation.ingesting import FACES, MEANS, SITE, VIEWS, ingest_from, rules_for, some, toy_source
from tests.curation.tables import LABELS, ROOMY, SIZES, content

SONGS = {"sub_genre": "Song", "music_feature": "Popular"}


@pytest.fixture
def toy() -> Iterator[ModuleType]:
    with toy_source() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_nothing_is_counted_before_the_first_ingest(home):
    tallies, wanted = tally(home, rules_for((FACES, "faces")))
    assert tallies == []
    assert [(each.label, each.pictures) for each in wanted] == list(zip(LABELS, SIZES, strict=True))
    assert [each.clips for each in wanted] == [8, 6, 4, 3]  # the quotas of the sub-genres


def test_every_found_item_is_counted_in_one_column(toy, home):
    toy.WORLD.lists = {"faces": [*some("a", "b", "c"), *some("d", refusal=ItemError("duration"))], "views": some("a")}
    toy.WORLD.media = lambda address: ItemError("gone") if address == f"{SITE}c" else address.encode()
    rule_set = rules_for((FACES, "faces"), (VIEWS, "views"))
    tombstones.write(home, Tombstone("toy", "b", None, None, None, "they asked", "2026-11-22T12:00:00Z"))
    ingest_from(home, rule_set, quota_bytes=0)
    assert tally(home, rule_set)[0] == [
        Tally("toy", "Old views", 1, 0, {}, 1),
        Tally("toy", "Faces", 4, 0, {"duration": 1, "removed": 1}, 2),
    ]
    ingest_from(home, rule_set)
    tallies, wanted = tally(home, rule_set)
    assert tallies == [
        Tally("toy", "Old views", 1, 1, {}, 0),
        Tally("toy", "Faces", 4, 1, {"duration": 1, "gone": 1, "removed": 1}, 0),
    ]
    assert [each.pictures for each in wanted] == [5, 4, 4, 3]


def test_lists_that_the_rule_set_does_not_know_are_counted_by_themselves(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    ingest_from(home, rules_for((FACES, "faces")))
    tallies, _ = tally(home, rules_for())
    assert tallies == [Tally("toy", "", 1, 1, {}, 0)]


def test_recordings_fill_quotas_by_the_clips_that_they_can_give(toy, home):
    durations_s = {"a": 2.9, "b": 600.0, "c": None}
    toy.WORLD.lists = {
        "songs": [
            Found(name, f"{SITE}{name}", Facts(), about={} if duration_s is None else {"duration_s": duration_s})
            for name, duration_s in durations_s.items()
        ]
    }
    toy.WORLD.media = lambda address: Fetched("music", toy.sha256_of(address), 9)
    rule_set = rules_for((SONGS, "songs"))
    ingest_from(home, rule_set)
    _, wanted = tally(home, rule_set)
    # Clips of 1 s, three of a recording at most: 2, 3, and 1 of the one whose length nobody knows.
    assert {each.label: each.clips for each in wanted} == {
        "Old views": 8,
        "Faces": 3,  # its Songs are there, and nothing of Late
        "Bills": 0,
        "Grids": 3,
    }


@pytest.mark.parametrize(
    ("duration_s", "clips"),
    [(0, 0), (1e300, 3), (10**400, 3), (math.inf, 1), (-math.inf, 1), (math.nan, 1), (-5, 1), (True, 1), ("3", 1)],
    ids=lambda value: f"{value!r:.9}",
)
def test_a_length_that_can_be_none_counts_as_one_clip(toy, home, duration_s, clips):
    toy.WORLD.lists = {"songs": [Found("a", f"{SITE}a", about={"duration_s": duration_s})]}
    toy.WORLD.media = lambda address: Fetched("music", toy.sha256_of(address), 9)
    rule_set = rules_for((SONGS, "songs"))
    ingest_from(home, rule_set)
    _, wanted = tally(home, rule_set)
    assert {each.label: each.clips for each in wanted}["Faces"] == 6 - clips


def test_a_release_holds_what_was_ingested_and_says_what_was_parked(toy, home, tmp_path):
    files = write_collection(tmp_path / "media", range(8), range(5))
    pictures = [Found(f"p{n}", f"{SITE}picture{n}.bmp", Facts(title=f"Face {n}", creator="Ida")) for n in range(8)]
    music = [Found(f"m{n}", f"{SITE}music{n}.wav", Facts(title=f"Song {n}", creator="Jean")) for n in range(5)]
    toy.WORLD.lists = {"faces": [*pictures, *some("busy")], "songs": music}
    toy.WORLD.media = lambda address: (
        ItemError("rate_limited", "HTTP 429")
        if address.endswith("busy")
        else (files / address.removeprefix(SITE)).read_bytes()
    )
    lists = {"toy": [{"tags": FACES, "lists": [{"search": "faces"}]}, {"tags": SONGS, "lists": [{"search": "songs"}]}]}
    rule_set = RuleSet.model_validate(content(ROOMY) | {"collect": lists})
    ingest.ingest(home, ["toy"], rule_set, MEANS)
    asked = len(toy.WORLD.asked)
    release = building.build(home, ["toy"], rule_set, in_threads(2))
    assert release.manifest["items"] == 14
    rows = pq.read_table(release.folder / "metadata").to_pylist()
    assert rows
    assert {row["image_source"] for row in rows} == {row["music_source"] for row in rows} == {"toy"}
    assert {LABELS[row["label"]] for row in rows} == {"Faces"}
    rejections = pq.read_table(release.folder / "rejections.parquet").to_pylist()
    parked = [row for row in rejections if row["source_id"] == "busy"]
    assert [(row["unit"], row["stage"], row["reason"], row["detail"]) for row in parked] == [
        ("item", "fetch", "rate_limited", "HTTP 429")
    ]
    assert building.build(home, ["toy:elsewhere"], rule_set, in_threads(2)) is None
    assert verify(home, in_threads(2)) == []
    assert len(toy.WORLD.asked) == asked  # a build asks no site
