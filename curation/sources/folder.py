"""Any folder of pictures and recordings, with what a metadata table or JSON files beside them say.

Origin, license and rate limit are those of the files; nothing is fetched. Only names, sizes and metadata are read here.
"""

import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from curation.errors import ItemError
from curation.sources import UNKNOWN_LICENSE, Entry, Facts
from curation.sources import _metadata as metadata
from curation.store import MARKER, digest
from rules.errors import ConfigurationError

HOMEPAGE = ""
LICENSE = UNKNOWN_LICENSE  # where the metadata of a file does not say it

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "SOURCES.csv")
# What a collection carries for its readers: only at the root, and only with the endings of documents.
DOCUMENT = re.compile(
    r"(?:readme|licen[cs]es?|notice|copying)(?:[-_][^.]*)?(?:\.(?:md|txt|rst|html?|pdf))?|sources\.md", re.IGNORECASE
)
# No path within a folder holds it, so an id with it belongs to no file: a row, or a second file of the same name.
NOT_A_FILE = "//"
SAME_NAME = "another file has the same name once both are written in composed Unicode"
MAX_ID_CHARS = 1_000  # of what a table calls a file; real paths are shorter


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the folder, or what lies there in its stead, before its metadata is known."""

    id: str
    path: Path  # of a link: the file that it leads to
    info: os.stat_result | None = None
    refusal: ItemError | None = None


def entries(location: str) -> Iterator[Entry]:
    """Return every file of a folder and every row of its metadata table that has none.

    Raises:
        ConfigurationError: there is no such folder, or its table cannot be used.
    """
    if not location:
        raise ConfigurationError("no location was given; expected a folder of pictures and recordings")
    try:
        root = Path(location).expanduser().resolve(strict=True)
        os.scandir(root).close()
    except (OSError, RuntimeError, ValueError) as error:
        what = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigurationError(f"{location!r}: {what}; expected a folder of pictures and recordings") from error
    table = _table(root)
    rows, refused = _index(table) if table else ({}, [])
    return _entries(root, table, rows, refused)


def _table(root: Path) -> Path | None:
    found = [root / name for name in TABLES if (root / name).is_symlink() or (root / name).exists()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise ConfigurationError(f"{root} holds {names}; expected one metadata table")
    if found and not (found[0].is_file() and found[0].resolve().is_relative_to(root)):
        raise ConfigurationError(f"{found[0]} is no file or leads out of the folder; expected a metadata table")
    return found[0] if found else None


def _index(table: Path) -> tuple[dict[str, metadata.Row], list[Entry]]:
    """Return the rows by the file that they name, and the refusals of those that name none of their own."""
    rows: dict[str, metadata.Row] = {}
    refused: list[Entry] = []
    outside: set[str] = set()
    for row in metadata.read_table(table):
        where = f"{table.name}, line {row.line}"
        unique_id = f"{row.path[:MAX_ID_CHARS] or table.name}{NOT_A_FILE}{row.line}"
        key = metadata.inside(row.path)
        if not row.path:
            refused.append(_refused(unique_id, row.facts, ItemError("missing_file", f"{where} names no file")))
        elif key is None:
            first_id = unique_id if row.path in outside or len(row.path) > MAX_ID_CHARS else row.path
            outside.add(row.path)
            error = ItemError("outside_folder", f"{where}: {row.path!r} leads out of the folder")
            refused.append(_refused(first_id, row.facts, error))
        elif key in rows:
            error = ItemError("duplicate_id", f"{where}: line {rows[key].line} names the same file")
            refused.append(_refused(unique_id, row.facts, error))
        else:
            rows[key] = row
    return rows, refused


def _entries(root: Path, table: Path | None, rows: dict[str, metadata.Row], refused: list[Entry]) -> Iterator[Entry]:
    yield from refused
    for file, sidecar in _walk(root, table):
        yield _entry(file, rows.pop(file.id, None), sidecar)
    for key, row in rows.items():
        where = f"{table.name if table else ''}, line {row.line}"
        source_id = key if len(key) <= MAX_ID_CHARS else f"{key[:MAX_ID_CHARS]}{NOT_A_FILE}{row.line}"
        error = ItemError("missing_file", f"{where}: the folder has no file {key!r}, or it is hidden or a document")
        yield _refused(source_id, row.facts, error)


def _entry(file: _File, row: metadata.Row | None, sidecar: Path | None) -> Entry:
    facts, refusal = Facts(), file.refusal
    if row:
        facts = row.facts
        if row.mistake:
            refusal = refusal or ItemError("invalid_metadata", f"line {row.line} of the table: {row.mistake}")
    if sidecar:
        try:
            facts = metadata.merged(metadata.read_sidecar(sidecar), facts)
        except ValueError as error:
            refusal = refusal or ItemError("invalid_metadata", f"{sidecar.name}: {error}")
    if not facts.url:
        facts = replace(facts, url=file.id)
    version = _version(file, facts, refusal)
    return Entry(file.id, version, None if refusal else file.path, facts, refusal)


def _refused(source_id: str, facts: Facts, refusal: ItemError) -> Entry:
    facts = facts if facts.url else replace(facts, url=source_id)
    return Entry(source_id, _version(None, facts, refusal), None, facts, refusal)


def _version(file: _File | None, facts: Facts, refusal: ItemError | None) -> str:
    """Tell one state of an item from the next: its file, what is said of it, and what is wrong with it."""
    state = [os.fsencode(file.path).hex(), file.info.st_size, file.info.st_mtime_ns] if file and file.info else []
    wrong = [refusal.reason, refusal.detail] if refusal else []
    return digest([state, wrong, [getattr(facts, name) for name in Facts.__slots__]])


def _walk(root: Path, table: Path | None) -> Iterator[tuple[_File, Path | None]]:
    """Yield every file with its sidecar, one directory in memory at a time.

    Directories whose composed names are the same are read together, so that equal ids meet within one step.
    """
    waiting = [("", [root])]
    while waiting:
        prefix, directories = waiting.pop()
        files: dict[str, _File] = {}
        deeper: dict[str, list[Path]] = {}
        for directory in directories:
            for name, found in _scan(root, directory, table):
                item_id = prefix + name
                if isinstance(found, Path):
                    deeper.setdefault(item_id, []).append(found)
                elif item_id in files:
                    twin = _twin(item_id, files)
                    files[twin] = replace(found, id=twin, refusal=ItemError("duplicate_id", SAME_NAME))
                else:
                    files[item_id] = replace(found, id=item_id)
        yield from _with_sidecars(files)
        waiting.extend((f"{item_id}/", paths) for item_id, paths in deeper.items())


def _twin(item_id: str, files: dict[str, _File]) -> str:
    number = 2
    while f"{item_id}{NOT_A_FILE}{number}" in files:
        number += 1
    return f"{item_id}{NOT_A_FILE}{number}"


def _scan(root: Path, directory: Path, table: Path | None) -> Iterator[tuple[str, _File | Path]]:
    """Yield what a directory holds: a Path for a directory, a _File for all else; its own refusal if it is closed."""
    try:
        with os.scandir(directory) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
    except OSError as error:
        yield "", _File("", directory, refusal=ItemError("unreadable", f"the directory: {error.strerror}"))
        return
    if any(child.name == MARKER for child in children):
        return  # a work folder of artune: its files are copies and results, not items
    is_root = directory == root
    for child in children:
        if child.name.startswith(".") or (is_root and table and child.name == table.name):
            continue
        path = directory / child.name
        name = unicodedata.normalize("NFC", os.fsencode(child.name).decode(errors="backslashreplace"))
        if child.is_symlink():
            linked = _follow(root, path)
            if linked:
                yield name, linked
        elif child.is_dir(follow_symlinks=False):
            yield name, path
        elif not (is_root and DOCUMENT.fullmatch(name)):
            yield name, _regular(path)


def _regular(path: Path) -> _File:
    """Return a file, or why it must not be opened: reading a FIFO would wait for ever."""
    try:
        info = path.lstat()
    except OSError as error:
        return _File("", path, refusal=ItemError("unreadable", error.strerror or ""))
    if not stat.S_ISREG(info.st_mode):
        return _File("", path, refusal=ItemError("unreadable", "no regular file"))
    return _File("", path, info)


def _follow(root: Path, link: Path) -> _File | None:
    """Return the file that a link leads to; None for a directory of this folder, which is listed where it is."""
    try:
        target = link.resolve()
        if not target.is_relative_to(root):
            return _File("", link, refusal=ItemError("outside_folder", "the link leads out of the folder"))
        return None if target.is_dir() else _regular(target)
    except (OSError, RuntimeError):  # RuntimeError: a link to itself, up to Python 3.12
        return _File("", link, refusal=ItemError("unreadable", "the link leads nowhere"))


def _with_sidecars(files: dict[str, _File]) -> Iterator[tuple[_File, Path | None]]:
    """Pair the files of one directory with x.jpg.json or x.json; a JSON file beside nothing is a file as any other."""
    media = [item_id for item_id in files if not item_id.endswith(".json")]
    stems = [posixpath.splitext(item_id)[0] for item_id in media]
    owners = {*media, *stems}
    for item_id, file in files.items():
        is_json = item_id.endswith(".json")
        if is_json and not file.refusal and item_id.removesuffix(".json") in owners:
            continue
        names = () if is_json else (f"{item_id}.json", f"{posixpath.splitext(item_id)[0]}.json")
        sidecars = [files[name].path for name in names if name in files and not files[name].refusal]
        yield file, sidecars[0] if sidecars else None
