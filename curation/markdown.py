"""Markdown out of data: text from outside that stays text, and tables."""

import re
from collections.abc import Iterable

MAX_CHARS = 200  # of one text from outside, where there may be thousands


def escaped(text: str | None) -> str:
    """Return text from outside as Markdown that shows just that text, on one line."""
    plain = " ".join((text or "").split())
    marked = re.sub(r"([\\`*_{}\[\]<>|~&$]|^[#+-])", r"\\\1", plain)
    return re.sub(r"(?i)(?<=:)//|(?<=www)\.|(?<=.)@", r"\\\g<0>", marked)  # a bare address would become a link


def shortened(text: str) -> str:
    """Return the beginning of a text from outside, likewise."""
    return escaped(text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table of cells that are Markdown."""
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return "\n".join(lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows])
