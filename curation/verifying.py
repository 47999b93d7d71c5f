"""Whether a work folder still is what was written: every byte of releases and blobs, every table. Changes nothing."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation import measure
from curation.batches import Each
from curation.damage import Damaged
from curation.history import unfinished
from curation.releases import get, rule_set_of
from curation.schemas import ITEMS
from curation.store import Home, file_sha256, files_below, opened
from curation.stored import are_there

ROWS_AT_ONCE = 1_000  # so that a table is never in memory as a whole


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is broken.

    Attributes:
        path: in the work folder.
        what: missing, changed, surplus, unreadable, incomplete.
    """

    path: str
    what: str
    detail: str
    advice: str


@dataclass(frozen=True, slots=True)
class Check:
    """A file of a release that is to be read.

    Attributes:
        names: where it must lie, with hard links more than one place; with the sha256 that each manifest states.
    """

    home: Home
    names: Mapping[str, str]


def verify(home: Home, each: Each, release: int | None = None) -> list[Fault]:
    """Read everything, or the files of one release, and return what is broken, ordered by path.

    Raises:
        ConfigurationError: there is no such release.
    """
    if release is not None:
        get(home, release)
        return _releases(home, [release], each)
    faults = _releases(home, sorted(_manifests(home)), each)
    blobs = sorted((home.root / "blobs" / "sha256").glob("*"))
    checked = [each(check_blobs, [(home, folder) for folder in blobs], "verify blobs")]
    schemas = {folder: ITEMS for folder in (home.root / "items").glob("*")} | _schemas(home)
    tables = [(home, path, schema) for folder, schema in sorted(schemas.items()) for path in folder.glob("*.parquet")]
    checked.append(each(check_table, tables, "verify tables"))
    faults += [fault for found in checked for part in found for fault in part]
    found = {*_with_source(home, faults), *_claims(home)}  # several items may ask for one blob
    return sorted(found, key=lambda fault: fault.path)


def _manifests(home: Home) -> Iterator[int]:
    paths = (home.root / "releases").glob("*.json")
    return (int(path.stem) for path in paths if path.stem.isdecimal())


def _schemas(home: Home) -> dict[Path, pa.Schema | None]:
    """Return every folder of measurements with the schema that its step declares, None if no step reads it today."""
    found: dict[Path, pa.Schema | None] = dict.fromkeys((home.root / "derived").glob("*"))
    for number in _manifests(home):
        try:
            rule_set = rule_set_of(get(home, number))
        except (OSError, ValueError, Damaged):  # told of among the files of the release
            continue
        folders = ((home.derived(step.name, step.key), step.schema) for step in measure.steps(rule_set).values())
        found |= {folder: schema for folder, schema in folders if folder in found}
    return found


def _releases(home: Home, numbers: Iterable[int], each: Each) -> list[Fault]:
    """Check the files of releases; a file that several releases share is read once."""
    faults: list[Fault] = []
    shared: dict[Hashable, dict[str, str]] = defaultdict(dict)
    stated: dict[str, str] = {}
    for number in numbers:
        try:
            files = {f"releases/{number}/{name}": row["sha256"] for name, row in _files(home, number).items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            advice = "restore it from a copy; without it the release does not exist"
            faults.append(Fault(f"releases/{number}.json", "unreadable", str(error), advice))
            continue
        stated |= files
        there = {path.relative_to(home.root).as_posix() for path, _ in files_below(home.release(number))}
        faults += [Fault(name, "missing", "its manifest lists it", "") for name in sorted(files.keys() - there)]
        advice = "remove it: no manifest lists it"
        faults += [
            Fault(name, "surplus", "its manifest does not list it", advice) for name in sorted(there - files.keys())
        ]
        for name in sorted(files.keys() & there):
            shared[_file_at(home.root / name)][name] = files[name]
    checks = [Check(home, names) for names in shared.values()]
    faults += [fault for found in each(check_file, checks, "verify releases") for fault in found]
    broken = {fault.path for fault in faults}
    intact = {sha256: name for name, sha256 in stated.items() if name not in broken}
    return [replace(fault, advice=fault.advice or _copy(intact.get(stated[fault.path]))) for fault in faults]


def _file_at(path: Path) -> Hashable:
    """Return what tells a file from all others, whatever names it has."""
    if not isinstance(path, Path):
        return path
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _files(home: Home, number: int) -> dict[str, dict[str, Any]]:
    text = (home.root / "releases" / f"{number}.json").read_text(encoding="utf-8")
    files: dict[str, dict[str, Any]] = json.loads(text)["files"]
    return files


def _copy(intact: str | None) -> str:
    if intact:
        return f"copy {intact} there: it has the right bytes"
    return "restore it from where the release was published or backed up; nothing else has its bytes"


def check_file(check: Check) -> list[Fault]:
    """Compare a file with every manifest that lists it."""
    path = check.home.root / next(iter(check.names))
    try:
        found = file_sha256(path)
    except OSError as error:
        return [Fault(name, "unreadable", error.strerror or "", "") for name in check.names]
    faults = []
    for name, sha256 in check.names.items():
        if found != sha256:
            others = ", ".join(sorted(check.names.keys() - {name}))
            detail = f"sha256 is {found[:12]}, not {sha256[:12]}" + (f"; the same file as {others}" if others else "")
            faults.append(Fault(name, "changed", detail, ""))
    return faults


def check_blobs(batch: tuple[Home, Path]) -> list[Fault]:
    """Compare every blob below a folder with its name."""
    home, folder = batch
    faults = []
    for path, _ in files_below(folder):
        name = path.relative_to(home.root).as_posix()
        if path != home.blob(path.name):
            faults.append(Fault(name, "surplus", "no blob has this name", "remove it"))
            continue
        try:
            found = file_sha256(path)
        except OSError as error:
            faults.append(Fault(name, "unreadable", error.strerror or "", ""))
        else:
            if found != path.name:
                faults.append(Fault(name, "changed", f"sha256 is {found[:12]}", ""))
    return faults


def check_table(batch: tuple[Home, Path, pa.Schema | None]) -> list[Fault]:
    """Read every value of a table, and see whether the blobs of a table of items are there."""
    home, path, schema = batch
    name = path.relative_to(home.root).as_posix()
    is_items = schema is ITEMS
    again = "its items are collected again" if is_items else "its blobs are measured again"
    advice = f"remove it: {again} by the next {'ingest' if is_items and _is_of_web(home, path) else 'build'}"
    missing = []
    try:
        with pq.ParquetFile(opened(path), page_checksum_verification=True) as file:
            lacking = [column for column in schema.names if column not in file.schema_arrow.names] if schema else []
            if lacking:
                return [Fault(name, "incomplete", f"has no column {', '.join(lacking)}", advice)]
            for rows in file.iter_batches(ROWS_AT_ONCE):
                if schema:
                    pa.Table.from_batches([rows]).select(schema.names).cast(schema)
                if is_items:
                    sha256s = rows.filter(rows.column("reason").is_null()).column("sha256").drop_null().to_pylist()
                    blobs = [home.blob(sha256) for sha256 in sha256s]
                    missing += [blob for blob, there in zip(blobs, are_there(blobs), strict=True) if not there]
    except (OSError, pa.ArrowException, ValueError) as error:
        return [Fault(name, "unreadable", str(error).partition("\n")[0], advice)]
    names = (blob.relative_to(home.root).as_posix() for blob in missing)
    return [Fault(blob, "missing", "an item asks for it", "") for blob in names]


def _is_of_web(home: Home, items: Path) -> bool:
    return (home.root / "found" / items.parent.name).is_dir()


def _with_source(home: Home, faults: list[Fault]) -> list[Fault]:
    """Say of every blob that is broken how to get it again: its item is collected anew when its row is gone."""
    wanted = {Path(fault.path).name for fault in faults if not fault.advice}
    if not wanted:
        return faults
    tables: dict[str, list[str]] = defaultdict(list)
    for path in sorted((home.root / "items").glob("*/*.parquet")):
        try:
            rows = pq.read_table(opened(path), columns=["sha256"])
        except (OSError, pa.ArrowException):
            continue
        for sha256 in wanted.intersection(rows["sha256"].to_pylist()):
            tables[sha256].append(path.relative_to(home.root).as_posix())
    return [fault if fault.advice else replace(fault, advice=_collect_again(fault, tables)) for fault in faults]


def _collect_again(fault: Fault, tables: Mapping[str, list[str]]) -> str:
    files = [*([] if fault.what == "missing" else ["it"]), *tables[Path(fault.path).name]]
    return f"remove {' and '.join(files)}: the next build or ingest gets it again if its source still has it"


def _claims(home: Home) -> list[Fault]:
    advice = "remove it, and build again"
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in unfinished(home)}
    bad = [path for path, text in texts.items() if len(text) != 64 or set(text) - set("0123456789abcdef")]
    return [
        Fault(path.relative_to(home.root).as_posix(), "unreadable", "holds no digest of inputs", advice) for path in bad
    ]
