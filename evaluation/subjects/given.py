"""Images that another system made, in a folder whose table says which clip each belongs to."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curation.columns import Ints, places
from evaluation.subjects import items as items_of
from evaluation.subjects.items import Pictured
from rules.errors import ConfigurationError
from training.data import Split

TABLE = "images.csv"
COLUMNS = ("file", "pair_id")
MAX_TOLD = 20  # mistakes, in one message
MAX_NAMED = 5  # clips
MAX_CHARS = 100  # of a value from the table

_EXPECTED = f"expected {TABLE} with the columns {', '.join(COLUMNS)}: which clip each image belongs to"


class _Row(NamedTuple):
    line: int
    file: str
    pair_id: str


@dataclass
class _Table:
    """What was read so far, and what is wrong with it: a line a mistake."""

    path: Path
    files: dict[str, _Row] = field(default_factory=dict)  # by pair_id
    lines: dict[str, int] = field(default_factory=dict)  # by file
    mistakes: list[str] = field(default_factory=list)

    def add(self, row: _Row) -> None:
        """Take a row that says something about one image that is there; else note what is wrong."""
        wrong = _wrong_file(self.path.parent, row.file)
        if wrong:
            self.note(row.line, wrong)
        elif row.pair_id in self.files:
            self.note(
                row.line,
                f"{_shown(row.pair_id)} has an image already, line {self.files[row.pair_id].line}: expected one a clip",
            )
        elif row.file in self.lines:
            self.note(row.line, f"{_shown(row.file)} is named already, line {self.lines[row.file]}: expected it once")
        else:
            self.files[row.pair_id] = row
        self.lines.setdefault(row.file, row.line)

    def note(self, line: int, mistake: str) -> None:
        self.mistakes.append(f"{self.path}:{line}: {mistake}")


def given(folder: Path, split: Split, n: int | None, seed: int) -> Pictured:
    """Return the images of a folder with the clips that they belong to.

    Args:
        folder: has the images and images.csv.
        n: None takes all clips that the table names. A number chooses clips as `items.choose` does, so that two systems
            are measured by the same ones; each of them has to have an image.

    Raises:
        ConfigurationError: a line `file:line: value: expected ...` for every mistake of the table; or images are
            missing for clips, or there are fewer images than labels.
    """
    table = _read(folder / TABLE)
    rows = _known(table, split)
    if table.mistakes:
        more = [f"and {len(table.mistakes) - MAX_TOLD:,} more"] if len(table.mistakes) > MAX_TOLD else []
        raise ConfigurationError("\n".join([*table.mistakes[:MAX_TOLD], *more]))
    if n is None:
        items_of.check_enough(len(rows), split, str(table.path))
        chosen = items_of.of_rows(split, rows)
    else:
        chosen = items_of.choose(split, n, seed)
        _check_all_there(table, chosen.pair_ids, f"--n {n} --seed {seed}")
    return Pictured(chosen, tuple(folder / table.files[pair_id].file for pair_id in chosen.pair_ids))


def _read(path: Path) -> _Table:
    if not path.is_file():
        raise ConfigurationError(f"{path.parent}: there is no {TABLE} in it: {_EXPECTED}")
    table, header = _Table(path), None
    for line, cells in _cells(path):
        if header is None:
            header = [cell.strip().lower() for cell in cells]
            if any(header.count(name) != 1 for name in COLUMNS):
                raise ConfigurationError(f"{path}:{line}: the columns are {_shown(', '.join(cells))}: {_EXPECTED}")
            continue
        if len(cells) != len(header):
            table.note(line, f"{len(cells)} cells: expected {len(header)}, as many as there are columns")
            continue
        file, pair_id = (cells[header.index(name)].strip() for name in COLUMNS)
        table.add(_Row(line, str(PurePosixPath(file)) if file else "", pair_id))  # ./0.png is 0.png, too
    if header is None:
        raise ConfigurationError(f"{path}: it is empty: {_EXPECTED}")
    return table


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield rows of a table that are not empty, with the line where each begins."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}:{line}: expected CSV in UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise ConfigurationError(f"{path}:{line}: expected CSV in UTF-8: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: expected a file that may be read: {error.strerror}") from error


def _wrong_file(folder: Path, name: str) -> str | None:
    """Say what is wrong with the name of a file: it comes from outside, so it may not lead there."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        return f"{_shown(name)}: expected the path of an image, from {folder}"
    try:
        is_there = (folder / path).is_file()
        leads_out = is_there and not (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a link in a circle
        is_there = leads_out = False
    if leads_out:
        return f"{_shown(name)}: it is a link that leads out of {folder}: expected an image in it"
    return None if is_there else f"{_shown(name)}: there is no such file in {folder}"


def _known(table: _Table, split: Split) -> Ints:
    """Return the rows of the clips that the table names, and note those that are not of the split."""
    named = list(table.files)
    rows = places(pa.array(named, pa.string()), split.pairs["pair_id"])
    unknown = [named[at] for at in np.flatnonzero(rows < 0)]
    elsewhere = _splits_of(split, unknown)
    for pair_id in unknown:
        where = f"it is of the split {elsewhere[pair_id]}, " if pair_id in elsewhere else ""
        table.note(
            table.files[pair_id].line,
            f"{_shown(pair_id)}: {where}expected the pair_id of a clip of the split {split.name} of "
            f"{split.revision.location}",
        )
    return rows


def _splits_of(split: Split, unknown: list[str]) -> dict[str, str]:
    """Return in which other split clips are."""
    found: dict[str, str] = {}
    for name in split.revision.names if unknown else ():
        other = split.revision.split(name)
        if other is not None:
            is_there = places(pa.array(unknown, pa.string()), other.pairs["pair_id"]) >= 0
            found |= {unknown[at]: name for at in np.flatnonzero(is_there)}
    return found


def _check_all_there(table: _Table, pair_ids: tuple[str, ...], asked: str) -> None:
    missing = [pair_id for pair_id in pair_ids if pair_id not in table.files]
    if missing:
        more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        raise ConfigurationError(
            f"{table.path}: images are missing for {len(missing):,} of the {len(pair_ids):,} clips that {asked} "
            f"chooses: {', '.join(missing[:MAX_NAMED])}{more}: expected an image for each, or no --n, which takes the "
            f"{len(table.files):,} clips that have one"
        )


def _shown(value: str) -> str:
    return repr(value[:MAX_CHARS])
