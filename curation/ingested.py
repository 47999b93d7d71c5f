"""What became of the items of a web source: a row for each thing that happened, and the row that counts now."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Ints, flat, mask, places, taken
from curation.found import DIGEST_DIGITS, as_json, text, year
from curation.schemas import INGESTED
from curation.sources import UNKNOWN_LICENSE, Facts, Fetched
from curation.store import Home, digest, read_tables
from curation.stored import are_there

Row = dict[str, Any]

# The columns of a row: what tells of the item, what became of it, and what was asked and answered.
FACTS = ("url", "title", "creator", "year", "license", "attribution", "tags", "about")
OUTCOME = ("modality", "size_bytes", "sha256", "fetched_at", "reason", "detail")
REPLY = ("address", "state", "etag", "last_modified", "told")
OF_A_FETCH = ("source", "source_id", "sha256", "fetched_at")  # what tells a fetch that gave something from all others
OPTED_OUT = "opted_out"

_ROWS_AT_ONCE = 10_000  # Python objects of journals in memory


@dataclass(frozen=True)
class Known:
    """The items of a source that have a row.

    Attributes:
        rows: INGESTED without FACTS, of everything that happened.
        ids: of the items, ordered.
        current: for each item the row that a build reads: the last that has a blob or says that its site opted out,
            else the last.
        latest: for each item the last row.
    """

    rows: pa.Table
    ids: pa.Array
    current: Ints
    latest: Ints

    def of(self, which: Ints, items: Ints, names: Sequence[str]) -> dict[str, pa.Array]:
        """Return columns of the current or the latest rows of items; null for -1, which is none."""
        rows = np.append(which, -1)[items]
        return {name: taken(flat(self.rows[name]), rows) for name in names}


def version(revision: pa.Array, facts_digest: pa.Array) -> pa.Array:
    """Return what tells a row of an item from all others; later ones sort behind earlier ones."""
    return pc.binary_join_element_wise(pc.utf8_lpad(pc.cast(revision, pa.string()), 8, "0"), facts_digest, ".")


def facts_digest(version: pa.Array) -> pa.Array:
    """Return of a version the digest of the facts in the row."""
    return pc.utf8_slice_codeunits(version, -DIGEST_DIGITS)


def with_told(row: Row) -> Row:
    """Return a row with what only the fetch told: its facts replace those of the lists, its tags come after them."""
    told = json.loads(row["told"])
    about = {**json.loads(row["about"] or "{}"), **told["about"]}
    tags = [{"kind": kind, "value": value} for kind, value in told["tags"]]
    tags = row["tags"] + [tag for tag in tags if tag not in row["tags"]]
    return {**row, **told["facts"], "tags": tags, "about": as_json(about)}


def told(fetched: Fetched) -> str | None:
    """Return what only the fetch told of an item, as JSON."""
    facts = fetched.facts or Facts()
    said: Row = {name: text(getattr(facts, name)) for name in ("url", "title", "creator", "attribution")}
    said |= {"year": year(facts.year), "license": None if facts.license == UNKNOWN_LICENSE else text(facts.license)}
    tags = [(text(kind), text(value)) for kind, value in facts.tags if kind and value]
    parts = {"facts": {key: value for key, value in said.items() if value is not None}, "tags": tags}
    parts["about"] = dict(fetched.about)
    return as_json(parts) if any(parts.values()) else None


def known(home: Home, source: str) -> Known:
    """Return what is known of a source's items."""
    names = [name for name in INGESTED.names if name not in FACTS]
    rows = read_tables(home.items(source), INGESTED, names)
    ids = pc.unique(rows["source_id"])
    ids = flat(ids.take(pc.sort_indices(ids)))
    numbers = places(rows["source_id"], ids)
    revisions = flat(pc.fill_null(rows["revision"], 0)).to_numpy()
    # A later try that gave nothing takes away nothing that was fetched, except where the site says that it must not be
    # used any more: that is no matter of what can be had but of what is lawful.
    is_decisive = mask(rows["sha256"].is_valid()) | mask(pc.fill_null(pc.equal(rows["reason"], OPTED_OUT), False))
    return Known(rows, ids, _last(numbers, is_decisive, revisions), _last(numbers, revisions))


def known_ids(home: Home, source: str) -> frozenset[str]:
    """Return the ids of a source's items that have a row."""
    return frozenset(pc.unique(read_tables(home.items(source), INGESTED, ["source_id"])["source_id"]).to_pylist())


def _last(numbers: Ints, *keys: Any) -> Ints:  # noqa: ANN401 - arrays of several types
    """Return the row of each number that has the highest keys."""
    order = np.lexsort((*reversed(keys), numbers))
    ordered = numbers[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, dtype=bool)
    last: Ints = order[is_last]
    return last


def listed_versions(home: Home, source: str) -> pa.Table:
    """Return source, source_id and version of the row of each item that a build reads."""
    found = known(home, source)
    versions = flat(found.rows["version"].take(pa.array(found.current)))
    return pa.table([pa.repeat(source, len(found.ids)), found.ids, versions], ["source", "source_id", "version"])


def addresses(home: Home, fetches: pa.Table) -> pa.Array:
    """Return where the media of fetches lay; null for local files, and for what no table of items tells of any more.

    Args:
        fetches: the columns OF_A_FETCH. Whatever moves an item makes another fetch of it, so each has one address.
    """
    found, names = pa.nulls(len(fetches), pa.string()), _fetch_names(fetches)
    for source in pc.unique(fetches["source"].filter(fetches["fetched_at"].is_valid())).to_pylist():
        rows = read_tables(home.items(source), INGESTED, [*OF_A_FETCH, "address", "version"])
        is_meant = pc.and_(rows["address"].is_valid(), pc.is_in(rows["sha256"], value_set=flat(fetches["sha256"])))
        rows = rows.filter(is_meant).sort_by([("version", "descending")])
        found = pc.coalesce(found, taken(flat(rows["address"]), places(names, _fetch_names(rows))))
    return found


def _fetch_names(fetches: pa.Table) -> pa.Array:
    """Return a name for each fetch, null for a local file."""
    at_ms = pc.cast(pc.cast(fetches["fetched_at"], pa.int64()), pa.string())
    return flat(pc.binary_join_element_wise(*(fetches[name] for name in OF_A_FETCH[:3]), at_ms, "\0"))


def write_rows(home: Home, source: str, rows: pa.Table) -> None:
    """Write rows into a table of their own; the same rows always have the same one."""
    if not len(rows):
        return
    rows = rows.cast(INGESTED)
    name = digest([rows[key].to_pylist() for key in ("source_id", "version", "sha256", "reason")])
    home.write_table(home.items(source) / f"{name[:32]}.parquet", rows)


def working_folder(home: Home, source: str) -> Path:
    """Return where an ingest keeps its journals: on the machine that fetches, wherever the work folder is."""
    return home.local / "fetching" / source


def lock(home: Home, source: str) -> Path:
    """Return what whoever fetches from a source holds, on whatever machine."""
    path = home.root / "fetching" / source / "lock"
    if not home.is_remote:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return path


class Journal:
    """The rows of a batch as they come: what was fetched is kept, however the process ends."""

    def __init__(self, home: Home, source: str, name: str) -> None:
        path = working_folder(home, source) / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def add(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def convert_journals(home: Home, source: str, *, was_killed: bool = True) -> None:
    """Turn the journals of all batches into one table: thousands of small ones would be slow to read ever after.

    Whoever calls it holds the source.

    Args:
        was_killed: the ingest that wrote them came to no end, and others had the work folder since.
    """
    paths = sorted(working_folder(home, source).glob("*.jsonl"))
    if not paths:
        return
    rows: Iterator[Row] = (row for path in paths for row in _lines(path))
    if was_killed:  # no table named these blobs: `artune gc` may have taken one for garbage
        rows = _with_blob(home, rows)
    tables = [INGESTED.empty_table()]
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        tables.append(pa.Table.from_pylist(part, INGESTED))
    table = pa.concat_tables(tables)
    # Who died while removing journals had written their table before.
    written = read_tables(home.items(source), INGESTED, ["version"])["version"]
    versions = pa.concat_arrays([flat(written), flat(table["version"])])
    is_new = places(table["version"], versions) == len(written) + np.arange(len(table))
    # Batches end in whatever order; the same rows make the same table.
    write_rows(home, source, table.filter(pa.array(is_new)).sort_by([("version", "ascending")]))
    for path in paths:
        path.unlink()


def _with_blob(home: Home, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows whose blob is there, or that never had one."""
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        blobs = [home.blob(row["sha256"]) for row in part if row["sha256"]]
        gone = {blob.name for blob, is_there in zip(blobs, are_there(blobs), strict=True) if not is_there}
        yield from (row for row in part if row["sha256"] not in gone)


def convert_leftovers(home: Home, sources: Iterable[str]) -> None:
    """Do so before a build reads them; a source that is being ingested right now does it itself."""
    for name in sources:
        if not any(working_folder(home, name).glob("*.jsonl")):
            continue
        with home.in_use(), home.locked(lock(home, name)) as is_mine:
            if is_mine:
                convert_journals(home, name)


def _lines(path: Path) -> Iterator[Row]:
    """Yield the rows of a journal that are whole: the process died while it wrote one, or the disk lost its power."""
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and row.keys() >= set(INGESTED.names):
                    yield row


def rows_of(home: Home, source: str, versions: pa.Array, columns: Sequence[str] = INGESTED.names) -> pa.Table:
    """Return columns of INGESTED, with the version, of the rows that have these versions, ordered by id."""
    rows = read_tables(home.items(source), INGESTED, [*columns])
    return rows.filter(pc.is_in(rows["version"], value_set=versions)).sort_by("source_id")


def tried_again(rows: pa.Table) -> pa.Table:
    """Return rows as they stand before they are tried: one revision further, and without outcome."""
    revision = pc.add(rows["revision"], pa.scalar(1, pa.int32()))
    columns = {
        name: pa.nulls(len(rows), INGESTED.field(name).type) for name in (*OUTCOME, "etag", "last_modified", "told")
    }
    columns |= {"revision": revision, "version": version(revision, facts_digest(rows["version"]))}
    return pa.table([columns.get(name, rows[name]) for name in INGESTED.names], INGESTED)
