"""What removal requests refuse, whatever else is in the tables."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import tombstones
from curation.errors import ItemError
from curation.schemas import INGESTED, ITEMS
from curation.store import Home
from curation.tombstones import Tombstone
from rules.errors import ConfigurationError


def tombstone(source: str = "folder", source_id: str = "a.bmp", sha256: str | None = "a" * 64) -> Tombstone:
    return Tombstone(source, source_id, sha256, "image", None, "asked for", "2026-01-02T03:04:05+00:00")


def rows_of(keys, schema: pa.Schema = ITEMS) -> pa.Table:
    facts = {"title": "T", "tags": [{"kind": "genre", "value": "Portrait"}], "url": "u", "version": "1"}
    named = ({"source": source, "source_id": name, "sha256": sha256} for source, name, sha256 in keys)
    return pa.Table.from_pylist([facts | row for row in named], schema)


@given(
    st.lists(st.tuples(st.sampled_from("sw"), st.sampled_from("abc"), st.sampled_from(["1", "2", None]))),
    st.sets(st.tuples(st.sampled_from("sw"), st.sampled_from("abc"), st.sampled_from(["1", "2", None])), max_size=3),
)
def test_just_what_is_named_or_has_the_bytes_is_refused_and_the_order_stays(tmp_path_factory, keys, removed):
    home = Home(tmp_path_factory.mktemp("home"))
    for key in removed:
        assert tombstones.write(home, tombstone(*key))
    items = rows_of(keys)
    found = tombstones.refuse(home, items).to_pylist()
    names, contents = {key[:2] for key in removed}, {key[2] for key in removed} - {None}
    assert [(row["source"], row["source_id"], row["sha256"]) for row in found] == keys
    for row, before in zip(found, items.to_pylist(), strict=True):
        if (row["source"], row["source_id"]) in names or row["sha256"] in contents:
            nothing = dict.fromkeys(ITEMS.names) | {"tags": []}
            kept = {name: before[name] for name in tombstones.KEPT_FACTS if name in before}
            assert row == nothing | kept | {"reason": "removed", "detail": row["detail"]}
        else:
            assert row == before


def test_columns_that_only_web_sources_have_are_emptied_too(tmp_path):
    items = rows_of([("w", "a", "1")], INGESTED)
    (row,) = tombstones.refused(items, items["source"].to_numpy() == "w").to_pylist()
    assert {name for name, value in row.items() if value} == {"source", "source_id", "sha256", "version", "reason"}


def test_without_requests_nothing_is_touched(tmp_path):
    items = rows_of([("s", "a", "1")])
    assert tombstones.refuse(Home(tmp_path), items) is items


def test_a_request_is_written_once_and_the_first_stays(tmp_path):
    home = Home(tmp_path)
    assert tombstones.write(home, tombstone())
    assert not tombstones.write(home, Tombstone("folder", "a.bmp", "a" * 64, "image", None, "again", "2027"))
    assert tombstones.read(home) == [tombstone()]


def test_bytes_that_were_removed_never_become_a_blob(tmp_path):
    home = Home(tmp_path)
    sha256, _ = home.put_blob([b"one"], 9)
    home.blob(sha256).unlink()
    tombstones.write(home, tombstone(sha256=sha256))
    with pytest.raises(ItemError, match="removed"):
        home.put_blob([b"one"], 9)
    assert not home.blob(sha256).exists()
    assert list((home.root / "tmp").iterdir()) == []


def test_the_reason_of_a_request_is_no_input_of_a_release():
    one = tombstone()
    other = Tombstone(*one.key, one.modality, None, "another reason", "2030")
    assert tombstones.content_digest([one]) == tombstones.content_digest([other])
    assert tombstones.content_digest([one]) != tombstones.content_digest([tombstone(sha256="b" * 64)])


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"source": "folder"})])
def test_a_damaged_request_is_told_for_what_it_names_must_stay_out(tmp_path, text):
    home = Home(tmp_path)
    tombstones.write(home, tombstone())
    (path,) = (tmp_path / "tombstones").glob("*/*.json")
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="expected a removal request"):
        tombstones.read(home)
