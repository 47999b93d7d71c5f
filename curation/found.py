"""What the lists of web sources hold: a table for each list, and all lists of a source as one."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.columns import Bools, Ints, first_rows, flat, mask, places, taken
from curation.errors import ItemError
from curation.schemas import FOUND, TAG
from curation.sources import UNKNOWN_LICENSE, Found
from curation.store import Home, digest, opened
from rules.collecting import Query

DIGEST_DIGITS = 32
MAX_YEAR = 9999  # what lies beyond is no year
NAMELESS = ItemError("invalid_metadata", "the list gives it no id")
_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_ROWS_AT_ONCE = 10_000  # Python objects of one list in memory
_UNITED = FOUND.remove(FOUND.get_field_index("is_listed"))

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FoundList:
    """One list of a source as it was last seen.

    Attributes:
        name: of its query.
        rule_set: the name of the rule set that last asked for it.
        tags: (kind, word) that this rule set says of everything in it.
        rows: schema FOUND, every item that ever stood in it, in the order in which they came.
        is_asked: this rule set asks for it still.
    """

    name: str
    rule_set: str
    tags: Tags
    rows: pa.Table
    is_asked: bool = True


def folder(home: Home, source: str) -> Path:
    return home.root / "found" / source


def path_of(home: Home, source: str, name: str) -> Path:
    return folder(home, source) / f"{digest(name)[:32]}.parquet"


def read_list(path: Path) -> FoundList | None:
    """Return a list; None if it was never listed."""
    if not path.exists():
        return None
    rows = pq.ParquetFile(opened(path)).read()
    about = json.loads(rows.schema.metadata[b"list"])
    tags = tuple((kind, word) for kind, word in about["tags"])
    return FoundList(about["name"], about["rule_set"], tags, rows.cast(FOUND), about["is_asked"])


def count(home: Home, source: str, name: str) -> int:
    """Return how many items were ever found in a list."""
    path = path_of(home, source, name)
    return int(pq.read_metadata(opened(path)).num_rows) if path.exists() else 0


def read(home: Home, source: str) -> list[FoundList]:
    """Return every list of a source that was ever listed, ordered by name."""
    found = (read_list(path) for path in folder(home, source).glob("*.parquet"))
    return sorted((each for each in found if each), key=lambda each: each.name)


def write(home: Home, source: str, found: FoundList) -> None:
    about = {"name": found.name, "rule_set": found.rule_set, "tags": found.tags, "is_asked": found.is_asked}
    rows = found.rows.replace_schema_metadata({"list": json.dumps(about, ensure_ascii=False)})
    home.write_table(path_of(home, source, found.name), rows)


def updated(before: FoundList | None, rule_set: str, query: Query, rows: pa.Table) -> FoundList:
    """Return a list with what was just seen in it: new facts replace old ones, and what it had before stays."""
    if before is None:
        return FoundList(query.name, rule_set, query.tags, rows)
    old, new = before.rows, rows
    at = places(old["source_id"], new["source_id"])
    added = new.filter(pc.invert(pc.is_in(new["source_id"], value_set=flat(old["source_id"]))))
    where = np.where(at >= 0, len(old) + at, np.arange(len(old)))
    rows = pa.concat_tables([pa.concat_tables([old, new]).take(pa.array(where)), added]).combine_chunks()
    return FoundList(query.name, rule_set, query.tags, rows)


def read_whole(found: FoundList, seen: Sequence[pa.Array | pa.ChunkedArray]) -> FoundList:
    """Return a list that was read to its end: what was not seen has left it."""
    ids = pa.concat_arrays([pa.array([], pa.string()), *map(flat, seen)])
    is_listed = pc.is_in(found.rows["source_id"], value_set=ids)
    at = FOUND.get_field_index("is_listed")
    return replace(found, rows=found.rows.set_column(at, FOUND.field(at), is_listed))


def retagged(lists: Sequence[FoundList], rule_set: str, queries: Sequence[Query]) -> list[FoundList]:
    """Return lists with the tags that a rule set gives them today; none for what it asked for and asks for no more."""
    now = {query.name: query.tags for query in queries}
    found = []
    for each in lists:
        if each.name in now:
            found.append(replace(each, rule_set=rule_set, tags=now[each.name], is_asked=True))
        else:
            found.append(replace(each, tags=(), is_asked=False) if each.rule_set == rule_set else each)
    return found


def rows_of(found: Iterable[Found]) -> pa.Table:
    """Return schema FOUND, a row for each id: at the place where it came first, with what was said of it last."""
    parts, rows = [FOUND.empty_table()], []
    for each in found:
        rows.append(_row(each))
        if len(rows) == _ROWS_AT_ONCE:
            parts.append(_table(rows))
            rows = []
    table = pa.concat_tables([*parts, _table(rows)])
    numbers = places(table["source_id"], table["source_id"])  # of the row that was first
    last = np.zeros(len(table), dtype=np.int64)
    np.maximum.at(last, numbers, np.arange(len(table)))
    return table.take(pa.array(last[np.unique(numbers)])).combine_chunks()


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((),) * len(FOUND)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, FOUND, strict=True)], FOUND)


def _row(found: Found) -> tuple[Any, ...]:
    facts, source_id = found.facts, id_of(found)
    refusal = found.refusal if source_id else NAMELESS
    return (
        source_id,
        text(found.address),
        text(found.state),
        text(facts.url),
        text(facts.title),
        text(facts.creator),
        year(facts.year),
        None if facts.license == UNKNOWN_LICENSE else text(facts.license),
        text(facts.attribution),
        [{"kind": text(kind), "value": text(value)} for kind, value in facts.tags if kind and value],
        as_json(found.about),
        refusal.reason if refusal else None,
        refusal.detail if refusal else None,
        True,
    )


def id_of(found: Found) -> str:
    """Return the id under which tables know an item; empty where it has none and is refused for it."""
    return text(found.source_id) or ""


def text(value: str | None) -> str | None:
    """Return text that every table can hold; None where there is none."""
    return value.encode("utf-8", "replace").decode().replace("\0", " ") if value else None


def year(value: int | None) -> int | None:
    return value if value is not None and -MAX_YEAR <= value <= MAX_YEAR else None


def as_json(value: object) -> str | None:
    """Return canonical JSON; None where there is nothing to say."""
    return text(_JSON.encode(value)) if value else None


@dataclass(frozen=True)
class United:
    """Everything that some lists of a source hold.

    Attributes:
        lists: ordered by name.
        items: schema FOUND without is_listed, a row for each id, ordered by it: of each fact what the first list says
            that says it; tags of all lists, of each first the item's and then the list's; refused if one list refuses
            it. Where it is and whether it is refused say only lists that are asked for and hold it still, if any does.
        members: of each list the rows of `items` that stand in it, in its order.
    """

    lists: list[FoundList]
    items: pa.Table
    members: list[Ints]

    @cached_property
    def by_name(self) -> dict[str, Ints]:
        """The members of each list, by its name."""
        return {each.name: rows for each, rows in zip(self.lists, self.members, strict=True)}

    def items_of(self, names: Iterable[str]) -> Ints:
        """Return the rows of `items` that stand in some lists, each once, ordered."""
        members = [self.by_name[name] for name in names if name in self.by_name]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *members]))


def unite(lists: Sequence[FoundList]) -> United:
    """Put the lists of a source together, whatever order they come in."""
    lists = sorted(lists, key=lambda each: each.name)
    rows = pa.concat_tables([FOUND.empty_table(), *(each.rows for each in lists)])
    ids = pc.unique(rows["source_id"])
    ids = flat(ids.take(pc.sort_indices(ids)))
    numbers = places(rows["source_id"], ids)
    first = _first_valid(numbers, len(ids), rows)
    first_of_now = _first_valid(np.where(_is_of_now(lists, rows, numbers), numbers, -1), len(ids), rows)
    columns = {name: first(name, name) for name in ("url", "title", "creator", "year", "license", "attribution")}
    # What belongs together comes from one list.
    columns |= {name: first_of_now(name, "address") for name in ("address", "state")}
    columns |= {name: first_of_now(name, "reason") for name in ("reason", "detail")}
    has_year = mask(columns["year"].is_valid())
    columns |= {"source_id": ids, "about": first("about", "about"), "tags": _tags(lists, rows, numbers, has_year)}
    items = pa.table([columns[name] for name in _UNITED.names], _UNITED)
    members = np.split(numbers, np.cumsum([len(each.rows) for each in lists]))
    return United(lists, items, members[: len(lists)])


def _is_of_now(lists: Sequence[FoundList], rows: pa.Table, numbers: Ints) -> Bools:
    """Tell which rows still hold: those of lists that are asked for and hold the item; all if an item has none."""
    is_asked = np.repeat([each.is_asked for each in lists], [len(each.rows) for each in lists]).astype(bool)
    is_live = is_asked & mask(rows["is_listed"])
    return is_live | ~np.isin(numbers, numbers[is_live])


def _first_valid(numbers: Ints, count: int, rows: pa.Table) -> Any:  # noqa: ANN401
    """Return a function that gives a column of each item's first row in which another column says something."""

    def first(name: str, valid: str) -> pa.Array:
        at = first_rows(np.where(mask(rows[valid].is_valid()), numbers, -1), count)
        return taken(flat(rows[name]), at)

    return first


def _tags(lists: Sequence[FoundList], rows: pa.Table, numbers: Ints, has_year: Bools) -> pa.ListArray:
    """Return the tags of each item: those of each of its rows and then of the list, every one once.

    The century of a list is that of its artists; what has a year says it better.

    Args:
        numbers: of each row, its item.
        has_year: of each item.
    """
    own = flat(rows["tags"])
    words = [
        own.flatten(),
        *(pa.array([dict(zip(TAG.names, tag, strict=True)) for tag in each.tags], TAG) for each in lists),
    ]
    begins = np.cumsum([len(each) for each in words])
    row = [np.repeat(np.arange(len(rows)), pc.fill_null(pc.list_value_length(own), 0))]
    word = [np.arange(begins[0])]
    start = 0
    for each, begin in zip(lists, begins, strict=False):
        count = len(each.rows)
        row.append(np.repeat(np.arange(start, start + count), len(each.tags)))
        word.append(np.tile(np.arange(begin, begin + len(each.tags)), count))
        start += count
    item, at = numbers[np.concatenate(row)], np.concatenate(word)
    # A row's own tags stand before those of its list, rows in the order of the lists, and items in their own.
    order = np.lexsort((at, np.concatenate(row), item))
    tags = pa.concat_arrays(words)
    kinds, values = (flat(pc.struct_field(tags, name)) for name in TAG.names)
    is_century = mask(pc.equal(kinds, "century")) & (np.arange(len(tags)) >= begins[0])
    order = order[~(is_century[at[order]] & has_year[item[order]])]
    item, at = item[order], at[order]
    spelled = pc.binary_join_element_wise(kinds, values, "\0").dictionary_encode()
    spelling = np.asarray(spelled.indices, dtype=np.int64)
    _, firsts = np.unique(item * (len(spelled.dictionary) + 1) + spelling[at], return_index=True)
    kept = np.sort(firsts)
    ends = np.searchsorted(item[kept], np.arange(len(has_year) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), tags.take(pa.array(at[kept])))


def facts_digests(items: pa.Table) -> pa.Array:
    """Return for each row a digest of the item's id and of all that is said of it."""
    tags = flat(items["tags"])
    words = pc.binary_join_element_wise(*(pc.struct_field(tags.flatten(), name) for name in TAG.names), "\x1f")
    ends = np.cumsum(np.append(0, pc.list_value_length(tags))).astype(np.int32)
    tags = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), words), "\x1e")
    names = ("source_id", "url", "title", "creator", "year", "license", "attribution", "about")
    columns = [pc.cast(flat(items[name]), pa.string()) for name in names]
    said = pc.binary_join_element_wise(*columns, tags, "\x1d", null_handling="replace", null_replacement="\0")
    return pa.array(
        [hashlib.sha256(each.encode()).hexdigest()[:DIGEST_DIGITS] for each in said.to_pylist()], pa.string()
    )
