"""Removal requests: an item leaves the next release and never comes back; its media may be deleted at once."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import copies, explaining, ingested, purging, sources, tombstones
from curation.explaining import Name, UnknownItem
from curation.history import alone
from curation.publishing import records
from curation.publishing.records import Record
from curation.purging import Purged
from curation.releases import Release, get, numbers
from curation.schemas import ITEMS
from curation.store import Home, opened
from curation.stored import read_files
from curation.tombstones import Tombstone
from rules.errors import ConfigurationError

_NAMED = ["source", "source_id", "sha256", "modality"]


@dataclass(frozen=True, slots=True)
class HeldBy:
    """A release of the work folder that holds an item whose removal was asked for.

    Attributes:
        pairs: those that the item is in.
        purged: its media were deleted from the release.
    """

    release: int
    data_set: str
    pairs: int
    purged: bool


@dataclass(frozen=True, slots=True)
class PublishedCopy:
    """A publication that holds an item whose removal was asked for, or may hold it.

    Attributes:
        pairs: those that the item is in; None where the release is removed here, so that nobody can tell.
    """

    record: Record
    pairs: int | None


@dataclass(frozen=True, slots=True)
class Removal:
    """What was found of an item whose removal was asked for.

    Attributes:
        known: it was ever collected; otherwise it is refused by its id only.
        again: its removal was asked for before.
        because: why, as it was said the first time.
        sha256s: of its contents: each is refused from now on, whatever the source.
        twins: the names of other items with the same bytes.
        held_by: releases of the work folder.
        published: what was sent from here and stays elsewhere until a person deletes it there.
        purged: what was deleted, if that was asked for.
    """

    name: str
    known: bool
    again: bool
    because: str
    sha256s: list[str]
    twins: list[str]
    held_by: list[HeldBy]
    published: list[PublishedCopy]
    purged: Purged | None


def remove(home: Home, item: str, because: str, purge: bool = False) -> Removal:
    """Refuse an item from now on, by its id, its bytes and its fingerprint, whatever source has it.

    Args:
        item: source:source_id, a source_id, or a sha256 or its first digits; of what was never collected only the
            first.
        because: why; it is kept beside the request.
        purge: delete its media too: the blob, what was measured of it, and its rows in every release. Killed at any
            moment, the same call goes on from there.

    Raises:
        ConfigurationError: nothing or several are called so, no reason is given, or something is using the folder that
            media are to be deleted from: then the item is refused all the same.
    """
    if not because.strip():
        raise ConfigurationError("a removal without a reason: expected why, in a few words")
    releases = [get(home, number) for number in numbers(home)]
    name, known = _named(home, releases, item)
    home.mark()
    is_new = _refuse(home, releases, name, because.strip())
    purged = _purge(home, releases, name, because.strip()) if purge else None
    stones = tombstones.of(home, *astuple(name))
    sha256s = sorted(stone.sha256 for stone in stones if stone.sha256)
    return Removal(
        name=str(name),
        known=known,
        again=not is_new,
        because=min(stones, key=lambda stone: stone.asked_at).because,
        sha256s=sha256s,
        twins=_twins(home, name, sha256s),
        held_by=list(_held_by(home, sha256s)),
        published=list(_published(home, sha256s)),
        purged=purged,
    )


def _named(home: Home, releases: list[Release], item: str) -> tuple[Name, bool]:
    """Return the item that is meant, and whether it was ever collected."""
    sides = explaining.sides(releases, item)
    if sides:
        raise ConfigurationError(f"item {item!r}: a pair: expected one of its sides, {' or '.join(map(str, sides))}")
    try:
        name = explaining.find(home, item)
    except UnknownItem:
        source, _, source_id = item.partition(":")
        if not source_id or source not in sources.names():
            raise
        return Name(source, source_id), False
    return name, bool(len(_rows(home, pc.field("source_id") == name.source_id, name.source)))


def _rows(home: Home, only: pc.Expression, source: str = "*") -> pa.Table:
    return read_files(sorted((home.root / "items").glob(f"{source}/*.parquet")), ITEMS, _NAMED, only)


def _contents(home: Home, releases: Sequence[Release], name: Name) -> dict[str, str | None]:
    """Return sha256 and modality of everything that an item ever was: files change under their name."""
    own = _rows(home, pc.field("source_id") == name.source_id, name.source).filter(pc.field("sha256").is_valid())
    found = {row["sha256"]: row["modality"] for row in own.to_pylist()}
    is_it = (pc.field("source") == name.source) & (pc.field("source_id") == name.source_id)
    for release in releases:  # some of its rows may be gone with old releases
        path = release.folder / "assignment.parquet"
        for row in pq.read_table(opened(path), columns=["side", "sha256"], filters=is_it).to_pylist():
            found.setdefault(row["sha256"], row["side"])
    for tombstone in tombstones.of(home, *astuple(name)):  # and all of them may be purged
        if tombstone.sha256:
            found.setdefault(tombstone.sha256, tombstone.modality)
    return dict(sorted(found.items()))


def _refuse(home: Home, releases: Sequence[Release], name: Name, because: str) -> bool:
    """Write a tombstone for each content of an item, or one without; False if all stand already."""
    asked_at = datetime.now(UTC).isoformat(timespec="seconds")
    is_new = []
    for sha256, modality in _contents(home, releases, name).items() or [(None, None)]:
        found = copies.fingerprint(home, sha256, modality) if sha256 and modality else None
        stone = Tombstone(name.source, name.source_id, sha256, modality, found, because, asked_at)
        is_new.append(tombstones.write(home, stone))
    return any(is_new)


def _purge(home: Home, releases: Sequence[Release], name: Name, because: str) -> Purged:
    with ExitStack() as held:
        try:
            held.enter_context(alone(home))
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error}. {name} is refused from now on all the same; say this again to delete it"
            ) from error
        for folder in (home.local / "fetching").glob("*"):  # a killed ingest may have fetched it, too
            ingested.convert_journals(home, folder.name)
        _refuse(home, releases, name, because)
        return purging.purge(home, astuple(name), list(_contents(home, releases, name)))


def _twins(home: Home, name: Name, sha256s: Sequence[str]) -> list[str]:
    """Return the names of other items with the same bytes."""
    rows = _rows(home, pc.field("sha256").isin(pa.array(sha256s, pa.string())))
    names = {str(Name(row["source"], row["source_id"])) for row in rows.to_pylist()}
    return sorted(names - {str(name)})


def _held_by(home: Home, sha256s: Sequence[str]) -> Iterator[HeldBy]:
    for number in numbers(home):
        release = get(home, number)
        pairs = len(purging.pairs_of(release, sha256s))
        if pairs:
            gone = {one["sha256"] for one in release.manifest.get("purged", ())}
            yield HeldBy(number, release.manifest["rule_set"]["name"], pairs, not gone.isdisjoint(sha256s))


def _published(home: Home, sha256s: Sequence[str]) -> Iterator[PublishedCopy]:
    there = numbers(home)
    for record in records.read(home) if sha256s else ():  # of what was never collected nothing was ever published
        if record.release not in there:
            yield PublishedCopy(record, None)
            continue
        sent = [sha256 for sha256 in sha256s if sha256 not in record.without]
        pairs = {row["pair_id"] for row in purging.pairs_of(get(home, record.release), sent)}
        if pairs:
            yield PublishedCopy(record, len(pairs))
