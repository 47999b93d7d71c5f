"""YAML as a curator writes it, read into nodes that remember their file and line.

A small part of YAML is enough for rules: mappings, lists, texts and numbers. What could run code, blow up in memory or
surprise the reader (tags, anchors and aliases, duplicate keys, tabs, `no` as a truth value) is refused or not done.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000  # the largest file so far has 100 kB
MAX_DEPTH = 20  # deeper than any rule that a person can still read
MAX_SHOWN_CHARS = 80

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster, and not in every build
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_NULLS = ("", "~", "null")

Plain = str | int | float | list["Plain"] | dict[str, "Plain"] | None


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong in one place; `line` counts from 1."""

    file: str
    line: int
    value: str
    expected: str

    def __str__(self) -> str:
        shown = "".join(c if c.isprintable() else " " for c in self.value)
        if len(shown) > MAX_SHOWN_CHARS:
            shown = shown[: MAX_SHOWN_CHARS - 3] + "..."
        return f"{self.file}:{self.line}: {shown}: expected {self.expected}"


@dataclass(slots=True)
class Node:
    """A value and where it stands; in a mapping, the line is that of its key.

    The accessors are lenient: they return nothing where the shape is another one, which the model reports anyway.
    """

    value: "str | int | float | list[Node] | dict[str, Node] | None"
    file: str
    line: int

    def __getitem__(self, key: str) -> "Node":
        return self.entries().get(key) or Node(None, self.file, self.line)

    def entries(self) -> "dict[str, Node]":
        return self.value if isinstance(self.value, dict) else {}

    def elements(self) -> "list[Node]":
        return self.value if isinstance(self.value, list) else []

    def text(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    def number(self) -> int | None:
        return self.value if isinstance(self.value, int) else None

    def plain(self) -> Plain:
        """Return the value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def mistake(self, value: object, expected: str) -> Mistake:
        return Mistake(self.file, self.line, str(value), expected)


def read(path: Path) -> tuple[Node | None, list[Mistake]]:
    """Read one file.

    Returns:
        Its mapping, None if nothing could be made of the file; and what is wrong in it.
    """
    content, mistakes = text(path)
    return (None, mistakes) if content is None else parse(content, str(path))


def parse(content: str, file: str) -> tuple[Node | None, list[Mistake]]:
    """Read what stands in a file, or instead of one; as `read`."""
    mistakes: list[Mistake] = []
    try:
        node = _Reader(file, yaml.parse(content, Loader=_LOADER), mistakes).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found = content.splitlines()[line - 1].strip() if line <= len(content.splitlines()) else "end of the file"
        return None, [*mistakes, Mistake(file, line, found, f"YAML ({error.problem})")]
    except yaml.reader.ReaderError as error:
        line = content[: error.position].count("\n") + 1
        return None, [*mistakes, Mistake(file, line, f"character U+{error.character:04X}", "printable text")]
    if node is not None and not isinstance(node.value, dict):
        return None, [*mistakes, Mistake(file, node.line, _summary(node), "a mapping (lines of `key: value`)")]
    return node, mistakes


def text(path: Path) -> tuple[str | None, list[Mistake]]:
    """Return what stands in a small text file, None if that cannot be read; and what is wrong with it."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None, [Mistake(file, 1, "no such file", f"a file {path.name} in every rule set")]
    except OSError as error:
        return None, [Mistake(file, 1, error.strerror or "unreadable", "a file that can be read")]
    if len(raw) > MAX_BYTES:
        return None, [Mistake(file, 1, f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,} bytes")]
    try:
        content = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return None, [Mistake(file, line, f"byte 0x{raw[error.start]:02x}", "text in UTF-8")]
    tabbed = [(number, line) for number, line in enumerate(content.split("\n"), 1) if "\t" in line]
    tabs = [Mistake(file, number, line.strip() or "a tab", "spaces, not tabs") for number, line in tabbed]
    return (None if tabs else content), tabs


def _summary(node: Node) -> str:
    return {list: "a list", type(None): "nothing"}.get(type(node.value), repr(node.value))


class _Reader:
    """Builds nodes from the parser's events: aliases and depth are refused before they can cost anything."""

    def __init__(self, file: str, events: Iterator[Any], mistakes: list[Mistake]) -> None:
        self._file = file
        self._events = events
        self._mistakes = mistakes

    def document(self) -> Node | None:
        """Return the only document of the file, None if it is nested too deeply."""
        node = Node({}, self._file, 1)
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "---", "one document in a file")
                    return None
                built = self._build(next(self._events), 0)
                if built is None:
                    return None
                node = built
        return node if documents else Node(None, self._file, 1)

    def _refuse(self, event: Any, value: str, expected: str) -> None:  # noqa: ANN401 - yaml's events share no useful type
        self._mistakes.append(Mistake(self._file, event.start_mark.line + 1, value, expected))

    def _build(self, event: Any, depth: int) -> Node | None:  # noqa: ANN401
        """Return the node that starts with the event, None if it is nested too deeply."""
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            self._refuse(event, f"level {depth}", f"at most {MAX_DEPTH} levels of nesting")
            return None
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"*{event.anchor}", "the value itself: YAML aliases are not read")
            return Node(None, self._file, line)
        if event.anchor is not None:
            self._refuse(event, f"&{event.anchor}", "no YAML anchor: write the value where it is needed")
        if event.tag is not None:
            self._refuse(event, event.tag, "no YAML tag")
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event), self._file, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(line, depth)
        return self._mapping(line, depth)

    def _list(self, line: int, depth: int) -> Node | None:
        elements = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            element = self._build(event, depth + 1)
            if element is None:
                return None
            elements.append(element)
        return Node(elements, self._file, line)

    def _mapping(self, line: int, depth: int) -> Node | None:
        entries: dict[str, Node] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            key_node = self._build(event, depth + 1)
            node = self._build(next(self._events), depth + 1)
            if key_node is None or node is None:
                return None
            if key is None:
                self._refuse(event, "a list, mapping or alias as a key", "a word as a key")
            elif key in entries:
                self._refuse(event, key, f"each key once: it stands on line {entries[key].line} already")
            else:
                node.line = key_node.line
                entries[key] = node
        return Node(entries, self._file, line)


def _scalar(event: yaml.ScalarEvent) -> str | int | float | None:
    """Return a number only where it looks like one in every language: `no`, `1_000` and `1:30` stay texts."""
    text: str = event.value
    if not event.implicit[0]:  # quoted
        return text
    if text in _NULLS:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
