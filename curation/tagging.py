"""From what is known of items to the labels that fit: the rules run once for each distinct combination of facts."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Ints, flat, group_starts
from rules import engine
from rules.engine import Facts, Fit, NearMiss, Tag
from rules.schema import RuleSet

Floats = npt.NDArray[np.float64]
Column: TypeAlias = pa.Array | pa.ChunkedArray


@dataclass(frozen=True, slots=True)
class Fitting:
    """What the rules say of a table of items.

    Attributes:
        combination: int64, shape (n_items,): index into the four lists.
        fits: for each combination of facts, the labels that fit.
        near_misses: for each combination that fits nowhere, the labels that lack one clause.
        features: for each combination, the canonical music features.
        tags: for each combination, its canonical tags in words.
    """

    combination: Ints
    fits: list[tuple[Fit, ...]]
    near_misses: list[tuple[NearMiss, ...]]
    features: list[list[str]]
    tags: list[str]

    def of(self, row: int) -> tuple[Fit, ...]:
        return self.fits[int(self.combination[row])]


def fitting(
    items: pa.Table,
    rule_set: RuleSet,
    modality: str,
    measured: pa.Table | None = None,
    extra_tags: Column | None = None,
) -> Fitting:
    """Find the labels that fit each item.

    Args:
        items: rows of ITEMS of one modality.
        modality: "image" or "music".
        measured: their rows of IMAGES or RECORDINGS, in the same order; without them no size or length is known.
        extra_tags: for each, what others than its source say of it: list<struct<kind, value, source, confidence>>.
    """
    is_image = modality == "image"
    fit = engine.image_fits if is_image else engine.recording_fits
    miss = engine.image_near_misses if is_image else engine.recording_near_misses
    numbers = _numbers(items, measured, rule_set.bounds)
    combination, examples = _combinations(items, rule_set, numbers, extra_tags)
    judged: dict[object, tuple[tuple[Fit, ...], tuple[NearMiss, ...]]] = {}
    fits, near_misses, features, words = [], [], [], []
    for facts in _facts(items, rule_set, numbers, extra_tags, examples):
        core = _core(facts, rule_set)
        key = core.tags, tuple(core.numbers.items()), core.source
        if key not in judged:
            found = fit(rule_set, core)
            judged[key] = found, () if found else miss(rule_set, core)
        fits.append(judged[key][0])
        near_misses.append(judged[key][1])
        features.append(sorted({tag.value for tag in facts.tags if tag.kind == "music_feature"}))
        words.append(", ".join(f"{tag.kind.replace('_', ' ')} {tag.value}" for tag in facts.tags))
    return Fitting(combination, fits, near_misses, features, words)


def facts_of(
    items: pa.Table, rule_set: RuleSet, measured: pa.Table | None = None, extra_tags: Column | None = None
) -> list[Facts]:
    """Return what rules may ask about each of a few items; the arguments are those of `fitting`."""
    numbers = _numbers(items, measured, rule_set.bounds)
    return list(_facts(items, rule_set, numbers, extra_tags, np.arange(len(items))))


def _facts(
    items: pa.Table, rule_set: RuleSet, numbers: Mapping[str, Floats], extra_tags: Column | None, rows: Ints
) -> Iterator[Facts]:
    said = items.select(["tags", "year", "source"]).take(rows)
    tags, years, sources = (said[name].to_pylist() for name in said.column_names)
    derived: list[Any] = [None] * len(rows)
    if extra_tags is not None:
        derived = flat(extra_tags).take(pa.array(rows)).to_pylist()
    for row, raw, year, source, more in zip(rows.tolist(), tags, years, sources, derived, strict=True):
        pairs = [(tag["kind"], tag["value"]) for tag in raw or ()]
        others = [_tag(tag) for tag in more or ()]
        known = {key: float(column[row]) for key, column in numbers.items() if not np.isnan(column[row])}
        yield Facts(engine.canonical_tags(rule_set, pairs, year, others), known, source)


def _tag(row: Mapping[str, Any]) -> Tag:
    confidence = 1.0 if row["confidence"] is None else row["confidence"]
    return Tag(row["kind"], row["value"], row["source"], confidence)


def _core(facts: Facts, rule_set: RuleSet) -> Facts:
    """Return the facts without what cannot change a fit, numbers and confidences as the bounds that they reach."""
    bounds = rule_set.bounds
    floors = bounds["confidence"]
    tags = []
    for tag in facts.tags:
        if (tag.kind, tag.value) in rule_set.decisive:
            reached = bisect_right(floors, tag.confidence)
            tags.append(Tag(tag.kind, tag.value, tag.origin, floors[reached - 1] if reached else 0.0))
    numbers = {key: _alike(bounds[key], number) for key, number in facts.numbers.items()}
    return Facts(tuple(tags), numbers, facts.source if rule_set.asks_for_source else None)


def _alike(bounds: Sequence[float], number: float) -> float:
    """Return the same number for all between the same two bounds."""
    below, upto = bisect_left(bounds, number), bisect_right(bounds, number)
    if below < upto:
        return number
    if not below:
        return -np.inf
    return (bounds[below - 1] + bounds[below]) / 2 if below < len(bounds) else np.inf


def _numbers(items: pa.Table, measured: pa.Table | None, keys: Collection[str]) -> dict[str, Floats]:
    """Return those columns of numbers that rules ask for, NaN where one is unknown."""
    columns = {"year": items["year"]}
    if measured is not None:
        columns |= {name: measured[name] for name in measured.column_names}
        if "windows" in columns and "loudness_lufs" in keys:
            columns["loudness_lufs"] = _median_loudness(flat(measured["windows"]))
    asked = sorted(key for key in keys if key in columns)
    return {key: flat(columns[key].cast(pa.float64())).to_numpy(zero_copy_only=False) for key in asked}


def _median_loudness(windows: pa.ListArray) -> pa.Array:
    """Return the median of each recording's windows that have a loudness, null where none has."""
    loudness = windows.flatten().field("loudness_lufs")
    heard = loudness.is_valid()
    owner = pc.list_parent_indices(windows).filter(heard).to_numpy()
    values = loudness.filter(heard).to_numpy()
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    starts = group_starts(owner)
    counts = np.diff(np.append(starts, len(owner)))
    median = np.full(len(windows), np.nan)
    median[owner[starts]] = (values[starts + (counts - 1) // 2] + values[starts + counts // 2]) / 2
    return pa.array(median)


def _combinations(
    items: pa.Table, rule_set: RuleSet, numbers: Mapping[str, Floats], extra_tags: Column | None
) -> tuple[Ints, Ints]:
    """Number the combinations of facts that the rules can tell apart, without a Python object per item.

    Returns:
        the number of each item's; and for each combination, in the order of their first items, that item's row.
    """
    tags = pc.list_flatten(items["tags"])
    columns = [_of_lists(items["tags"], _crossed(_codes(_field(tags, name)) for name in ("kind", "value")))]
    if extra_tags is not None:
        tags = pc.list_flatten(extra_tags)
        confidence = flat(pc.fill_null(_field(tags, "confidence").cast(pa.float64()), 1.0)).to_numpy()
        parts = [_codes(_field(tags, name)) for name in ("kind", "value", "source")]
        parts.append(np.searchsorted(rule_set.bounds["confidence"], confidence, side="right"))
        columns.append(_of_lists(extra_tags, _crossed(parts)))
    if rule_set.asks_for_source:
        columns.append(_codes(items["source"]))
    columns += [_binned(rule_set.bounds[key], column) for key, column in numbers.items()]
    combination = _crossed(columns)
    examples = np.empty(combination.max(initial=-1) + 1, dtype=np.int64)
    examples[combination[::-1]] = np.arange(len(items))[::-1]
    return combination, examples


def _field(structs: Column, name: str) -> pa.Array:
    return flat(structs).field(name)


def _codes(texts: Column) -> Ints:
    """Number the texts, equal ones equally, from 0."""
    numbers: Ints = pc.fill_null(flat(texts).dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    return numbers + 1


def _binned(bounds: Sequence[float], numbers: Floats) -> Ints:
    """Number what lies on a bound or between two; unknown numbers are 0."""
    place = np.searchsorted(bounds, numbers, side="left") + np.searchsorted(bounds, numbers, side="right")
    return np.where(np.isnan(numbers), 0, place + 1)


def _crossed(columns: Iterable[Ints]) -> Ints:
    """Number the combinations of columns, from 0 in the order of their first rows."""
    first, *others = columns
    combination = _dense(first)
    for codes in others:
        combination = _dense(combination * (codes.max(initial=0) + 1) + codes)
    return combination


def _dense(codes: Ints) -> Ints:
    numbers: Ints = pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


def _of_lists(lists: Column, elements: Ints) -> Ints:
    """Number the lists, equal ones equally, from the numbers of their elements, one place of all lists at a time."""
    lengths = flat(pc.fill_null(pc.list_value_length(lists), 0)).to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    numbers = np.zeros(len(lengths), dtype=np.int64)
    rows, place, used = np.flatnonzero(lengths), 0, 0
    width = elements.max(initial=0) + 1
    while len(rows):
        longer = _dense(numbers[rows] * width + elements[starts[rows] + place])
        numbers[rows] = longer + used + 1  # apart from those of shorter lists
        used += int(longer.max()) + 1
        place += 1
        rows = rows[lengths[rows] > place]
    return numbers
