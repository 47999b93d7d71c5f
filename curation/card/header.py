"""The YAML above a card: what `datasets` and the Hub read there, beside what a person put there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from rules.errors import ConfigurationError

# The same as the Hub's own and that of huggingface_hub.repocard, once newlines are plain.
_BLOCK = re.compile(r"\s*---\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_PROBE = "artune"  # a key: by it is seen whether lines may be added


@dataclass(frozen=True, slots=True)
class Page:
    """A README.md, divided.

    Attributes:
        header: the lines of YAML; None where there are none.
        values: what they say.
        body: the Markdown below.
        first_line: the number of the body's first line.
    """

    header: str | None
    values: Mapping[Any, Any]
    body: str
    first_line: int


def divided(content: bytes, where: str) -> Page:
    """Divide a README.md; its newlines become plain ones.

    Raises:
        ConfigurationError: it is not UTF-8, or its header is not YAML that `datasets` and the Hub can read.
    """
    try:
        text = content.decode("utf-8-sig")  # the Hub sees no header behind a byte order mark
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: expected UTF-8: {error}") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    block = _BLOCK.match(text)
    if block is None:
        return Page(None, {}, text, 1)
    first_line = text.count("\n", 0, block.start(1)) + 1
    values = _values(block[1], where, first_line)
    return Page(block[1], values, text[block.end() :], text.count("\n", 0, block.end()) + 1)


def _values(header: str, where: str, first_line: int) -> Mapping[Any, Any]:
    try:
        values = yaml.safe_load(header)
    except yaml.MarkedYAMLError as error:
        line = first_line + (error.problem_mark.line if error.problem_mark else 0)
        raise ConfigurationError(f"{where}, line {line}: expected YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigurationError(f"{where}: expected YAML between the lines ---: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where}, line {first_line}: expected lines of `key: value` between the lines ---")
    seen = set()
    for key, _ in _nodes(header):
        if key.value in seen:  # a reader that takes the last of them and one that refuses both are about
            raise ConfigurationError(
                f"{where}, line {first_line + key.start_mark.line}: expected {key.value} only once"
            )
        seen.add(key.value)
    return values


def _nodes(header: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the keys of a header with their values, where they stand."""
    root = yaml.compose(header, yaml.SafeLoader)
    return [pair for pair in root.value if isinstance(pair[0], yaml.ScalarNode)] if root else []


NO_PAGE = Page(None, {}, "", 1)


def merged(page: Page, own: Mapping[str, Any], suggested: Mapping[str, Any]) -> str:
    """Return the header of a card, with its lines ---.

    Args:
        page: the card that is there now.
        own: what artune says anew each time, whatever a person wrote.
        suggested: what it says where a person says nothing.
    """
    before = {key: value for key, value in page.values.items() if key not in own}
    more = {key: value for key, value in suggested.items() if key not in before}
    return f"---\n{_without(page.header or '', own, before)}{written(more)}{written(own)}---\n"


def written(values: Mapping[Any, Any]) -> str:
    """Return values as lines of YAML, in their order."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True) if values else ""


def _without(header: str, keys: Mapping[str, Any], left: Mapping[Any, Any]) -> str:
    """Return the lines of a header without those of some keys; comments and a person's own way of writing stay.

    Args:
        left: the values of all other keys.
    """
    lines = header.split("\n") if header else []
    gone = {line for key, value in _nodes(header) if key.value in keys for line in _lines_of(key, value, lines)}
    text = "".join(f"{line}\n" for number, line in enumerate(lines) if number not in gone)
    try:
        # Not so where all stands within braces, or where a line that is gone is spoken of by another.
        stands = (yaml.safe_load(f"{text}{_PROBE}: 1\n") or {}) == {**left, _PROBE: 1}
    except yaml.YAMLError:
        stands = False
    return text if stands else written(left)


def _lines_of(key: yaml.Node, value: yaml.Node, lines: list[str]) -> Iterator[int]:
    """Yield the lines of a key with its value; comments after them belong to what follows."""
    last = min(value.end_mark.line - (value.end_mark.column == 0), len(lines) - 1)
    while last > key.start_mark.line and (not lines[last].strip() or lines[last].lstrip().startswith("#")):
        last -= 1
    yield from range(key.start_mark.line, last + 1)
