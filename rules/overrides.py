"""What a curator decides about single items: overrides.csv or overrides.yaml, each with a reason and a date."""

import datetime
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from rules.reading import Mistake, Node
from rules.reading import read as read_yaml
from rules.spelling import fold
from rules.tables import Row, did_you_mean, read_rows, settle

FILES = ("overrides.csv", "overrides.yaml")
ACTIONS = ("label", "reject", "tags", "duplicate_of")
_COLUMNS = ("item", *ACTIONS, "reason", "date")
_REQUIRED = ("item", "reason", "date")
MIN_DIGITS = 12  # of a sha256: one chance in 560 that two of a million blobs share them
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SHA256 = re.compile(rf"[0-9a-fA-F]{{{MIN_DIGITS},64}}")
_ITEM = f"source:source_id, or a sha256 or its first {MIN_DIGITS} digits or more"


class Override(BaseModel):
    """One decision about one item; exactly one of label, reject, tags and duplicate_of says what.

    Attributes:
        item: as the curator names it: source:source_id, or at least the first digits of its sha256.
        sub_genre: beside a label, of recordings only.
        tags: (kind, word of the vocabulary); they replace the item's tags of these kinds.
        duplicate_of: the item that stays instead.
        where: file and line, for messages: no part of what was decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str
    label: str | None = None
    sub_genre: str | None = None
    reject: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    duplicate_of: str | None = None
    reason: str
    date: str
    where: str = Field(default="", exclude=True)

    @property
    def action(self) -> str:
        """What it does: one of ACTIONS."""
        return next(name for name in ACTIONS if getattr(self, name))

    @property
    def why(self) -> str:
        """The sentence for evidence and rejections."""
        return f"override of {self.date}: {self.reason}"

    def mistake(self, value: str, expected: str) -> Mistake:
        file, _, line = self.where.rpartition(":")
        return Mistake(file or "overrides", int(line or 0), value, expected)


class Overrides(BaseModel):
    """All overrides of a rule set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[Override, ...] = ()


def read(
    folder: Path, spellings: Mapping[tuple[str, str], str], labels: Mapping[str, Collection[str]]
) -> tuple[Overrides, list[Mistake]]:
    """Read the overrides of a rule set, if it has any.

    Args:
        spellings: (kind, folded spelling) -> word of the vocabulary; empty where it could not be read.
        labels: name -> its sub-genres; empty where they could not be read.

    Returns:
        the overrides in which nothing is wrong, and what is wrong in the others.
    """
    found = [folder / name for name in FILES if (folder / name).exists()]
    if len(found) > 1:
        return Overrides(), [Mistake(str(found[1]), 1, FILES[1], f"one file of overrides: {FILES[0]} is there too")]
    mistakes: list[Mistake] = []
    entries = []
    for path in found:
        for draft in (_from_csv if path.suffix == ".csv" else _from_yaml)(path, mistakes):
            wrong = list(_wrong(draft))
            override = _settled(draft, spellings, labels, wrong)
            mistakes += wrong
            if not wrong:
                entries.append(override)
    mistakes += contradictions((_key(override.item), override) for override in entries)
    mistakes += cycles({_key(o.item): (_key(o.duplicate_of), o) for o in entries if o.duplicate_of})
    return Overrides(entries=tuple(sorted(entries, key=lambda o: (o.item, o.action, o.date)))), mistakes


@dataclass(frozen=True, slots=True)
class _Draft:
    """An override as it was written.

    Attributes:
        cells: the text of each column that is one.
        tags: (kind, word) as they were written.
        place: where it stands.
    """

    cells: Mapping[str, str]
    tags: Sequence[tuple[str, str]]
    place: Row | Node


def _from_csv(path: Path, mistakes: list[Mistake]) -> Iterator[_Draft]:
    rows, wrong = read_rows(path, _COLUMNS, _REQUIRED)
    mistakes += wrong
    for row in rows:
        tags = []
        for part in row.parts("tags"):
            kind, equals, word = part.partition("=")
            if not equals:
                mistakes.append(row.mistake(part, "kind=word, with a semicolon before the next"))
            tags.append((kind.strip(), word.strip()))
        yield _Draft(row.cells, tags, row)


def _from_yaml(path: Path, mistakes: list[Mistake]) -> Iterator[_Draft]:
    node, wrong = read_yaml(path)
    mistakes += wrong
    entries = node.entries() if node else {}
    for key, value in entries.items():
        if key != "overrides":
            mistakes.append(value.mistake(key, "the one key overrides"))
        elif not isinstance(value.value, list):
            mistakes.append(value.mistake(key, "a list, each entry with item, reason, date and what to do"))
    for entry in entries["overrides"].elements() if "overrides" in entries else []:
        if not entry.entries():
            mistakes.append(entry.mistake("an entry", f"keys of {', '.join(_COLUMNS)}"))
            continue
        yield _Draft(dict(_texts(entry, mistakes)), list(_yaml_tags(entry["tags"], mistakes)), entry)


def _texts(entry: Node, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    for key, node in entry.entries().items():
        if key not in _COLUMNS:
            expected = f"one of the keys {', '.join(_COLUMNS)}{did_you_mean(key, _COLUMNS)}"
            mistakes.append(node.mistake(key, expected))
        elif key == "tags":
            yield key, "tags"
        elif node.text() is None and node.value is not None:
            mistakes.append(node.mistake(f"{key}: {node.plain()}", "a text (in quotes if it looks like a number)"))
        else:
            text = node.text() or ""
            if not text.isprintable():
                mistakes.append(node.mistake(f"{key}: {text}", "printable text on one line"))
            yield key, text.strip()


def _yaml_tags(tags: Node, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    if tags.value is not None and not tags.entries():
        mistakes.append(tags.mistake("tags", "a mapping of kinds, each with a word or a list of words"))
    for kind, node in tags.entries().items():
        for word in node.elements() or [node]:
            if word.text() is None:
                mistakes.append(word.mistake(f"{kind}: {word.plain()}", "a word or a list of words"))
            else:
                yield kind, word.text() or ""


def _wrong(draft: _Draft) -> Iterator[Mistake]:
    """Yield what is wrong whatever the rule set says."""
    cells, place = draft.cells, draft.place
    item = cells.get("item", "")
    for named in ("item", "duplicate_of"):
        if (written := cells.get(named, "")) and not _names_an_item(written):
            yield place.mistake(f"{named}: {written}", _ITEM)
    for column in _REQUIRED:
        if not cells.get(column):
            yield place.mistake(f"{item or 'override'}: no {column}", f"{'an' if column == 'item' else 'a'} {column}")
    if (date := cells.get("date")) and not _is_date(date):
        yield place.mistake(f"date: {date}", "a day as YYYY-MM-DD")
    if (reject := cells.get("reject")) and fold(reject) != "yes":
        yield place.mistake(f"reject: {reject}", "yes, or nothing")
    said = [action for action in ACTIONS if (draft.tags if action == "tags" else cells.get(action))]
    if len(said) != 1:
        found = " and ".join(said) or "nothing to do"
        yield place.mistake(f"{item}: {found}", f"exactly one of {', '.join(ACTIONS)}")


def _names_an_item(written: str) -> bool:
    source, _, source_id = written.partition(":")
    return bool(source and source_id) or bool(_SHA256.fullmatch(written))


def _is_date(written: str) -> bool:
    if not _DATE.fullmatch(written):
        return False
    try:
        datetime.date.fromisoformat(written)
    except ValueError:
        return False
    return True


def _settled(
    draft: _Draft,
    spellings: Mapping[tuple[str, str], str],
    labels: Mapping[str, Collection[str]],
    mistakes: list[Mistake],
) -> Override:
    cells, place = draft.cells, draft.place
    label = sub_genre = None
    if cells.get("label") and labels:
        label, sub_genre = _label(cells["label"], place, spellings, labels, mistakes)
    kinds = sorted({kind for kind, _ in spellings})
    tags = set()
    for kind, written in draft.tags if spellings else ():
        if kind not in kinds:
            expected = f"one of the kinds {', '.join(kinds)}{did_you_mean(kind, kinds)}"
            mistakes.append(place.mistake(kind or "no kind", expected))
        elif word := settle(place, kind, written, spellings, mistakes):
            tags.add((kind, word))
    return Override(
        item=_key(cells.get("item", "")),
        label=label,
        sub_genre=sub_genre,
        reject=bool(cells.get("reject")),
        tags=tuple(sorted(tags)),
        duplicate_of=_key(cells["duplicate_of"]) if cells.get("duplicate_of") else None,
        reason=cells.get("reason", ""),
        date=cells.get("date", ""),
        where=f"{place.file}:{place.line}",
    )


def _label(
    written: str,
    place: Row | Node,
    spellings: Mapping[tuple[str, str], str],
    labels: Mapping[str, Collection[str]],
    mistakes: list[Mistake],
) -> tuple[str | None, str | None]:
    """Return the label and the sub-genre of `Label` or `Label / Sub-genre`."""
    names = {fold(name): name for name in labels}
    if name := names.get(fold(written)):
        return name, None
    before, slash, after = written.rpartition("/")
    name = names.get(fold(before if slash else written))
    if name is None:
        unknown = (before if slash else written).strip()
        mistakes.append(place.mistake(unknown, f"a label of labels.yaml{did_you_mean(unknown, labels)}"))
        return None, None
    sub_genre = spellings.get(("sub_genre", fold(after)))
    if sub_genre not in labels[name]:
        expected = f"a sub-genre of {name}: {', '.join(sorted(labels[name]))}{did_you_mean(after, labels[name])}"
        mistakes.append(place.mistake(after.strip(), expected))
    return name, sub_genre


def _key(item: str) -> str:
    """Return what two ways of writing one item have in common, as far as the item itself is not needed."""
    return item.lower() if _SHA256.fullmatch(item) else item


def contradictions(named: Iterable[tuple[Hashable, Override]]) -> Iterator[Mistake]:
    """Yield the overrides that cannot hold together with an earlier one for the same item.

    A label and tags can; so can tags of different kinds.

    Args:
        named: (the item, an override of it), in the order of the file.
    """
    earlier: dict[Hashable, list[Override]] = {}
    for item, override in named:
        for other in earlier.setdefault(item, []):
            if not _agree(other, override):
                shown = f"{override.item}: {override.action}"
                says = f"{other.action} by line {other.where.rpartition(':')[2]}"
                yield override.mistake(shown, f"nothing that contradicts {says}")
                break
        earlier[item].append(override)


def _agree(one: Override, other: Override) -> bool:
    if {one.action, other.action} == {"label", "tags"}:
        return True
    kinds = ({kind for kind, _ in override.tags} for override in (one, other))
    return one.action == other.action == "tags" and set.isdisjoint(*kinds)


def cycles(stays: Mapping[Hashable, tuple[Hashable, Override]]) -> Iterator[Mistake]:
    """Yield each circle of items of which every one is to give way to the next.

    Args:
        stays: item -> the item that stays instead of it, and the override that says so.
    """
    done: set[Hashable] = set()
    for start in stays:
        path: dict[Hashable, Override] = {}
        item = start
        while item in stays and item not in done and item not in path:
            path[item] = stays[item][1]
            item = stays[item][0]
        if item in path:
            circle = list(path.values())[list(path).index(item) :]
            names = [override.item for override in circle]
            yield circle[0].mistake(names[0], f"one item to stay, not a circle: {' -> '.join([*names, names[0]])}")
        done.update(path)
