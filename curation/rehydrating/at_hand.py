"""Things that lie on this machine: in the sample, or in a folder that somebody named."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from curation import collect
from curation.batches import Each, batched
from curation.errors import ItemError, attempt
from curation.sources import Entry, Source
from curation.store import Home, file_sha256
from rules.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Copies:
    """Files to copy into the blobs."""

    home: Home
    entries: Sequence[Entry]


def entries_of(module: Source, name: str, place: str | None) -> list[Entry] | ItemError:
    """Return what lies at a source's place, or why nothing does.

    Raises:
        ConfigurationError: the place that somebody named cannot be used.
    """
    if place is not None:
        return list(module.entries(place))
    try:
        return list(module.entries(""))
    except ConfigurationError:
        return ItemError("gone", f"it lay on the publisher's machine: if you have it, say --source {name}:PATH")


def taken(home: Home, entries: Sequence[Entry], wanted: pa.Table, each: Each) -> list[str | ItemError]:
    """Copy files into the blobs: those of the wanted names, then those of the wanted bytes under other names.

    Args:
        wanted: source_id and sha256.

    Returns:
        for each row the sha256 of what was found in its place, or why there is nothing.
    """
    ids, sha256s = wanted["source_id"].to_pylist(), wanted["sha256"].to_pylist()
    by_id = {entry.source_id: entry for entry in entries}
    found: list[str | ItemError] = [ItemError("gone", "nothing there has its name or its bytes")] * len(ids)
    named = [at for at, source_id in enumerate(ids) if source_id in by_id]
    for at, outcome in zip(named, _copied(home, [by_id[ids[at]] for at in named], each), strict=True):
        found[at] = outcome
    lacking = {sha256s[at]: at for at, outcome in enumerate(found) if outcome != sha256s[at]}
    if lacking:
        same = {sha256: entry for sha256, entry in _hashed(entries, each) if sha256 in lacking}
        for sha256, outcome in zip(same, _copied(home, list(same.values()), each), strict=True):
            found[lacking[sha256]] = outcome
    return found


def _copied(home: Home, entries: Sequence[Entry], each: Each) -> list[str | ItemError]:
    batches = [Copies(home, part) for part in batched(entries)]
    return [outcome for part in each(copy, batches, "copy") for outcome in part]


def copy(batch: Copies) -> list[str | ItemError]:
    """Return for each file the sha256 of its blob, or why it has none."""
    return [_copy(batch.home, entry) for entry in batch.entries]


def _copy(home: Home, entry: Entry) -> str | ItemError:
    if entry.refusal:
        return entry.refusal
    fetched = attempt(lambda: collect.fetch(home, entry))
    return fetched if isinstance(fetched, ItemError) else fetched[1]


def _hashed(entries: Sequence[Entry], each: Each) -> Iterator[tuple[str, Entry]]:
    files = [entry for entry in entries if entry.path and not entry.refusal]
    hashes = each(hash_all, list(batched([entry.path for entry in files])), "look by content")
    return zip((sha256 for part in hashes for sha256 in part), files, strict=True)


def hash_all(paths: Sequence[Path]) -> list[str]:
    """Return the sha256 of each file; no text for one that cannot be read."""
    return [_sha256(path) for path in paths]


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""
