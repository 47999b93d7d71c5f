"""The tables of what was found: nothing is lost, and neither order nor time leaves a trace."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curation import found
from curation.errors import ItemError
from curation.found import FoundList
from curation.sources import Facts, Found
from curation.store import Home
from rules.collecting import Query
from tests.curation.collection import files_of

TAGS = st.lists(st.sampled_from([("genre", "Portrait"), ("genre", "Poster"), ("century", "19th century")]), max_size=3)
FACTS = st.builds(
    Facts,
    title=st.sampled_from([None, "Lake", "Mill"]),
    creator=st.sampled_from([None, "Anna"]),
    year=st.sampled_from([None, 1850]),
    license=st.sampled_from(["unknown", "CC0-1.0"]),
    tags=TAGS.map(tuple),
)
ITEMS = st.builds(
    Found,
    st.sampled_from("abcdef"),
    st.sampled_from(["", "https://one.example", "https://two.example"]),
    FACTS,
    st.sampled_from(["", "1"]),
    st.sampled_from([{}, {"board": "x"}]),
    st.sampled_from([None, None, ItemError("duration", "10 hours")]),
)
LISTS = st.lists(st.tuples(st.lists(ITEMS, max_size=8), TAGS, st.booleans(), st.text("abcdef")), max_size=4)


def list_of(name: str, items: Sequence[Found], tags: Sequence[tuple[str, str]] = ()) -> FoundList:
    return FoundList(name, "tiny", tuple(tags), found.rows_of(items))


def without(listed: FoundList, gone: str) -> FoundList:
    """Return a list that was read to its end when these items had left it."""
    seen = pa.array([name for name in listed.rows["source_id"].to_pylist() if name not in gone], pa.string())
    return found.read_whole(listed, [seen])


def drawn(lists: list[tuple[list[Found], list[tuple[str, str]], bool, str]]) -> list[FoundList]:
    return [
        without(replace(list_of(f"search: {number}", items, tags), is_asked=is_asked), gone)
        for number, (items, tags, is_asked, gone) in enumerate(lists)
    ]


def test_of_an_item_that_comes_twice_the_last_facts_stand_at_its_first_place():
    items = [Found("a", "", Facts(title="Lake")), Found("b", ""), Found("a", "", Facts(title="Mill"))]
    rows = found.rows_of(items)
    assert rows.select(["source_id", "title"]).to_pydict() == {"source_id": ["a", "b"], "title": ["Mill", None]}


def test_text_that_no_table_can_hold_is_mended_and_years_that_are_none_are_left_out():
    facts = Facts(title="a\ud800b\0c", year=1 << 40, tags=(("genre", ""), ("genre", "\udfff")))
    (row,) = found.rows_of([Found("x\ud800", "", facts, about={"board": "\ud800"})]).to_pylist()
    assert (row["source_id"], row["title"], row["year"]) == ("x?", "a?b c", None)
    assert row["tags"] == [{"kind": "genre", "value": "?"}]
    assert json.loads(row["about"]) == {"board": "?"}


def test_a_list_that_is_read_again_keeps_what_it_had_and_takes_what_is_new():
    query = Query("toy", "search", "x", (("genre", "Poster"),))
    before = list_of(query.name, [Found("a", "1", Facts(title="Lake", year=1850)), Found("b", "2")])
    now = found.updated(before, "mine", query, found.rows_of([Found("c", "3"), Found("a", "9", Facts(title="Mill"))]))
    assert (now.rule_set, now.tags) == ("mine", query.tags)
    rows = now.rows.select(["source_id", "address", "title", "year"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("a", "9", "Mill", None),
        ("b", "2", None, None),
        ("c", "3", None, None),
    ]


@given(st.lists(ITEMS, max_size=8), st.lists(ITEMS, max_size=8))
def test_no_item_is_ever_lost_and_a_second_reading_changes_nothing(first: list[Found], second: list[Found]):
    query = Query("toy", "search", "x")
    once = found.updated(list_of(query.name, first), "tiny", query, found.rows_of(second))
    twice = found.updated(once, "tiny", query, found.rows_of(second))
    ids = once.rows["source_id"].to_pylist()
    assert ids == list(dict.fromkeys(item.source_id for item in [*first, *second]))
    assert once == twice


def test_what_was_seen_again_is_in_its_list_again_and_what_was_not_has_left_it():
    query = Query("toy", "search", "x")
    before = without(list_of(query.name, [Found("a", "1"), Found("b", "2"), Found("c", "3")]), "ab")
    now = found.updated(before, "tiny", query, found.rows_of([Found("b", "2"), Found("d", "4")]))
    assert before.rows["is_listed"].to_pylist() == [False, False, True]
    assert now.rows["is_listed"].to_pylist() == [False, True, True, True]


def test_a_list_is_written_and_read_as_it_is(tmp_path):
    home, query = Home(tmp_path), Query("toy", "search", "Gregorian chant", (("genre", "Poster"),))
    assert found.read_list(found.path_of(home, "toy", query.name)) is None
    listed = list_of(query.name, [Found("a", "1", about={"b": 1, "a": 2}), Found("b", "2")], query.tags)
    listed = replace(without(listed, "b"), is_asked=False)
    found.write(home, "toy", listed)
    (again,) = found.read(home, "toy")
    assert listed == again
    before = files_of(tmp_path)
    found.write(home, "toy", again)
    assert files_of(tmp_path) == before


def test_a_query_names_no_path_outside_the_folder(tmp_path):
    path = found.path_of(Home(tmp_path), "toy", "search: ../../../etc/passwd\0")
    assert path.parent == tmp_path / "found" / "toy"


def test_tags_follow_the_rule_set_and_go_when_it_asks_for_the_list_no_more():
    lists = [
        FoundList(name, rule_set, (("genre", "Poster"),), found.rows_of([]))
        for name, rule_set in (("search: kept", "mine"), ("search: dropped", "mine"), ("search: other", "theirs"))
    ]
    queries = [Query("toy", "search", "kept", (("genre", "Grid"),))]
    tags = {each.name: each.tags for each in found.retagged(lists, "mine", queries)}
    assert tags == {
        "search: kept": (("genre", "Grid"),),
        "search: dropped": (),
        "search: other": (("genre", "Poster"),),
    }
    assert {each.name: each.is_asked for each in found.retagged(lists, "mine", queries)} == {
        "search: kept": True,
        "search: dropped": False,
        "search: other": True,
    }


def naive(lists: list[FoundList]) -> list[dict[str, Any]]:
    """Put lists together, one row after the other."""
    rows: dict[str, dict[str, Any]] = {}
    lists = sorted(lists, key=lambda each: each.name)
    live = {row["source_id"] for each in lists if each.is_asked for row in each.rows.to_pylist() if row["is_listed"]}
    for each in lists:
        for row in each.rows.to_pylist():
            is_listed = row.pop("is_listed") and each.is_asked
            mine = rows.setdefault(row["source_id"], {name: None for name in row} | {"tags": []})
            mine["source_id"] = row["source_id"]
            of_now = [("address", "state"), ("reason", "detail")]
            for names in (
                *[(name,) for name in ("url", "title", "creator", "year", "license", "attribution", "about")],
                *(of_now if is_listed or row["source_id"] not in live else []),
            ):
                if mine[names[0]] is None:
                    mine.update({name: row[name] for name in names if row[names[0]] is not None})
            mine["tags"] += [(tag["kind"], tag["value"], False) for tag in row["tags"]]
            mine["tags"] += [(*tag, True) for tag in each.tags]
    for row in rows.values():
        # The century of a list is that of its artists; what has a year says it better.
        meant = [
            (kind, word) for kind, word, of_list in row["tags"] if not (of_list and kind == "century" and row["year"])
        ]
        row["tags"] = [{"kind": kind, "value": word} for kind, word in dict.fromkeys(meant)]
    return [rows[name] for name in sorted(rows)]


@given(LISTS, st.randoms(use_true_random=False))
def test_lists_are_united_whatever_their_order(lists, lots):
    found_lists = drawn(lists)
    united = found.unite(found_lists)
    assert united.items.to_pylist() == naive(found_lists)
    lots.shuffle(found_lists)
    assert found.unite(found_lists).items.equals(united.items)
    for each in found_lists:
        members = united.items["source_id"].take(united.by_name[each.name])
        assert members.to_pylist() == each.rows["source_id"].to_pylist()


@given(st.lists(ITEMS, max_size=6), ITEMS)
def test_a_digest_changes_just_when_something_is_said(items: list[Found], other: Found):
    one = found.unite([list_of("search: 1", [*items, other])]).items
    two = found.unite([list_of("search: 1", [*items, replace(other, address="elsewhere", refusal=None)])]).items
    said = ["source_id", "url", "title", "creator", "year", "license", "attribution", "tags", "about"]
    pairs = zip(found.facts_digests(one).to_pylist(), found.facts_digests(two).to_pylist(), strict=True)
    assert all(first == second for first, second in pairs)
    rows = [json.dumps(row) for row in one.select(said).to_pylist()]
    assert len(set(found.facts_digests(one).to_pylist())) == len(set(rows))


def test_nothing_is_united_of_nothing():
    united = found.unite([])
    assert (len(united.items), united.members, len(found.facts_digests(united.items))) == (0, [], 0)
