"""From a source's listing to rows of items and blobs: reads only what is new, and loses nothing."""

import hashlib
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import ingested, media_types, sources, tombstones
from curation.batches import batched
from curation.columns import Bools, flat, mask
from curation.errors import ItemError, attempt
from curation.schemas import ITEMS
from curation.sources import Entry
from curation.store import Home, digest, opened, read_tables
from rules.errors import ConfigurationError

VERSION = 1  # raise it when a file that was refused would pass now, or the reverse
MAX_IMAGE_BYTES = 256 << 20  # a scan of 100 megapixels as TIFF; larger is a mistake or an attack
MAX_RECORDING_BYTES = 4 << 30  # four hours of stereo WAV at 44.1 kHz are 2.5 GB
HEAD_BYTES = 512
CHUNK_BYTES = 1 << 20
ROWS_AT_ONCE = 10_000
# The file may be readable tomorrow although nothing that its version tells has changed.
WORTH_ANOTHER_TRY: set[str | None] = {"unreadable"}
VERSION_KEY = ["source", "source_id", "version"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one source to fetch.

    Attributes:
        again: they were tried before in the state that they are in.
    """

    home: Home
    source: str
    entries: Sequence[Entry]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What the sources hold now.

    Attributes:
        versions: source, source_id and version of every entry, one row each.
        batches: the entries that are new, and those that may be readable now.
        sources: what was listed, paths whole.
    """

    versions: pa.Table
    batches: list[Batch]
    sources: tuple[str, ...] = ()


def split_location(source: str) -> tuple[str, str]:
    """Return name and location of what a user names as `folder:PATH` or `sample`."""
    name, _, location = source.partition(":")
    return name, location


def list_sources(home: Home, named: Sequence[str]) -> Listing:
    """List every source and find what is new in it; reads no media.

    Of a web source nothing is new: what was ingested from it is listed, whatever its location.

    Raises:
        ConfigurationError: a source or its location cannot be used, a source is named with two locations, or nothing
            was ingested from a web source.
    """
    versions: list[tuple[str, str, str]] = []
    of_web = []
    batches: list[Batch] = []
    locations: dict[str, str] = {}
    for name, location in map(split_location, named):
        if locations.setdefault(name, location) != location:
            # An item's name is its source and id: two folders would give two items one name.
            first = locations[name]
            raise ConfigurationError(f"{name}:{location}: {name} is {name}:{first} already; put both below one folder")
    for name, location in locations.items():
        if sources.is_web(source := sources.get(name)):
            of_web.append(_ingested(home, name))
            continue
        known = _known_versions(home, name)
        new, again = [], []
        for entry in source.entries(location):
            version = sys.intern(f"{VERSION}.{entry.version}")
            versions.append((name, entry.source_id, version))
            reasons = known.get((entry.source_id, version))
            if reasons is None:
                new.append(entry)
            elif not entry.refusal and reasons <= WORTH_ANOTHER_TRY:
                again.append(entry)
        for found, tried in ((new, False), (again, True)):
            found.sort(key=lambda entry: (entry.source_id, entry.version))
            batches += [Batch(home, name, entries, tried) for entries in batched(found)]
    columns = [pa.array(column, pa.string()) for column in zip(*versions, strict=True)] or [
        pa.array([], pa.string())
    ] * 3
    table = pa.concat_tables([pa.table(columns, names=VERSION_KEY), *of_web])
    return Listing(table, batches, tuple(map(whole, named)))


def _ingested(home: Home, name: str) -> pa.Table:
    versions = ingested.listed_versions(home, name)
    if not len(versions):
        raise ConfigurationError(f"nothing was ingested from {name} yet: `artune ingest {name}` does that")
    return versions


def whole(source: str) -> str:
    """Return what a user names with its location as a whole path."""
    name, location = split_location(source)
    return f"{name}:{Path(location).expanduser().absolute()}" if location else name


def remember(home: Home, data_set: str, listing: Listing) -> None:
    """Keep what a data set was last built from: who changes only rules need not walk through every source again."""
    before = last_listing(home, data_set)
    if before and before.sources == listing.sources and before.versions.equals(listing.versions):
        return
    about = {"sources": json.dumps(listing.sources)}
    home.write_table(_listing_path(home, data_set), listing.versions.replace_schema_metadata(about))


def last_listing(home: Home, data_set: str) -> Listing | None:
    """Return what a data set was last built from; no entry of it is new."""
    try:
        versions = pq.ParquetFile(opened(_listing_path(home, data_set))).read()
        sources = json.loads(versions.schema.metadata[b"sources"])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError):  # it is a convenience: the sources can be listed anew
        return None
    return Listing(versions, [], tuple(sources))


def _listing_path(home: Home, data_set: str) -> Path:
    return home.root / "listings" / f"{data_set}.parquet"


def _known_versions(home: Home, name: str) -> dict[tuple[str, str], frozenset[str | None]]:
    """Return how every version that was ever tried ended: the reasons of its rows, None where it was fetched."""
    rows = read_tables(home.items(name), ITEMS, ["source_id", "version", "reason"])
    known: dict[tuple[str, str], frozenset[str | None]] = {}
    alone: dict[str | None, frozenset[str | None]] = {}  # one set for all that ended alike: there are millions
    for source_id, version, reason in _values(rows):
        key = (source_id, sys.intern(version))
        only = alone.setdefault(reason, frozenset([reason]))
        known[key] = known[key] | only if key in known else only
    return known


def _values(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as tuples, a few at a time in memory."""
    for batch in rows.to_batches(ROWS_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def collect_batch(batch: Batch) -> Counter[str | None]:
    """Fetch a batch's files into the blobs, write a row for every entry, and count them by reason, None of the kept."""
    removed = tombstones.refused_ids(batch.home, batch.source)
    rows = [_removed(batch, e) if e.source_id in removed else _row(batch, e) for e in batch.entries]
    name = digest([[row["source_id"], row["version"], row["sha256"], row["reason"]] for row in rows])
    batch.home.write_table(batch.home.items(batch.source) / f"{name[:32]}.parquet", pa.Table.from_pylist(rows, ITEMS))
    return Counter(row["reason"] for row in rows)


def _removed(batch: Batch, entry: Entry) -> dict[str, Any]:
    """Return the row of an entry that is not even read."""
    named = {"source": batch.source, "source_id": entry.source_id, "version": f"{VERSION}.{entry.version}"}
    return named | {"sha256": None, "reason": tombstones.REASON}


def _row(batch: Batch, entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    row: dict[str, Any] = {
        "source": batch.source,
        "source_id": entry.source_id,
        "version": f"{VERSION}.{entry.version}",
        "url": facts.url,
        "title": facts.title,
        "creator": facts.creator,
        "year": facts.year,
        "license": facts.license,
        "attribution": facts.attribution,
        "tags": [{"kind": kind, "value": value} for kind, value in facts.tags],
        "reason": None,
        "sha256": None,
    }
    fetched = entry.refusal if entry.refusal else attempt(lambda: fetch(batch.home, entry))
    if isinstance(fetched, ItemError):
        return row | {"reason": fetched.reason, "detail": fetched.detail}
    modality, sha256, size_bytes = fetched
    return row | {"modality": modality, "sha256": sha256, "size_bytes": size_bytes}


def fetch(home: Home, entry: Entry) -> tuple[str, str, int]:
    """Copy an entry's local file into the blobs and return its modality, sha256 and size in bytes.

    Raises:
        ItemError: "unreadable", "empty_file", "too_many_bytes" or "unknown_type".
    """
    if entry.path is None:
        raise ValueError(f"{entry.source_id} has neither a path nor a refusal")
    chunks = _chunks(entry.path)
    head = next(chunks, b"")
    if not head:
        raise ItemError("empty_file", "0 bytes")
    modality = media_types.modality(head)
    if modality is None:
        raise ItemError("unknown_type", f"begins with {head[:16]!r}")
    limit = MAX_IMAGE_BYTES if modality == "image" else MAX_RECORDING_BYTES
    return modality, *home.put_blob(itertools.chain([head], chunks), limit)


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the head of a file and then the rest; what goes wrong while reading is the file's fault, not ours."""
    try:
        with path.open("rb") as file:
            yield file.read(HEAD_BYTES)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise ItemError("unreadable", error.strerror or "") from error


def current_items(home: Home, listing: Listing) -> pa.Table:
    """Return the rows of what is listed, ordered by source and id, whatever order the source gave them in.

    Of two entries with one source and id the second becomes a refusal, "duplicate_id"; what was removed is one too.
    """
    names = sorted(pc.unique(listing.versions["source"]).to_pylist())
    rows = pa.concat_tables([read_tables(home.items(name), ITEMS) for name in names] or [ITEMS.empty_table()])
    # Only what tells rows apart is sorted; whole rows move once.
    named = rows.select([*VERSION_KEY, "sha256"]).append_column("row", pa.array(np.arange(len(rows))))
    named = named.filter(pc.is_in(_joined(named), value_set=flat(_joined(listing.versions))))
    # A version tried twice has two rows; the one that was fetched comes first.
    named = _ordered(named, [*VERSION_KEY, "sha256"])
    named = named.filter(pa.array(_first_of_equal(named, VERSION_KEY)))
    if not _first_of_equal(named, ["source", "source_id"]).all():
        named = _ordered(named, ["source", "source_id", "sha256", "version"])
    rows = rows.take(named["row"])
    again = ~_first_of_equal(named, ["source", "source_id"]) & mask(rows["reason"].is_null())
    if not again.any():
        return tombstones.refuse(home, rows)
    for column, value in (("reason", "duplicate_id"), ("sha256", None), ("modality", None)):
        new = pc.if_else(pa.array(again), pa.scalar(value, pa.string()), rows[column])
        rows = rows.set_column(rows.schema.get_field_index(column), ITEMS.field(column), new)
    return tombstones.refuse(home, rows.cast(ITEMS))


def ever_collected(home: Home) -> pa.Table:
    """Return source, source_id and sha256 of everything that was ever listed; sha256 is null where it was refused."""
    named = ["source", "source_id", "sha256"]
    folders = sorted(path for path in (home.root / "items").glob("*") if path.is_dir())
    return pa.concat_tables(
        [pa.table({name: pa.array([], pa.string()) for name in named})]
        + [read_tables(folder, ITEMS, named) for folder in folders]
    )


def _joined(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*(rows[key] for key in VERSION_KEY), "\0")


def _ordered(rows: pa.Table, keys: list[str]) -> pa.Table:
    return rows.sort_by([(key, "ascending") for key in keys])


def _first_of_equal(rows: pa.Table, keys: list[str]) -> Bools:
    """Tell which rows differ in some key from the row before them."""
    first: Bools = np.arange(len(rows)) == 0
    for key in keys:
        column = flat(rows[key])
        first[1:] |= mask(pc.not_equal(column[1:], column[:-1]))
    return first


def content_digest(items: pa.Table) -> str:
    """Return the digest of everything in the items that a release depends on: not when or where they were read."""
    facts = items.drop_columns(["version"])
    columns = [[name, str(facts[name].type), _column_digest(facts[name])] for name in facts.column_names]
    return digest([len(facts), columns])


def _column_digest(column: pa.ChunkedArray) -> list[str]:
    """Return the sha256 of each part of a column, the same in whatever chunks it comes."""
    hashers: list[Any] = []
    for chunk in [pa.array([], column.type), *column.chunks]:
        for at, part in enumerate(_parts(chunk)):
            if at == len(hashers):
                hashers.append(hashlib.sha256())
            hashers[at].update(part)
    return [hasher.hexdigest() for hasher in hashers]


def _parts(array: pa.Array) -> Iterator[Any]:
    """Yield what makes up an array, as bytes: which values there are, how long they are, and what they are."""
    yield array.is_valid().to_numpy(zero_copy_only=False)
    kind = array.type
    if pa.types.is_list(kind):
        yield pc.fill_null(pc.list_value_length(array), 0).to_numpy()
        yield from _parts(array.flatten())
    elif pa.types.is_struct(kind):
        for child in array.flatten():
            yield from _parts(child)
    elif pa.types.is_string(kind):
        text = pc.fill_null(array, "")
        offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset :][: len(text) + 1] if len(text) else [0]
        yield np.diff(offsets)
        yield memoryview(text.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    else:
        whole = array.cast(pa.int64()) if pa.types.is_timestamp(kind) else array
        yield pc.fill_null(whole, 0).to_numpy()
