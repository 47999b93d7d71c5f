"""What people write beside media files: one table (CSV, JSONL, Parquet) for a folder, or a JSON file beside each.

Every text in it comes from outside: it is cleaned of control characters and cut, and never a path that leads out.
"""

import csv
import difflib
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.sources import UNKNOWN_LICENSE, Facts
from rules.errors import ConfigurationError

FILE_COLUMNS = ("file", "path", "filename", "file_name")
CREATOR_COLUMNS = ("creator", "artist", "author")
TEXT_COLUMNS = ("title", "year", "license", "attribution", "url", *CREATOR_COLUMNS)
TAG_COLUMNS = {
    "style": "style",
    "genre": "genre",
    "century": "century",
    "nationality": "nationality",
    "sub_genre": "sub_genre",
    "music_genre": "sub_genre",
    "music_feature": "music_feature",
    "music_features": "music_feature",
}
COLUMNS = {*FILE_COLUMNS, *TEXT_COLUMNS, *TAG_COLUMNS, "tags"}

ALIKE = 0.8  # "licence" and "license", "stlye" and "style"; but not "modality" and "nationality"
MAX_TEXT_CHARS = 1_000
MAX_TAGS = 100
MAX_SIDECAR_BYTES = 1 << 20

# C0 and C1 controls go, those that end a line become a space; so do the invisible marks that turn the direction of
# text around (https://www.unicode.org/reports/tr9, Bidi_Control), which could make a title deform what follows it.
CLEAN = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F], "")
CLEAN |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "")
CLEAN |= dict.fromkeys([*range(0x09, 0x0E), 0x85, 0x2028, 0x2029], " ")

BEFORE_CHRIST = re.compile(
    r"(?<!\d)(\d{1,4})(?:\s*[-–—/]\s*\d{1,4})?\s*b\.?\s?c(?:\.?\s?e)?\b", re.ASCII | re.IGNORECASE
)
BARE_YEAR = re.compile(r"-?\d{1,4}(?:\.0)?", re.ASCII)
YEAR = re.compile(r"(?<!\d)\d{3,4}(?!\d|\s*(?:st|nd|rd|th)\b)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: what it says of a file, or why it cannot be used."""

    line: int  # of a Parquet table: the row
    path: str  # as written; only its escapes make it valid Unicode
    facts: Facts
    mistake: str = ""


def as_text(value: object) -> str | None:
    """Return a value of a table or a JSON file as clean text, None if it is empty.

    Raises:
        ValueError: it is no text, number or list of them.
    """
    if isinstance(value, list | tuple):
        value = ", ".join(text for item in value if (text := as_text(item)))
    if value is None or value == "" or value != value:  # pandas writes NaN where it has nothing
        return None
    if isinstance(value, bool | bytes | Mapping):
        raise ValueError(f"{value!r:.100} is no text")
    text = str(value).encode(errors="replace").decode().translate(CLEAN).strip()
    return text[:MAX_TEXT_CHARS].rstrip() or None


def as_year(text: str | None) -> int | None:
    """Return the first year of a date or range: "about 1831" 1831, "1475-1485" 1475, "44 BC" -44; else None."""
    if text is None:
        return None
    if before := BEFORE_CHRIST.search(text):
        return -int(before[1]) or None
    if BARE_YEAR.fullmatch(text):
        return int(float(text)) or None
    found = YEAR.search(text)
    return int(found[0]) or None if found else None


def as_facts(record: Mapping[str, object]) -> Facts:
    """Return what a row or a JSON object says; keys are in lower case, unknown ones are not looked at.

    Raises:
        ValueError: a known key holds what cannot be used.
    """
    texts = {column: _text(column, record[column]) for column in TEXT_COLUMNS if column in record}
    return Facts(
        url=texts.get("url") or "",
        title=texts.get("title"),
        creator=next((texts[column] for column in CREATOR_COLUMNS if texts.get(column)), None),
        year=as_year(texts.get("year")),
        license=texts.get("license") or UNKNOWN_LICENSE,
        attribution=texts.get("attribution"),
        tags=tuple(dict.fromkeys(_tags(record)))[:MAX_TAGS],
    )


def merged(first: Facts, second: Facts) -> Facts:
    """Return the first facts, filled with the second where the first are silent."""
    return Facts(
        url=first.url or second.url,
        title=first.title or second.title,
        creator=first.creator or second.creator,
        year=second.year if first.year is None else first.year,
        license=second.license if first.license == UNKNOWN_LICENSE else first.license,
        attribution=first.attribution or second.attribution,
        tags=first.tags or second.tags,
    )


def inside(path: str) -> str | None:
    """Return a written path as the folder source names its files, None if it leads out of the folder."""
    normal = posixpath.normpath(path)
    if normal.startswith("/") or normal == ".." or normal.startswith("../"):
        return None
    return unicodedata.normalize("NFC", normal)


def read_sidecar(path: Path) -> Facts:
    """Return what a JSON file says of the file that it lies beside.

    Raises:
        ValueError: it cannot be read or is no JSON object with usable values.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIDECAR_BYTES + 1)
        if len(data) > MAX_SIDECAR_BYTES:
            raise ValueError(f"more than {MAX_SIDECAR_BYTES:,} bytes")
        return as_facts(_record(json.loads(data.decode("utf-8-sig"))))
    except OSError as error:
        raise ValueError(error.strerror) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_table(path: Path) -> Iterator[Row]:
    """Yield the rows of a metadata table; rows with unusable values come with their mistake.

    Raises:
        ConfigurationError: it is no CSV, JSONL or Parquet table in UTF-8, or has no column that names files.
    """
    reader = {".csv": _csv_records, ".jsonl": _jsonl_records, ".parquet": _parquet_records}[path.suffix]
    for line, record, mistake in reader(path):
        written = next((record[column] for column in FILE_COLUMNS if record.get(column) not in (None, "")), "")
        try:
            facts = as_facts(record)
        except ValueError as error:
            facts, mistake = Facts(), mistake or str(error)
        yield Row(line, str(written).encode(errors="backslashreplace").decode(), facts, mistake)


def _csv_records(path: Path) -> Iterator[tuple[int, dict[str, object], str]]:
    reader = csv.reader((text for _, text in _lines(path)), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, header)
        line = reader.line_num + 1
        for cells in reader:
            mistake = f"{len(cells)} cells under {len(header)} columns" if len(cells) > len(header) else ""
            if cells:
                yield line, dict(zip(header, cells, strict=False)), mistake
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {reader.line_num}: {error}; expected CSV in UTF-8") from error


def _jsonl_records(path: Path) -> Iterator[tuple[int, dict[str, object], str]]:
    is_first = True
    for line, text in _lines(path):
        if not text.strip():
            continue
        try:
            record = _record(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path}, line {line}: {error}; expected one JSON object a line") from error
        if is_first:
            _check_columns(path, list(record))
        is_first = False
        yield line, record, ""


def _parquet_records(path: Path) -> Iterator[tuple[int, dict[str, object], str]]:
    try:
        with pq.ParquetFile(path) as file:
            names = {name: name.strip().lower() for name in file.schema_arrow.names}
            _check_columns(path, list(names.values()))
            line = 0
            for batch in file.iter_batches(columns=[name for name, key in names.items() if key in COLUMNS]):
                for record in batch.to_pylist():
                    line += 1
                    yield line, {names[name]: value for name, value in record.items()}, ""
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the latter two: values in it
        raise ConfigurationError(f"{path}: {error}; expected a Parquet table") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    line = 0
    try:
        with path.open("rb") as file:
            for line, data in enumerate(file, 1):
                yield line, data.decode("utf-8-sig" if line == 1 else "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}, line {line}: {error}; expected text in UTF-8") from error


def _record(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, not {type(value).__name__}")
    return {key.strip().lower(): item for key, item in value.items()}


def _check_columns(path: Path, header: list[str]) -> None:
    if not set(header) & set(FILE_COLUMNS):
        found = f"the columns are {', '.join(header)}" if any(header) else "there are no columns"
        raise ConfigurationError(f"{path}, line 1: {found:.500}; expected one of {', '.join(FILE_COLUMNS)}")
    for name in header:
        meant = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=ALIKE) if name not in COLUMNS else []
        if meant:
            # Columns of other names are somebody's own; one that is nearly ours would be lost in silence.
            raise ConfigurationError(f"{path}: column {name!r}: expected {meant[0]!r}, or a name less like it")


def _tags(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield (kind, value) from the tag columns, then from `tags`; a tag without a kind is nothing a rule could read."""
    for column, kind in TAG_COLUMNS.items():
        for item in _items(record[column]) if column in record else ():
            if value := _text(column, item):
                yield kind, value
    for item in _items(record.get("tags")):
        if isinstance(item, Mapping):
            named, value = _text("tags", item.get("kind")), _text("tags", item.get("value"))
        else:
            named, _, value = (part.strip() for part in (_text("tags", item) or "").partition(":"))
        if named and value:
            yield TAG_COLUMNS.get(named.lower(), named), value


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return list(value.split(";"))
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(column: str, value: object) -> str | None:
    try:
        return as_text(value)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from error
