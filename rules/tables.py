"""CSV as a curator writes it, read into rows that remember their line."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rules.reading import Mistake, Node, text
from rules.spelling import closest, fold

_MAX_SHOWN = 3  # characters of a cell that cannot be printed are named, but not all of a binary file's


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line by column, without spaces around."""

    cells: dict[str, str]
    file: str
    line: int

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def parts(self, column: str) -> list[str]:
        """Return what stands between the semicolons of a cell."""
        return [part.strip() for part in self[column].split(";") if part.strip()]

    def mistake(self, value: str, expected: str) -> Mistake:
        return Mistake(self.file, self.line, value, expected)


def read_rows(path: Path, columns: Sequence[str], required: Sequence[str]) -> tuple[list[Row], list[Mistake]]:
    """Read a CSV file whose first line names its columns; empty lines and lines that start with # do not count.

    Args:
        columns: those that may be there, in any order.
        required: those of them that must be.

    Returns:
        its rows that have the right number of cells, and what is wrong in the file.
    """
    content, mistakes = text(path)
    if content is None:
        return [], mistakes
    file = str(path)
    rows: list[Row] = []
    header: list[str] | None = None
    line = 0
    try:
        for line, cells in _lines(content.removeprefix("\ufeff")):
            mistakes += [Mistake(file, line, f"character {name}", "printable text on one line") for name in _odd(cells)]
            if header is None:
                header = cells
                if wrong := list(_wrong_columns(file, line, cells, columns, required)):
                    return [], [*mistakes, *wrong]
            elif len(cells) != len(header):
                found = f"{len(cells)} cells"
                mistakes.append(Mistake(file, line, found, f"{len(header)}, as in the first line; quote a comma"))
            else:
                rows.append(Row(dict(zip(header, cells, strict=True)), file, line))
    except csv.Error as error:
        return [], [*mistakes, Mistake(file, line + 1, "from here on", f"CSV with commas and closed quotes ({error})")]
    if header is None:
        mistakes.append(Mistake(file, 1, "nothing", f"a first line with the columns {', '.join(columns)}"))
    return rows, mistakes


def _lines(content: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line on which each row begins, and its cells."""
    lines = ("\n" if line.startswith("#") else line for line in io.StringIO(content, newline=""))
    reader = csv.reader(lines, strict=True)
    begins = 1
    for cells in reader:
        if any(map(str.strip, cells)):
            yield begins, [cell.strip() for cell in cells]
        begins = reader.line_num + 1


def _odd(cells: list[str]) -> list[str]:
    found = dict.fromkeys(c for cell in cells for c in cell if not c.isprintable())
    return [f"U+{ord(c):04X}" for c in found][:_MAX_SHOWN]


def _wrong_columns(
    file: str, line: int, header: list[str], columns: Sequence[str], required: Sequence[str]
) -> Iterator[Mistake]:
    for name in dict.fromkeys(header):
        if name not in columns:
            expected = f"one of the columns {', '.join(columns)}{did_you_mean(name, columns)}"
            yield Mistake(file, line, name or "a column without a name", expected)
        elif header.count(name) > 1:
            yield Mistake(file, line, name, "each column once")
    for name in required:
        if name not in header:
            yield Mistake(file, line, f"no {name}", f"a column {name}")


def settle(
    place: Row | Node, kind: str, spelling: str, spellings: Mapping[tuple[str, str], str], mistakes: list[Mistake]
) -> str | None:
    """Return the vocabulary's word for a spelling of that kind; None, and a mistake, where it has none."""
    word = spellings.get((kind, fold(spelling)))
    if word is None:
        mine = {folded: name for (of_kind, folded), name in spellings.items() if of_kind == kind}
        alike = dict.fromkeys(mine[folded] for folded in closest(spelling, mine))
        suggestion = f"; did you mean {' or '.join(alike)}?" if alike else ""
        mistakes.append(place.mistake(spelling, f"a {kind} of vocabulary.yaml{suggestion}"))
    return word


def did_you_mean(written: str, choices: Iterable[str]) -> str:
    """Return the end of a sentence that names what looks like it, if anything does."""
    alike = closest(written, choices)
    return f"; did you mean {' or '.join(alike)}?" if alike else ""
