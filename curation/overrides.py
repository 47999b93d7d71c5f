"""The curator's overrides beside the items that they speak of: labels that they force, tags, and what they leave out.

An override speaks of content: it holds for every item with the same bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Ints, flat, mask
from curation.schemas import DERIVED_TAG
from curation.tagging import Fitting
from rules.engine import OVERRIDE, Fit
from rules.errors import ConfigurationError
from rules.overrides import MIN_DIGITS, Override, contradictions, cycles
from rules.reading import Mistake
from rules.schema import RuleSet
from rules.tables import did_you_mean

MAX_CANDIDATES = 1_000  # ids to compare an unknown one with
PIECES = 4

_NAMED = ["source", "source_id", "sha256"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Overrides and the rows of a table of items that they speak of, as m pairs.

    Attributes:
        entries: the overrides.
        count: of rows of the table.
        numbers: int64, shape (m,): index into entries.
        rows: int64, shape (m,): of the table.
        kept: int64, shape (m,): of duplicate_of the row that stays, -1 of the others.
        gone: a sentence for each override of which the table lacks an item.
    """

    entries: Sequence[Override]
    count: int
    numbers: Ints
    rows: Ints
    kept: Ints
    gone: Sequence[str]

    def of(self, rows: Ints) -> "Resolved":
        """Return what holds in a table of these rows only; without the item that stays, its duplicate stays too."""
        place = np.full(self.count, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = np.where(self.kept >= 0, place[self.kept], -1)
        there = (place[self.rows] >= 0) & ((self.kept < 0) | (kept >= 0))
        return replace(
            self, count=len(rows), numbers=self.numbers[there], rows=place[self.rows[there]], kept=kept[there]
        )

    def doing(self, *actions: str) -> Iterator[tuple[Override, int, int]]:
        """Yield the overrides that do one of these, each with its row and the row that stays instead, by row."""
        for pair in np.lexsort((self.numbers, self.rows)).tolist():
            override = self.entries[self.numbers[pair]]
            if override.action in actions:
                yield override, int(self.rows[pair]), int(self.kept[pair])

    def rejected(self) -> tuple[Ints, pa.Array, Ints]:
        """Return rows to leave out, why, and the rows that stay instead of them, -1 where none does."""
        found = list(self.doing("reject", "duplicate_of"))
        rows, kept = (np.array([pair[at] for pair in found], np.int64) for at in (1, 2))
        return rows, pa.array([override.why for override, *_ in found], pa.string()), kept

    def links(self) -> Ints:
        """Return rows that are the same work, int64, shape (m, 2)."""
        found = [(row, kept) for _, row, kept in self.doing("duplicate_of")]
        return np.array(found, np.int64).reshape(-1, 2)

    def tags(self) -> pa.ListArray:
        """Return for each row the tags that replace its own of their kinds: lists of schemas.DERIVED_TAG."""
        said: dict[int, list[dict[str, object]]] = {}
        for override, row, _ in self.doing("tags"):
            shared = {"source": override.why, "confidence": 1.0}
            said.setdefault(row, []).extend({"kind": kind, "value": word, **shared} for kind, word in override.tags)
        counts = np.zeros(self.count + 1, dtype=np.int32)
        for row, tags in said.items():
            counts[row + 1] = len(tags)
        values = pa.array([tag for row in sorted(said) for tag in said[row]], DERIVED_TAG)
        return pa.ListArray.from_arrays(pa.array(np.cumsum(counts, dtype=np.int32)), values)


def resolve(items: pa.Table, known: pa.Table, rule_set: RuleSet) -> Resolved:
    """Find the items that the overrides of a rule set speak of.

    Args:
        items: rows of ITEMS that are listed now, of all modalities.
        known: source, source_id and sha256 of everything that was ever collected, the items among them.

    Raises:
        ConfigurationError: with every mistake: an item that nobody has seen, with the ids that look like it; digits
            that begin several hashes; overrides of one item that contradict each other; circles of duplicates;
            duplicates of another modality; a sub-genre for a picture.
    """
    entries = rule_set.overrides.entries
    if not entries:
        none = np.zeros(0, dtype=np.int64)
        return Resolved((), len(items), none, none, none, ())
    finder = _Finder(items, known, {name for o in entries for name in (o.item, o.duplicate_of) if name})
    in_order = sorted(entries, key=_line)
    mistakes = [*_unknown(entries, finder), *_impossible(entries, finder)]
    if not mistakes:
        mistakes += contradictions((finder.content[override.item], override) for override in in_order)
    duplicates = {finder.content[o.item]: o for o in in_order if o.duplicate_of and not mistakes}
    mistakes += cycles({item: (finder.content[o.duplicate_of or ""], o) for item, o in duplicates.items()})
    if mistakes:
        raise ConfigurationError("\n".join(map(str, sorted(set(mistakes)))))
    pairs, gone = [], []
    for number, override in enumerate(entries):
        missing = [name for name in (override.item, override.duplicate_of) if name and not finder.rows(name)]
        if missing:
            gone.append(_sentence(override, f"no source lists {' and '.join(missing)} any more"))
            continue
        kept = finder.rows(_last(override, finder, duplicates))[0] if override.duplicate_of else -1
        pairs += [(number, row, kept) for row in finder.rows(override.item)]
    numbers, rows, kept_rows = np.array(pairs, np.int64).reshape(-1, 3).T
    return Resolved(entries, len(items), numbers, rows, kept_rows, gone)


def force(fitting: Fitting, resolved: Resolved, rule_set: RuleSet, modality: str) -> Fitting:
    """Return the fitting in which items with a forced label fit that label only, whatever the rules say.

    Args:
        resolved: beside the same rows; the override of a recording that names no sub-genre leaves those of the label
            that its tags name, else all of them.
        modality: "image" or "music".
    """
    combination = fitting.combination.copy()
    fits, near_misses = list(fitting.fits), list(fitting.near_misses)
    features, tags = list(fitting.features), list(fitting.tags)
    made: dict[tuple[Override, int], int] = {}
    for override, row, _ in resolved.doing("label"):
        before = int(combination[row])
        if (override, before) not in made:
            made[override, before] = len(fits)
            label = override.label or ""
            sub_genres = [None] if modality == "image" else _sub_genres(override, tags[before], rule_set)
            fits.append(tuple(Fit(label, sub_genre, OVERRIDE, override.why) for sub_genre in sub_genres))
            near_misses.append(())
            features.append(features[before])
            tags.append(tags[before])
        combination[row] = made[override, before]
    # A combination that only forced items had is no longer any item's.
    used, combination = np.unique(combination, return_inverse=True)
    kept = used.tolist()
    return Fitting(
        combination.astype(np.int64),
        [fits[number] for number in kept],
        [near_misses[number] for number in kept],
        [features[number] for number in kept],
        [tags[number] for number in kept],
    )


def _sub_genres(override: Override, tags: str, rule_set: RuleSet) -> list[str]:
    if override.sub_genre:
        return [override.sub_genre]
    possible = sorted(name for label, name in rule_set.quotas if label == override.label)
    return [name for name in possible if f", sub genre {name}, " in f", {tags}, "] or possible


def no_longer_matter(resolved: Resolved, without: Fitting, forced: Fitting) -> list[str]:
    """Return a sentence for each override without which the rules alone would do the same.

    Args:
        resolved: beside rows of one modality.
        without: what the rules say of these rows without any override.
        forced: what they say with them all.
    """
    matter = [False] * len(resolved.entries)
    speaks = [False] * len(resolved.entries)
    for number, row in zip(resolved.numbers.tolist(), resolved.rows.tolist(), strict=True):
        before, after = (_labels(fitting, row) for fitting in (without, forced))
        speaks[number] = True
        leaves_out = resolved.entries[number].action in ("reject", "duplicate_of")
        matter[number] |= bool(before) if leaves_out else before != after
    return [
        _sentence(override, "the rules alone do the same")
        for override, does, here in zip(resolved.entries, matter, speaks, strict=True)
        if here and not does
    ]


def _labels(fitting: Fitting, row: int) -> set[tuple[str, str | None]]:
    return {(fit.label, fit.sub_genre) for fit in fitting.of(row)}


def _sentence(override: Override, why: str) -> str:
    where = f"{override.where}: " if override.where else ""
    return f'{where}{override.item}: "{override.why}" no longer matters: {why}'


class _Finder:
    """Finds items by the names that overrides give them.

    Attributes:
        content: what tells the content of each name that anybody has seen: its sha256, else the name itself.
        several: the hashes of each name that begins more than one.
    """

    def __init__(self, items: pa.Table, known: pa.Table, names: Collection[str]) -> None:
        self._known = known
        now, ever = (_matching(table, names).select(_NAMED).to_pylist() for table in (items, known))
        self.content = {_name(row): str(row["sha256"] or _name(row)) for row in [*ever, *now] if _name(row) in names}
        # Of two items with one name, the one that was fetched is meant.
        self.content |= {_name(row): row["sha256"] for row in now if row["sha256"] and _name(row) in names}
        hashes = sorted({row["sha256"] for row in [*ever, *now] if row["sha256"]})
        begun = {name: [digits for digits in hashes if digits.startswith(name)] for name in names if ":" not in name}
        self.content |= {name: found[0] for name, found in begun.items() if found}
        self.several = {name: found for name, found in begun.items() if len(found) > 1}
        self._rows: dict[str, list[int]] = {}
        self._modalities: dict[int, str | None] = {}
        self._find_rows(items, names)

    def _find_rows(self, items: pa.Table, names: Collection[str]) -> None:
        wanted = pa.array(sorted({*self.content.values()}), pa.string())
        alike = mask(pc.is_in(items["sha256"], value_set=wanted))
        rows = np.flatnonzero(alike | mask(_matches(items, names)))
        found = items.select([*_NAMED, "modality"]).take(pa.array(rows)).to_pylist()
        for row, item in zip(rows.tolist(), found, strict=True):
            self._rows.setdefault(item["sha256"] or _name(item), []).append(row)
            self._modalities[row] = item["modality"]

    def rows(self, name: str) -> list[int]:
        """Return the rows that hold the content of a name now, the named one among them."""
        return self._rows.get(self.content.get(name, name), [])

    def modality(self, name: str) -> str | None:
        return next((found for row in self.rows(name) if (found := self._modalities[row])), None)

    def suggestion(self, name: str) -> str:
        """Return the end of a sentence that names the known ids most like an unknown one."""
        column = flat(self._known["sha256"] if ":" not in name else self._known["source_id"])
        source, _, text = name.partition(":") if ":" in name else ("", "", name)
        # A slip or two leave other pieces of a name as they were: only the ids with most of them are compared.
        size = -(-len(text) // PIECES)
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        held = np.sum([mask(_holds(column, piece)) for piece in pieces], axis=0)
        best = np.argsort(-held, kind="stable")[:MAX_CANDIDATES]
        rows = self._known.select(_NAMED).take(pa.array(best[held[best] > 0])).to_pylist()
        return did_you_mean(name, {_name(row) if source else row["sha256"] for row in rows})


def _name(row: Mapping[str, str | None]) -> str:
    return f"{row['source']}:{row['source_id']}"


def _holds(column: pa.Array, text: str) -> pa.Array:
    return pc.fill_null(pc.match_substring(column, text, ignore_case=True), False)


def _matching(table: pa.Table, names: Collection[str]) -> pa.Table:
    return table.filter(_matches(table, names))


def _matches(table: pa.Table, names: Collection[str]) -> pa.ChunkedArray:
    """Say of each row whether it may have one of the names: cheap, and right for all but a few."""
    ids = pa.array(sorted({name.partition(":")[2] for name in names if ":" in name}), pa.string())
    heads = pa.array(sorted({name[:MIN_DIGITS] for name in names if ":" not in name}), pa.string())
    found = pc.is_in(table["source_id"], value_set=ids)
    if len(heads):
        found = pc.or_(found, pc.is_in(pc.utf8_slice_codeunits(table["sha256"], 0, MIN_DIGITS), value_set=heads))
    return found


def _unknown(entries: Iterable[Override], finder: _Finder) -> Iterator[Mistake]:
    for override in entries:
        for name in filter(None, (override.item, override.duplicate_of)):
            if name not in finder.content:
                expected = f"an item that a source has listed{finder.suggestion(name)}"
                yield override.mistake(name, expected)
            elif name in finder.several:
                yield override.mistake(name, f"enough digits for one of {' and '.join(finder.several[name])}")


def _impossible(entries: Iterable[Override], finder: _Finder) -> Iterator[Mistake]:
    for override in entries:
        modality = finder.modality(override.item)
        if override.sub_genre and modality == "image":
            shown = f"{override.item}: {override.label} / {override.sub_genre}"
            yield override.mistake(shown, "a label alone: it is a picture")
        other = finder.modality(override.duplicate_of) if override.duplicate_of else None
        if modality and other and modality != other:
            shown = f"{override.item}: duplicate of {override.duplicate_of}"
            yield override.mistake(shown, "two pictures or two recordings")


def _last(override: Override, finder: _Finder, duplicates: Mapping[str, Override]) -> str:
    """Return the item that stays in the end, where that which is to stay gives way to another one in its turn."""
    name = override.duplicate_of or ""
    following = duplicates.get(finder.content[name])
    while following and finder.rows(following.duplicate_of or ""):
        name = following.duplicate_of or ""
        following = duplicates.get(finder.content[name])
    return name


def _line(override: Override) -> tuple[str, int]:
    file, _, line = override.where.rpartition(":")
    return file, int(line or 0)
