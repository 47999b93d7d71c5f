"""Media had again: what the blobs hold already, what lies on this machine, and what the web gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import found, ingest, ingested, sources, stored
from curation.batches import Each
from curation.collect import split_location
from curation.columns import Bools, flat, mask, places, taken
from curation.errors import PARKED, ItemError
from curation.fetching import Brake
from curation.ingest import Asked, Means
from curation.rehydrating import at_hand
from curation.rehydrating.sides import FACTS, item_names
from curation.schemas import INGESTED
from curation.sources import UNKNOWN_LICENSE, Entry
from curation.store import Home, read_tables
from rules.errors import ConfigurationError

# What became of each thing that was to be had again.
HAD = pa.schema(
    [
        ("item", pa.string()),  # as sides.item_names gives it
        ("found", pa.string()),  # sha256 of the blob that is there in its place
        ("reason", pa.string()),  # why there is none; null where it was not tried
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Origins:
    """Where things are to be had: on this machine or on the web, by the name of their source."""

    local: Mapping[str, Sequence[Entry] | ItemError]
    web: Mapping[str, Asked]


def named_places(named: Sequence[str]) -> dict[str, str]:
    """Return the places that a user named for sources: `folder:PATH`, `kaggle:ARCHIVES`.

    Raises:
        ConfigurationError: a source is unknown or named twice, or its place cannot be used.
    """
    found_at: dict[str, str] = {}
    for name, place in map(split_location, named):
        if found_at.setdefault(name, place) != place:
            raise ConfigurationError(f"{name} is named with two places: expected one")
        if not sources.is_web(module := sources.get(name)):
            module.entries(place)  # nothing is read before somebody asks for the first
    return found_at


def origins(items: pa.Table, named: Sequence[str]) -> Origins:
    """Sort the sources of things by where they are to be had.

    Raises:
        ConfigurationError: as `named_places`, or a source lacks what its media cannot be fetched without.
    """
    at = named_places(named)
    local: dict[str, Sequence[Entry] | ItemError] = {}
    web = {}
    for name in sorted(pc.unique(items["source"]).to_pylist()):
        if name not in sources.names():
            local[name] = ItemError("not_available", "this artune has no source of that name")
        elif sources.is_web(module := sources.get(name)):
            web[name] = Asked(name, at.get(name, ""), sources.get_web(name))
        else:
            local[name] = at_hand.entries_of(module, name, at.get(name))
    lacking = [
        f"{name} needs {need.what}: {need.advice}"
        for name, asked in web.items()
        if hasattr(asked.module, "fetched")  # what the others need is for their lists
        for need in asked.module.needs()
        if need.required and not need.ready
    ]
    if lacking:
        raise ConfigurationError("\n".join(lacking))
    return Origins(local, web)


def had(home: Home, items: pa.Table, of: Origins, each: Each) -> pa.Table:
    """Return what is there of things, schema HAD in their order; asks no site.

    What lies on this machine is copied into the blobs.
    """
    ingested.convert_leftovers(home, of.web)
    parts = [HAD.empty_table()]
    for name in sorted({*of.local, *of.web}):
        rows = items.filter(pc.equal(items["source"], name))
        is_there = are_there(home, rows["sha256"])
        parts.append(_had(rows, found=pc.if_else(pa.array(is_there), rows["sha256"], None)).filter(pa.array(is_there)))
        rows = rows.filter(pa.array(~is_there))
        parts.append(_of_web(home, name, rows) if name in of.web else _of_here(home, of.local[name], rows, each))
    found_all = pa.concat_tables(parts)
    return found_all.take(pa.array(places(item_names(items), found_all["item"])))


def are_waiting(rows: pa.Table) -> Bools:
    """Tell of rows of HAD which may be had by another try."""
    is_open = pc.or_(rows["reason"].is_null(), pc.is_in(rows["reason"], value_set=pa.array(sorted(PARKED))))
    return mask(pc.and_(rows["found"].is_null(), is_open))


def are_there(home: Home, sha256s: pa.ChunkedArray | pa.Array) -> Bools:
    """Tell which blobs are there; null is none."""
    names = sha256s.to_pylist()
    known = sorted({name for name in names if name})
    found = zip(known, stored.are_there([home.blob(name) for name in known]), strict=True)
    there = {name for name, is_there in found if is_there}
    return np.array([name in there for name in names], dtype=bool)


def _had(items: pa.Table, **columns: pa.Array) -> pa.Table:
    said = {"item": item_names(items), **columns}
    return pa.table([said.get(field.name, pa.nulls(len(items), field.type)) for field in HAD], HAD)


def _of_here(home: Home, entries: Sequence[Entry] | ItemError, items: pa.Table, each: Each) -> pa.Table:
    outcomes = [entries] * len(items) if isinstance(entries, ItemError) else at_hand.taken(home, entries, items, each)
    said = [(None, o.reason, o.detail) if isinstance(o, ItemError) else (o, None, None) for o in outcomes]
    columns = zip(*said, strict=True) if said else ((), (), ())
    return _had(items, **dict(zip(HAD.names[1:], (pa.array(column, pa.string()) for column in columns), strict=True)))


def fetch(home: Home, items: pa.Table, of: Origins, means: Means, quota_bytes: int | None) -> str:
    """Fetch from the web what is not there and was not tried yet, or in vain for a reason of the moment.

    Returns:
        why some were not tried; nothing if all were.
    """
    with ingest.held(home, list(of.web.values())):
        orders = []
        for name, asked in of.web.items():
            rows = items.filter(pc.equal(items["source"], name))
            rows = rows.filter(pa.array(~are_there(home, rows["sha256"])))
            is_open = are_waiting(_of_web(home, name, rows))
            orders.append((asked, _next_tries(home, name, _rows(rows.filter(pa.array(is_open))))))
        ended = ingest.fetch_all(home, orders, means, Brake(home, quota_bytes))
    return next((one.stopped for one in ended if one.stopped), "")


def _rows(items: pa.Table) -> pa.Table:
    """Return rows of INGESTED for things to fetch; the digest of their facts tells which bytes are wanted."""
    about = [found.as_json({"published_sha256": sha256}) for sha256 in items["sha256"].to_pylist()]
    columns = {name: items[name] for name in ("source", "source_id", "address", *FACTS)}
    columns |= {"url": pc.fill_null(items["url"], ""), "license": pc.fill_null(items["license"], UNKNOWN_LICENSE)}
    columns |= {"about": pa.array(about, pa.string())}
    columns |= {"tags": pa.array([[]] * len(items), INGESTED.field("tags").type)}
    return pa.table([columns.get(field.name, pa.nulls(len(items), field.type)) for field in INGESTED], INGESTED)


def _next_tries(home: Home, source: str, rows: pa.Table) -> pa.Table:
    """Return rows as they stand before they are tried: of each item one revision further than any that is known."""
    known = read_tables(home.items(source), INGESTED, ["source_id", "revision"])
    last = known.group_by("source_id").aggregate([("revision", "max")])
    before = taken(flat(last["revision_max"]), places(rows["source_id"], last["source_id"]))
    revision = pc.add(pc.fill_null(before, 0), pa.scalar(1, pa.int32()))
    columns = {"revision": revision, "version": ingested.version(revision, found.facts_digests(rows))}
    return pa.table([columns.get(name, rows[name]) for name in INGESTED.names], INGESTED)


def _of_web(home: Home, source: str, items: pa.Table) -> pa.Table:
    """Return what became of things when they were last fetched for these very bytes, schema HAD."""
    rows = read_tables(home.items(source), INGESTED, ["source_id", "version", "sha256", "reason", "detail"])
    digests = found.facts_digests(_rows(items))
    rows = rows.filter(pc.is_in(ingested.facts_digest(rows["version"]), value_set=digests))
    # What was fetched once stays although a later try gave nothing, unless the site says that it must not be used.
    opted_out = pc.fill_null(pc.equal(rows["reason"], ingested.OPTED_OUT), False)
    decisive = pc.or_(pa.array(are_there(home, rows["sha256"])), opted_out)
    rows = rows.append_column("decisive", pc.cast(decisive, pa.int8()))
    rows = rows.sort_by([("decisive", "descending"), ("version", "descending")])
    at = places(digests, ingested.facts_digest(rows["version"]))
    last = {name: taken(flat(rows[name]), at) for name in ("sha256", "reason", "detail")}
    lost = pc.and_(last["sha256"].is_valid(), pc.invert(pa.array(are_there(home, last["sha256"]))))
    has_no_address = items["address"].is_null()
    return _had(
        items,
        found=pc.if_else(lost, None, last["sha256"]),  # its blob is gone: as if it was never tried
        reason=pc.if_else(has_no_address, "gone", last["reason"]),
        detail=pc.if_else(has_no_address, "the publication does not say where it was fetched", last["detail"]),
    )
