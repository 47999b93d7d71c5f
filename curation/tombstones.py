"""Removal requests, a file for each: what they name is refused for ever, by its id, its bytes and its fingerprint."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Bools, mask
from curation.store import TOMBSTONES, Home, create_exclusively, digest, files_below, in_order
from rules.errors import ConfigurationError

REASON = "removed"
SAME_BYTES = "the same bytes as an item whose removal was asked for"
NO_CONTENT = "unknown"  # in place of the sha256 in the path
# What a row of items still says of a removed item; every other column is null, a list empty.
KEPT_FACTS = ("source", "source_id", "modality", "sha256", "version", "revision", "reason")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One item whose removal was asked for, with one content that it had.

    Attributes:
        sha256: None where it was never fetched; then it is refused by its id only.
        modality: image or music.
        fingerprint: of a picture pixels_sha256, phash, mirror_phash and thumbnail in hex; of a recording chromaprint
            in base64. None where there was nothing to measure.
        because: why, as a person said it.
        asked_at: when, in UTC.
    """

    source: str
    source_id: str
    sha256: str | None
    modality: str | None
    fingerprint: Mapping[str, str] | None
    because: str
    asked_at: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What no two tombstones share."""
        return self.source, self.source_id, self.sha256 or ""


def write(home: Home, tombstone: Tombstone) -> bool:
    """Write a tombstone for good; False if it stands already."""
    text = json.dumps(asdict(tombstone), indent=1, ensure_ascii=False) + "\n"
    return create_exclusively(_path(home, tombstone), text.encode())


def _path(home: Home, tombstone: Tombstone) -> Path:
    name = digest([tombstone.source, tombstone.source_id])[:32]
    return home.root / TOMBSTONES / (tombstone.sha256 or NO_CONTENT) / f"{name}.json"


def read(home: Home) -> list[Tombstone]:
    """Return every tombstone, in order.

    Raises:
        ConfigurationError: one is damaged.
    """
    return sorted(_all(home), key=lambda tombstone: tombstone.key)


def _all(home: Home) -> Iterable[Tombstone]:
    folder = home.root / TOMBSTONES
    if home.is_remote:  # by one listing, which tells the sizes
        files = {path: size_bytes for path, size_bytes in files_below(folder) if path.suffix == ".json"}
        return in_order(lambda path: _read(path, files[path], 0), list(files))
    paths = ((path, path.stat()) for path in folder.glob("*/*.json"))
    return (_read(path, stat.st_size, stat.st_mtime_ns) for path, stat in paths)


def of(home: Home, source: str, source_id: str) -> list[Tombstone]:
    """Return those of one item."""
    return [tombstone for tombstone in read(home) if tombstone.key[:2] == (source, source_id)]


@lru_cache(maxsize=4096)
def _read(path: Path, size_bytes: int, modified_ns: int) -> Tombstone:
    """Read a tombstone once for a process: a long recording's has half a megabyte. Size and time tell of a change."""
    try:
        return Tombstone(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path}: expected a removal request; restore the file from a copy, for what it names must stay out"
        ) from error


def content_digest(tombstones: Iterable[Tombstone]) -> str:
    """Return the digest of all that a release depends on: what is refused, not why or since when."""
    return digest([[tombstone.key, tombstone.fingerprint] for tombstone in tombstones])


def refused_ids(home: Home, source: str) -> frozenset[str]:
    """Return the ids of a source that must never be fetched."""
    return frozenset(tombstone.source_id for tombstone in read(home) if tombstone.source == source)


def refuse(home: Home, items: pa.Table) -> pa.Table:
    """Return rows of items in which those that are removed by name or by content are refused and say nothing else."""
    tombstones = read(home)
    if not tombstones:
        return items
    named = are_named(items, [(tombstone.source, tombstone.source_id) for tombstone in tombstones])
    contents = pa.array(sorted({tombstone.sha256 for tombstone in tombstones if tombstone.sha256}), pa.string())
    same = mask(pc.is_in(items["sha256"], value_set=contents))
    return refused(items, named | same, pc.if_else(pa.array(named), pa.scalar(None, pa.string()), SAME_BYTES))


def are_named(items: pa.Table, names: Iterable[tuple[str, str]]) -> Bools:
    """Tell which rows have one of these sources and ids."""
    wanted = pa.array(sorted({"\0".join(name) for name in names}), pa.string())
    return mask(pc.is_in(pc.binary_join_element_wise(items["source"], items["source_id"], "\0"), value_set=wanted))


def refused(items: pa.Table, out: Bools, detail: str | pa.Array | None = None) -> pa.Table:
    """Return rows of items in which these are refused; they lose all facts but KEPT_FACTS.

    Args:
        out: shape (n,).
        detail: said of all of them, or of each row.
    """
    if not out.any():
        return items
    is_out = pa.array(out)
    for place, field in enumerate(items.schema):
        if field.name not in KEPT_FACTS:
            nothing = pa.scalar([] if pa.types.is_list(field.type) else None, field.type)
            items = items.set_column(place, field, pc.if_else(is_out, nothing, items[field.name]))
    for name, text in (("reason", REASON), ("detail", detail)):
        said = text if isinstance(text, pa.Array) else pa.scalar(text, pa.string())
        place = items.schema.get_field_index(name)
        items = items.set_column(place, items.schema.field(place), pc.if_else(is_out, said, items[name]))
    return items


def names_table(tombstones: Iterable[Tombstone]) -> pa.Table:
    """Return source, source_id and sha256 of tombstones, as tables of items have them."""
    keys = [(tombstone.source, tombstone.source_id, tombstone.sha256) for tombstone in tombstones]
    columns = list(zip(*keys, strict=True)) or [(), (), ()]
    names = ("source", "source_id", "sha256")
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
