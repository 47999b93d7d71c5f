import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import collect, sources
from curation.collect import Batch, Listing, collect_batch, content_digest, current_items, list_sources
from curation.errors import ItemError
from curation.schemas import ITEMS
from curation.sources import Entry, Facts
from curation.store import Home, read_tables
from rules.errors import ConfigurationError
from tests.curation.collection import write_collection
from tests.curation.tables import items_table, picture, recording
from tests.pictures import as_bytes, plain

PICTURE = as_bytes(plain("red", size=(8, 8)), "PNG")


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "media").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "media" / name).write_bytes(PICTURE)
    return tmp_path / "media"


def collected(home: Home, folder) -> pa.Table:
    listing = list_sources(home, [f"folder:{folder}"])
    for batch in listing.batches:
        collect_batch(batch)
    return current_items(home, listing)


def test_files_become_blobs_and_rows(home, folder):
    rows = collected(home, folder).to_pylist()
    assert [(row["source"], row["source_id"], row["modality"], row["reason"]) for row in rows] == [
        ("folder", "a.png", "image", None),
        ("folder", "b.png", "image", None),
    ]
    assert home.blob(rows[0]["sha256"]).read_bytes() == PICTURE
    assert rows[0]["sha256"] == rows[1]["sha256"]
    assert rows[0]["fetched_at"] is None


def test_nothing_is_read_twice(home, folder):
    collected(home, folder)
    assert list_sources(home, [f"folder:{folder}"]).batches == []


def test_only_what_changed_is_read_again(home, folder):
    collected(home, folder)
    (folder / "b.png").write_bytes(PICTURE + b"\0")
    listing = list_sources(home, [f"folder:{folder}"])
    assert [entry.source_id for batch in listing.batches for entry in batch.entries] == ["b.png"]
    rows = collected(home, folder).to_pylist()
    assert [row["size_bytes"] for row in rows] == [len(PICTURE), len(PICTURE) + 1]


def test_file_that_is_gone_is_listed_no_more(home, folder):
    collected(home, folder)
    (folder / "a.png").unlink()
    assert collected(home, folder)["source_id"].to_pylist() == ["b.png"]


def test_file_that_vanishes_is_unreadable_and_tried_again(home, folder):
    listing = list_sources(home, [f"folder:{folder}"])
    (folder / "a.png").unlink()
    for batch in listing.batches:
        collect_batch(batch)
    assert current_items(home, listing)["reason"].to_pylist() == ["unreadable", None]
    (folder / "a.png").write_bytes(PICTURE)
    assert collected(home, folder)["reason"].to_pylist() == [None, None]


def test_link_that_leads_nowhere_is_no_news_the_second_time(home, folder):
    (folder / "c.png").symlink_to("nothing")
    assert collected(home, folder)["reason"].to_pylist()[-1] is not None
    assert list_sources(home, [f"folder:{folder}"]).batches == []


@contextmanager
def nobody() -> Iterator[None]:
    """Drop root's rights, which no permission binds, for as long as the block runs."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_file_without_permission_is_unreadable(folder):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        opened = Path(place) / "media"
        shutil.copytree(folder, opened)
        (opened / "a.png").chmod(0)
        Path(place).chmod(0o777)
        with nobody():
            home = Home(Path(place) / "home")
            assert collected(home, opened)["reason"].to_pylist() == ["unreadable", None]
            # It may be readable the next time, but that it is tried again is no news.
            (batch,) = list_sources(home, [f"folder:{opened}"]).batches
            assert [entry.source_id for entry in batch.entries] == ["a.png"]
            assert batch.again
            shutil.rmtree(Path(place) / "home")


@pytest.mark.parametrize(
    ("head", "limit"), [(PICTURE, "MAX_IMAGE_BYTES"), (b"RIFF\x24\0\0\0WAVEfmt ", "MAX_RECORDING_BYTES")]
)
def test_file_that_is_too_large_is_refused(home, folder, monkeypatch, head, limit):
    monkeypatch.setattr(collect, limit, 99)
    (folder / "a.png").write_bytes(head + bytes(100))
    (folder / "b.png").unlink()
    assert collected(home, folder)["reason"].to_pylist() == ["too_many_bytes"]


def entry(source_id: str, version: str = "1", refusal: ItemError | None = None) -> Entry:
    return Entry(source_id, version, None, Facts(title=source_id), refusal or ItemError("missing_file"))


def test_second_item_of_an_id_is_a_rejection(home, folder, monkeypatch):
    class Twice:
        @staticmethod
        def entries(location):
            (folder / "b.png").write_bytes(PICTURE + b"\0")
            named = [("x", "2", "b.png"), ("x", "1", "a.png"), ("y", "1", "a.png")]
            return iter([Entry(source_id, version, folder / name) for source_id, version, name in named])

    monkeypatch.setattr(sources, "get", lambda name: Twice)
    listing = list_sources(home, ["twice"])
    for batch in listing.batches:
        collect_batch(batch)
    rows = current_items(home, listing).to_pylist()
    assert [(row["source_id"], row["reason"]) for row in rows] == [("x", None), ("x", "duplicate_id"), ("y", None)]
    assert [row["sha256"] is None for row in rows] == [False, True, False]


def test_file_of_an_unknown_type_is_not_tried_again(home, folder):
    (folder / "a.png").write_bytes(b"nothing known")
    collected(home, folder)
    assert list_sources(home, [f"folder:{folder}"]).batches == []


def test_source_with_two_locations_is_refused(home, folder):
    with pytest.raises(ConfigurationError, match="put both below one folder"):
        list_sources(home, [f"folder:{folder}", "folder:/"])


def test_unknown_source_is_refused(home):
    with pytest.raises(ConfigurationError, match="no source is called 'nowhere'"):
        list_sources(home, ["nowhere:here"])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), unique=True), st.integers(0, 99), st.integers(1, 5))
def test_items_do_not_depend_on_listing_or_batches(tmp_path_factory, named, seed, size):
    """Nothing lost: a row for every entry, in one order."""
    entries = [entry(f"i{number}", str(version)) for number, version in named]
    tables = []
    for shuffle in (False, True):
        home = Home(tmp_path_factory.mktemp("home"))
        if shuffle:
            random.Random(seed).shuffle(entries)
        step = size if shuffle else len(entries) or 1
        for start in range(0, len(entries), step):
            collect_batch(Batch(home, "s", entries[start : start + step]))
        columns = {"source": ["s"] * len(entries)}
        columns |= {"source_id": [found.source_id for found in entries]}
        columns |= {"version": [f"{collect.VERSION}.{found.version}" for found in entries]}
        tables.append(current_items(home, Listing(pa.table(columns, schema=_versions()), [])))
        assert len(read_tables(home.items("s"), ITEMS)) == len(entries)
    assert tables[0] == tables[1]
    assert len(tables[0]) == len(entries)
    assert content_digest(tables[0]) == content_digest(tables[1])


def _versions() -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in ("source", "source_id", "version")])


def test_digest_of_the_items_ignores_when_they_were_read_and_nothing_else(home, folder):
    first = collected(home, folder)
    os.utime(folder / "a.png", (1, 1))
    second = collected(home, folder)
    assert first["version"] != second["version"]
    assert content_digest(first) == content_digest(second)
    (folder / "a.png.json").write_text('{"title": "Red"}')
    assert content_digest(collected(home, folder)) != content_digest(first)


@given(st.lists(st.integers(0, 5), max_size=3))
def test_digest_of_the_items_ignores_how_the_rows_are_kept(cuts):
    pictures = picture("a", "Grid", "Poster"), picture("b", title="B", creator="Ida")
    items = items_table([*pictures, recording("r", "Song")])
    bounds = sorted({0, len(items), *(cut for cut in cuts if cut < len(items))})
    parts = [items.slice(start, end - start) for start, end in zip(bounds[:-1], bounds[1:], strict=True)]
    assert content_digest(pa.concat_tables(parts)) == content_digest(items)
    assert content_digest(pa.concat_tables([items, items]).slice(len(items))) == content_digest(items)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (picture("a", title=None), picture("a", title="")),
        (picture("a", "Grid"), picture("a")),
        (picture("a", title="ab", creator="c"), picture("a", title="a", creator="bc")),
        (picture("a", "Grid", "Poster"), picture("a", "GridPoster")),
    ],
)
def test_digests_of_different_items_differ(one, other):
    items = [items_table([item, picture("b", "Grid", title="b")]) for item in (one, other)]
    assert content_digest(items[0]) != content_digest(items[1])


def test_what_a_data_set_was_last_built_from_is_remembered(tmp_path):
    home, folder = Home(tmp_path / "home"), write_collection(tmp_path / "media", range(2), range(1))
    listing = collect.list_sources(home, [f"folder:{folder}"])
    assert collect.last_listing(home, "tiny") is None
    collect.remember(home, "tiny", listing)
    remembered = collect.last_listing(home, "tiny")
    assert remembered is not None
    assert (remembered.versions.to_pylist(), remembered.batches) == (listing.versions.to_pylist(), [])
    assert remembered.sources == (f"folder:{folder}",)
    assert collect.last_listing(home, "other") is None


def test_a_damaged_memory_of_the_listing_counts_as_none(tmp_path):
    path = tmp_path / "listings" / "tiny.parquet"
    path.parent.mkdir()
    path.write_bytes(b"no table")
    assert collect.last_listing(Home(tmp_path), "tiny") is None
