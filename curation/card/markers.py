"""Markdown of a person with tables of artune in it: which lines are whose.

A table stands between two lines of their own, `<!-- artune:begin NAME -->` and `<!-- artune:end NAME -->`. In a code
block such lines are text as any other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.errors import ConfigurationError

_MARKER = re.compile(r" {0,3}<!-- artune:(begin|end) (\S+) -->[ \t]*\n?")
# https://spec.commonmark.org/0.31.2/#fenced-code-blocks: what may follow, and that only another of its kind ends one
_FENCE = re.compile(r" {0,3}(?:(`{3,})[^`\n]*|(~{3,})[^\n]*)\n?")


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one table: the lines around it as they stand there, and what is between them."""

    name: str
    begin: str
    content: str
    end: str


Parts = Sequence[str | Slot]  # text of a person, and the places of tables; joined, they are the Markdown


def parts(text: str, where: str, first_line: int = 1) -> Parts:
    """Divide Markdown, whose lines end in newlines, into a person's text and the places of tables.

    Args:
        where: it comes from, for the message; its first line has the number `first_line` there.

    Raises:
        ConfigurationError: a marker has no partner, stands within another pair, or comes twice.
    """
    found: list[str | Slot] = []
    held: list[str] = []  # lines since the last marker
    opened: tuple[int, str, str] | None = None  # number, table and text of the line that begins a table
    for number, line, marker in _lines(text, first_line):
        if marker is None:
            held.append(line)
        elif marker[0] == "begin" and opened is None:
            if marker[1] in names(found):
                raise _wrong(where, number, line, "each table once: delete one of the two with its markers")
            found, held, opened = [*found, "".join(held)], [], (number, marker[1], line)
        elif opened and marker == ("end", opened[1]):
            found, held, opened = [*found, Slot(opened[1], opened[2], "".join(held), line)], [], None
        else:
            expected = f"artune:end {opened[1]}, for it was begun in line {opened[0]}" if opened else "its begin before"
            raise _wrong(where, number, line, expected)
    if opened:
        raise _wrong(where, opened[0], opened[2], f"<!-- artune:end {opened[1]} --> on a line of its own after it")
    return [part for part in (*found, "".join(held)) if part]


def _lines(text: str, first_line: int) -> Iterator[tuple[int, str, tuple[str, str] | None]]:
    """Yield the number of each line, the line, and (kind, table) if it is a marker."""
    fence, is_ours = "", False  # a table may hold code, but what a person broke in it must not hide where it ends
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+\Z", text), first_line):
        bare = None if is_ours else _FENCE.fullmatch(line)
        marker = None if fence else _MARKER.fullmatch(line)
        if marker:
            is_ours = marker[1] == "begin"
        elif bare and not fence:
            fence = bare[1] or bare[2]
        elif bare and set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence):
            fence = ""
        yield number, line, (marker[1], marker[2]) if marker else None


def _wrong(where: str, number: int, line: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{where}, line {number}: {line.strip()}: expected {expected}")


def names(found: Parts) -> list[str]:
    """Return the tables that have a place."""
    return [part.name for part in found if isinstance(part, Slot)]


def filled(found: Parts, tables: Mapping[str, str]) -> str:
    """Return the Markdown with these tables in their places; others keep what they hold."""
    return "".join(part if isinstance(part, str) else _filled(part, tables) for part in found)


def _filled(slot: Slot, tables: Mapping[str, str]) -> str:
    content = f"{tables[slot.name]}\n" if slot.name in tables else slot.content
    begin = slot.begin if slot.begin.endswith("\n") else f"{slot.begin}\n"
    return f"{begin}{content}{slot.end}"


def without_tables(found: Parts) -> str:
    """Return the Markdown without the content of its tables: what a person may edit."""
    return "".join(part if isinstance(part, str) else part.begin + part.end for part in found)
