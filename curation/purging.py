"""The media of removed items out of a work folder: blobs, measurements, and the files of releases that hold them.

Every step finds what is left to do from what is there, so that it may be killed at any moment and run again.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import tombstones
from curation.building import PAGES, hash_files, write_pages
from curation.card import CONFIGS
from curation.columns import Bools, mask
from curation.history import leftovers, unfinished
from curation.releases import Release, get, numbers, rule_set_of, tidy
from curation.shards import by_bucket, rows_without, write_rows
from curation.store import Home, file_sha256, in_order, opened, remove_tree, whole
from curation.stored import are_there, remove

Table = tuple[Path, pa.Table, Bools]  # of items, and which of its rows are meant


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted.

    Attributes:
        size_bytes: of the blobs.
        measurements: rows.
        item_rows: that say no more than that the item was removed.
        partial_files: of downloads that were cut off.
        archives: that held it among others; a source that still lists them fetches them again.
        releases: that were written anew without its pairs.
        unfinished: releases that a build had begun; what it had written is gone, and the next build begins anew.
    """

    blobs: int
    size_bytes: int
    measurements: int
    item_rows: int
    partial_files: int
    archives: int
    releases: list[int]
    unfinished: list[int]


def purge(home: Home, name: tuple[str, str], sha256s: Sequence[str]) -> Purged:
    """Delete the media of an item, whoever else has the same; the caller has the folder for itself.

    Args:
        name: source and source_id.
        sha256s: of all its contents.
    """
    given_up = _give_up_unfinished(home)
    written = [number for number in numbers(home) if _purge_release(home, number, sha256s)]
    tables = list(_item_rows(home, name, sha256s))
    partial, archives = _partial_files(home, name, tables), _archives(home, name, tables)
    for path in (*partial, *archives):
        path.unlink()
    all_blobs = [home.blob(sha256) for sha256 in sha256s]
    blobs = [path for path, is_there in zip(all_blobs, are_there(all_blobs), strict=True) if is_there]
    found = Purged(
        blobs=len(blobs),
        size_bytes=sum(path.stat().st_size for path in blobs),
        measurements=_purge_measurements(home, sha256s),
        item_rows=_purge_items(home, tables),
        partial_files=len(partial),
        archives=len(archives),
        releases=written,
        unfinished=given_up,
    )
    remove(home, blobs)  # the last: while a row asks for its blob, it is there
    tidy(home)
    return found


def pairs_of(release: Release, sha256s: Sequence[str]) -> list[dict[str, Any]]:
    """Return pair_id, split and sha256 of the pairs that hold one of these, by pair_id."""
    is_in = pc.field("sha256").isin(pa.array(sha256s, pa.string())) & pc.field("pair_id").is_valid()
    path = release.folder / "assignment.parquet"
    rows = pq.read_table(opened(path), columns=["pair_id", "split", "sha256"], filters=is_in)
    return sorted(rows.to_pylist(), key=lambda row: str(row["pair_id"]))


def _give_up_unfinished(home: Home) -> list[int]:
    """Remove what builds had written of releases that never came to be: any of it may hold the media.

    None of them can go on, for what is removed is one of the inputs.
    """
    claims = unfinished(home)
    home.check_leases()
    for claim in claims:
        claim.unlink()
    for folder in leftovers(home):
        remove_tree(folder)
    return sorted(int(claim.stem) for claim in claims)


def _purge_release(home: Home, number: int, sha256s: Sequence[str]) -> bool:
    """Write the files of a release anew without the pairs that hold one of these; say whether it held any until now.

    What it decided stays in its assignment, for splits are for life. Its manifest is replaced last.
    """
    release = get(home, number)
    held = pairs_of(release, sha256s)
    done = {one["sha256"] for one in release.manifest.get("purged", ())}
    if not {row["sha256"] for row in held} - done:
        return False
    gone = pc.unique(pa.concat_arrays([release.purged_pairs, pa.array([row["pair_id"] for row in held], pa.string())]))
    left = _pairs_left(release, gone)
    names = [*_drop_pairs(home, release, held, gone, is_last=not left), *PAGES]
    if left:
        write_pages(home, release, rule_set_of(release))
    else:
        home.check_leases()
        for name in PAGES:  # there is nothing that they could speak of
            (release.folder / name).unlink(missing_ok=True)
    files = release.manifest["files"] | _hashes(release.folder, names)
    purged = {one["sha256"]: one for one in release.manifest.get("purged", ())}
    for sha256, rows in groupby(sorted(held, key=itemgetter("sha256")), itemgetter("sha256")):
        purged[sha256] = {"sha256": sha256, "pairs": sorted(row["pair_id"] for row in rows)}
    manifest = release.manifest | {
        "pairs": left,
        "files": {name: row for name, row in sorted(files.items()) if row},
        "purged": [purged[sha256] for sha256 in sorted(purged)],
    }
    with home.replacing(home.root / "releases" / f"{number}.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


def _pairs_left(release: Release, gone: pa.Array) -> dict[str, int]:
    """Return by split how many pairs a release holds without these."""
    rows = pq.read_table(opened(release.folder / "assignment.parquet"), columns=["side", "split", "pair_id"])
    images = rows.filter(pc.and_(pc.equal(rows["side"], "image"), rows["pair_id"].is_valid()))
    left = images.filter(pc.invert(pc.is_in(images["pair_id"], value_set=gone)))
    return dict(sorted(Counter(left["split"].to_pylist()).items()))


def _drop_pairs(
    home: Home, release: Release, held: list[dict[str, Any]], gone: pa.Array, *, is_last: bool
) -> list[str]:
    """Drop rows from all files that have, or had before a kill, rows of these pairs; return the names of the files.

    Args:
        is_last: the release holds no others. Then one table without rows stays, for what it remembers is read by it.
    """
    buckets = {name for name, _ in by_bucket(pa.Table.from_pylist(held), release.manifest["buckets"])}
    names = []
    for config, folder in CONFIGS.items():
        listed = sorted(name for name in release.manifest["files"] if name.startswith(f"{folder}/"))
        for name in listed:
            if folder != "data" or Path(name).stem in buckets:
                stays_empty = is_last and config == "metadata" and name == listed[0]
                _drop_rows(home, release, name, gone, stays_empty=stays_empty)
                names.append(name)
    return names


def _drop_rows(home: Home, release: Release, name: str, gone: pa.Array, *, stays_empty: bool) -> None:
    """Write a file anew without the rows of some pairs; without any row it goes, too."""
    path = release.folder / name
    if not path.exists():
        return
    stays = rows_without(path, gone)
    if all(rows.all() for rows in stays):
        return
    if not any(rows.any() for rows in stays) and not stays_empty:
        home.check_leases()
        path.unlink()
        return
    with home.at_hand(path) as before, home.replacing(path) as temporary:
        write_rows(before, temporary, stays)
        if not home.is_remote:  # there, each release has files of its own
            _share(home, release, name, temporary)


def _share(home: Home, release: Release, name: str, temporary: Path) -> None:
    """Put a hard link in place of a file that an earlier release has already: they shared it before, too."""
    sha256 = file_sha256(temporary)
    for number in reversed([number for number in numbers(home) if number < release.number]):
        path = home.release(number) / name
        if get(home, number).manifest["files"].get(name, {}).get("sha256") == sha256 and path.exists():
            temporary.unlink()
            os.link(path, temporary)
            return


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """Return sha256 and size in bytes of files, None of those that are gone."""
    there = [name for name in names if (folder / name).exists()]
    hashed = zip(there, hash_files([folder / name for name in there]), strict=True)
    return dict.fromkeys(names) | dict(hashed)


def _purge_measurements(home: Home, sha256s: Sequence[str]) -> int:
    """Write what was measured of blobs anew without these; return how many rows went."""
    gone, count = pa.array(sha256s, pa.string()), 0

    def going(path: Path) -> Bools:
        with pq.ParquetFile(opened(path)) as file:
            columns = [name for name in file.schema_arrow.names if name == "sha256"]
            measured = file.read(columns)
        return mask(pc.is_in(measured["sha256"], value_set=gone)) if columns else np.zeros(0, dtype=bool)

    paths = sorted((home.root / "derived").glob("*/*.parquet"))
    for path, goes in zip(paths, in_order(going, paths), strict=True):
        if goes.all() and len(goes):
            home.check_leases()
            path.unlink()
        elif goes.any():
            home.write_table(path, pq.ParquetFile(opened(path)).read().filter(pa.array(~goes)))
        count += int(goes.sum())
    return count


def _purge_items(home: Home, tables: Sequence[Table]) -> int:
    """Leave of the rows of an item no more than its name and that it is removed; return how many said more."""
    count = 0
    for path, rows, is_it in tables:
        blank = tombstones.refused(rows, is_it)
        if not blank.equals(rows):
            home.write_table(path, blank)
            count += int(is_it.sum())
    return count


def _item_rows(home: Home, name: tuple[str, str], sha256s: Sequence[str]) -> Iterator[Table]:
    """Yield each table of items that has rows of an item or of its contents, and which rows these are."""
    contents = pa.array(sha256s, pa.string())

    def meant(path: Path) -> Bools:
        rows = pq.ParquetFile(whole(path)).read(["source", "source_id", "sha256"])
        return tombstones.are_named(rows, [name]) | mask(pc.is_in(rows["sha256"], value_set=contents))

    paths = sorted((home.root / "items").glob("*/*.parquet"))
    for path, is_it in zip(paths, in_order(meant, paths), strict=True):
        if is_it.any():
            yield path, pq.ParquetFile(whole(path)).read(), is_it


def _partial_files(home: Home, name: tuple[str, str], tables: Sequence[Table]) -> list[Path]:
    """Return the beginnings of downloads of an item: their names begin with the sha256 of the address."""
    source, source_id = name
    is_it = pc.field("source_id") == source_id
    found = [pq.read_table(opened(path), filters=is_it) for path in (home.root / "found" / source).glob("*.parquet")]
    found += [rows.filter(pa.array(rows_of_it)) for _, rows, rows_of_it in tables]
    addresses = {one for rows in found if "address" in rows.column_names for one in rows["address"].to_pylist() if one}
    heads = [hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest() for address in addresses]
    return sorted({path for head in heads for path in (home.local / "partial").glob(f"{head}*")})


def _archives(home: Home, name: tuple[str, str], tables: Sequence[Table]) -> list[Path]:
    """Return the archives that an item came in: their paths without version are the beginning of its id."""
    names = {name}
    for _, rows, is_it in tables:
        mine = rows.select(["source", "source_id"]).filter(pa.array(is_it)).to_pylist()
        names.update((row["source"], row["source_id"]) for row in mine)
    found = set()
    for source, source_id in names:
        folder = home.local / "archives" / source
        for path in folder.rglob("*@*"):
            if source_id.startswith(path.relative_to(folder).as_posix().rpartition("@")[0] + "/"):
                found.add(path)
    return sorted(found)
