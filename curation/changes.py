"""What differs between two releases, or between a release and what a build would make of it.

The unit is what is sticky: a picture, and a clip (recording and start). Everything is done on whole columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.columns import HEAD_DIGITS, Bools, Ints, Keys, heads
from curation.memory import SPLITS
from curation.releases import Release
from curation.schemas import ASSIGNMENT, REJECTIONS
from curation.store import opened
from rules.errors import ConfigurationError

# From what a reader must see first to what matters least; a unit is counted once, under the first that is true of it.
KINDS = ("split", "lost", "moved", "gained", "partner")
SIDES = ("image", "music")
MAX_CODES = 2**31  # so that the product with the values of a further column does not overflow
TITLES = ["image_sha256", "image_title", "music_sha256", "music_title"]

_KNOWN = [ASSIGNMENT.field(name) for name in ("side", "sha256", "start_sample", "source", "source_id")]
_BOTH = ("label", "split", "rule", "pair_id")
# A row for every picture and clip that is not what it was. `why` is the evidence of what is held, and of what is left
# out the detail of its rejection, whose reason is `reason`; it is null too for what no source lists.
CHANGES = pa.schema(
    [
        ("kind", pa.string()),
        *_KNOWN,
        ("title", pa.string()),
        *[(f"{name}_{when}", pa.string()) for name in (*_BOTH, "reason", "why") for when in ("before", "after")],
    ]
)


@dataclass(frozen=True, slots=True)
class State:
    """What a release holds and what it leaves out.

    Attributes:
        assignment: schema ASSIGNMENT.
        rejections: schema REJECTIONS.
        pairs: the columns of TITLES, a row for each pair.
    """

    assignment: pa.Table
    rejections: pa.Table
    pairs: pa.Table


NOTHING = State(
    ASSIGNMENT.empty_table(), REJECTIONS.empty_table(), pa.schema([(n, pa.string()) for n in TITLES]).empty_table()
)


def state_of(release: Release, names: Mapping[str, str]) -> State:
    """Read what a release holds, its labels by other names."""
    assignment = pq.ParquetFile(opened(release.folder / "assignment.parquet")).read()
    place = assignment.schema.get_field_index("label")
    assignment = assignment.set_column(place, "label", _mapped(assignment["label"], names))
    files = sorted((release.folder / "metadata").glob("*.parquet"))
    pairs = pa.concat_tables([pq.ParquetFile(opened(path)).read(TITLES) for path in files])
    return State(assignment, pq.ParquetFile(opened(release.folder / "rejections.parquet")).read(), pairs)


def between(first: Release, second: Release) -> "Changes":
    """Compare two releases of one data set, adjacent or not, in either direction.

    Raises:
        ConfigurationError: they are of two data sets.
    """
    data_sets = [release.manifest["rule_set"]["name"] for release in (first, second)]
    if data_sets[0] != data_sets[1]:
        raise ConfigurationError(
            f"release {first.number} is of {data_sets[0]} and release {second.number} of {data_sets[1]}: expected two "
            "releases of one data set"
        )
    # A label keeps its number for life, whatever it is called.
    names = dict(zip(first.manifest["labels"], second.manifest["labels"], strict=False))
    return compare(state_of(first, names), state_of(second, {}))


@dataclass(frozen=True)
class Changes:
    """The difference of two states.

    Attributes:
        before: label, split and pair_id of every pair that was.
        after: likewise of every pair that is.
        items: schema CHANGES, ordered by kind, side, source and id.
        reworded: pair_id of the pairs that stay, and of which a side has another label, rule or evidence.
    """

    before: pa.Table
    after: pa.Table
    items: pa.Table
    reworded: pa.Array

    @property
    def is_empty(self) -> bool:
        """Say whether not one published row would be another."""
        return not len(self.items) and not len(self.reworded)

    @cached_property
    def pairs(self) -> "PairCounts":
        """How many pairs stay, come and go."""
        kept = int(np.sum(_places(_numbers(self.after["pair_id"]), _numbers(self.before["pair_id"])) >= 0))
        return PairCounts(kept, len(self.after) - kept, len(self.before) - kept)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What became of pairs: the same two sides, new ones, and those that are no more."""

    kept: int
    new: int
    ended: int


def compare(before: State, after: State) -> Changes:
    """Find every picture and clip that is not what it was."""
    units_before, units_after = _units(before.assignment), _units(after.assignment)
    found, reworded = [], []
    for side in SIDES:
        one, two = _held(before, side), _held(after, side)
        at = _places(units_after[two], units_before[one])
        then = np.append(one, -1)[at]  # -1 where it was not held
        kind, is_reworded = _kinds(before.assignment, after.assignment, then, two)
        reworded.append(after.assignment["pair_id"].take(two[is_reworded]))
        changed = kind != ""
        lost = np.setdiff1d(one, one[at[at >= 0]], assume_unique=True)
        rows_before = _taken(before.assignment, np.concatenate([then[changed], lost]))
        rows_after = _taken(after.assignment, np.concatenate([two[changed], np.full(len(lost), -1)]))
        kinds = np.concatenate([kind[changed], np.full(len(lost), "lost")])
        found.append(_rows(kinds, side, (before, rows_before), (after, rows_after)))
    items = pa.concat_tables(found)
    rank = pc.index_in(items["kind"], value_set=pa.array(KINDS))
    order = [(name, "ascending") for name in ("rank", "side", "source", "source_id", "start_sample", "sha256")]
    items = items.append_column("rank", rank).sort_by(order).drop_columns(["rank"])
    was, now = (s.assignment.select(["label", "split", "pair_id"]).take(_held(s, "image")) for s in (before, after))
    return Changes(
        was, now, items, pc.unique(pa.chunked_array([c for ids in reworded for c in ids.chunks], pa.string()))
    )


def _held(state: State, side: str) -> Ints:
    """Return the rows of a side that are in a pair."""
    is_held = pc.and_(pc.equal(state.assignment["side"], side), state.assignment["pair_id"].is_valid())
    return np.flatnonzero(is_held.to_numpy())


def _units(rows: pa.Table) -> Keys:
    """Return a number for each picture or clip; that of a picture is that of its blob."""
    start = pc.fill_null(rows["start_sample"], -1).to_numpy().astype(np.uint64)
    with np.errstate(over="ignore"):
        units: Keys = _numbers(rows["sha256"]) + (start + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return units


def _numbers(hashes: pa.ChunkedArray) -> Keys:
    """Return a number for each hash, shape (n,), 0 for null: numbers are found far faster than texts."""
    return heads(pc.fill_null(hashes, "0" * HEAD_DIGITS))


def _places(wanted: Keys, among: Keys) -> Ints:
    """Return for each number its first place among others, -1 where it is not."""
    distinct, which = np.unique(wanted, return_inverse=True)
    if not len(distinct):
        return np.zeros(0, dtype=np.int64)
    near = np.minimum(np.searchsorted(distinct, among), len(distinct) - 1)
    hits = np.flatnonzero(distinct[near] == among)[::-1]  # the first is written last
    place = np.full(len(distinct), -1, dtype=np.int64)
    place[near[hits]] = hits
    return place[which]


def _taken(table: pa.Table, at: Ints) -> pa.Table:
    """Return these rows, all null where the place is -1."""
    return table.take(pa.array(at, mask=at < 0))


def _kinds(before: pa.Table, after: pa.Table, one: Ints, two: Ints) -> tuple[npt.NDArray[np.str_], Bools]:
    """Say what happened to each unit, "" to what is as it was; and which are in the pair that they were in, reworded.

    Args:
        one: its row before, -1 where it was not held.
        two: its row after.
    """

    def differs(column: str) -> Bools:
        then, now = _taken(before.select([column]), one), after.select([column]).take(two)
        return np.asarray(pc.fill_null(pc.not_equal(then[column], now[column]), True).to_numpy())

    split, label, pair = (differs(column) for column in ("split", "label", "pair_id"))
    kind = np.select([one < 0, split, label, pair], ["gained", "split", "moved", "partner"], "")
    return kind, ~pair & (label | differs("rule") | differs("evidence"))


def _rows(
    kind: npt.NDArray[np.str_], side: str, before: tuple[State, pa.Table], after: tuple[State, pa.Table]
) -> pa.Table:
    """Write down changed units of a side; of what is not held on one side, all columns of that table are null."""
    columns: dict[str, pa.ChunkedArray | pa.Array] = {"kind": pa.array(kind, pa.string())}
    columns |= {field.name: pc.coalesce(after[1][field.name], before[1][field.name]) for field in _KNOWN}
    known = pa.table(columns)
    columns["title"] = pc.coalesce(*(_titles(known, side, state.pairs) for state, _ in (after, before)))
    for when, (state, rows) in (("before", before), ("after", after)):
        columns |= {f"{name}_{when}": rows[name] for name in _BOTH}
        refusal = _refusals(known, rows, state.rejections)
        columns[f"reason_{when}"] = refusal["reason"]
        columns[f"why_{when}"] = pc.coalesce(rows["evidence"], refusal["detail"])
    return pa.table([columns[name] for name in CHANGES.names], schema=CHANGES)


def _titles(known: pa.Table, side: str, pairs: pa.Table) -> pa.ChunkedArray:
    at = _places(_numbers(known["sha256"]), _numbers(pairs[f"{side}_sha256"]))
    return pairs[f"{side}_title"].take(pa.array(at, mask=at < 0))


def _refusals(known: pa.Table, rows: pa.Table, rejections: pa.Table) -> pa.Table:
    """Return the rejection of every unit that is not held; all null where it is, and where nothing says why."""
    # A copy of what is kept shares its hash: what is said of the item itself comes first.
    is_copy = pc.equal(rejections["reason"], "exact_duplicate")
    rejections = pa.concat_tables([rejections.filter(pc.invert(is_copy)), rejections.filter(is_copy)])
    is_clip = pc.equal(rejections["unit"], "clip").to_numpy()
    of_unit = _places(_units(known), _units(rejections))
    of_blob = _places(_numbers(known["sha256"]), np.where(is_clip, np.uint64(0), _numbers(rejections["sha256"])))
    at = np.where(of_unit >= 0, of_unit, of_blob)
    return _taken(rejections, np.where(rows["sha256"].is_null().to_numpy(), at, -1))


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of a table that have the same values."""

    key: tuple[str | None, ...]
    rows: Ints


def grouped(table: pa.Table, columns: Sequence[str]) -> list[Group]:
    """Group rows by the values of columns of text, the largest group first, ties by their values."""
    if not len(table):
        return []
    code, kinds = np.zeros(len(table), dtype=np.int64), 1
    for column in columns:
        encoded = table[column].combine_chunks().dictionary_encode(null_encoding="encode")
        kinds *= len(encoded.dictionary)
        code = code * len(encoded.dictionary) + encoded.indices.to_numpy(zero_copy_only=False)
        if kinds > MAX_CODES:
            code = np.unique(code, return_inverse=True)[1]
            kinds = int(code.max()) + 1
    order = np.argsort(code, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    firsts = table.select(columns).take([int(part[0]) for part in parts]).to_pylist()
    groups = [Group(tuple(first[name] for name in columns), part) for first, part in zip(firsts, parts, strict=True)]
    return sorted(groups, key=lambda group: (-len(group.rows), [value or "" for value in group.key]))


@dataclass(frozen=True, slots=True)
class Flow:
    """How many units of a label came from nowhere, left, came from another label, and went to one."""

    gained: int = 0
    lost: int = 0
    moved_in: int = 0
    moved_out: int = 0


@dataclass(frozen=True, slots=True)
class LabelChange:
    """What becomes of a label.

    Attributes:
        before: pairs by split.
        after: likewise.
        pictures: what comes and goes; a picture or clip that only changes its partner is not counted.
        recordings: likewise, whole recordings: all those of which a clip comes or goes.
    """

    name: str
    before: dict[str, int]
    after: dict[str, int]
    pictures: Flow
    clips: Flow
    recordings: Flow

    @property
    def pairs_before(self) -> int:
        return sum(self.before.values())

    @property
    def pairs_after(self) -> int:
        return sum(self.after.values())

    @property
    def is_touched(self) -> bool:
        """Say whether anything of it is not as it was."""
        return self.before != self.after or any(flow != Flow() for flow in (self.pictures, self.clips))


def labels(changes: Changes, names: Sequence[str]) -> list[LabelChange]:
    """Sum up what becomes of each of these labels, and of others that were there, in this order."""
    was, now = _pairs_by_label(changes.before), _pairs_by_label(changes.after)
    sha256s = changes.items["sha256"]
    flows = (
        _flows(changes, "image", len),
        _flows(changes, "music", len),
        _flows(changes, "music", lambda rows: len(pc.unique(sha256s.take(rows)))),
    )
    nothing = dict.fromkeys(SPLITS, 0)
    return [
        LabelChange(
            name, nothing | was.get(name, {}), nothing | now.get(name, {}), *(Flow(**f.get(name, {})) for f in flows)
        )
        for name in dict.fromkeys([*names, *was, *now])
    ]


def _pairs_by_label(pairs: pa.Table) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for group in grouped(pairs, ["label", "split"]):
        label, split = map(str, group.key)
        counts.setdefault(label, {})[split] = len(group.rows)
    return counts


def _flows(changes: Changes, side: str, count: Callable[[Ints], int]) -> dict[str, dict[str, int]]:
    flows: dict[str, dict[str, int]] = {}
    mine = np.flatnonzero(pc.equal(changes.items["side"], side).to_numpy())
    for group in grouped(changes.items.take(mine), ["label_before", "label_after"]):
        before, after = group.key
        if before == after:
            continue
        number = count(mine[group.rows])
        if before is not None:
            name = "lost" if after is None else "moved_out"
            flows.setdefault(before, {}).setdefault(name, 0)
            flows[before][name] += number
        if after is not None:
            name = "gained" if before is None else "moved_in"
            flows.setdefault(after, {}).setdefault(name, 0)
            flows[after][name] += number
    return flows


@dataclass(frozen=True, slots=True)
class Cause:
    """Why units changed: what was said of them, and what is said now."""

    before: str | None
    after: str | None
    count: int
    examples: Sequence[Mapping[str, str | int | None]]  # rows of CHANGES


@dataclass(frozen=True, slots=True)
class Transition:
    """Units of one side that went the same way.

    Attributes:
        before: a label; None for what was not held, with the reason that it was left out for, if it was seen.
        causes: the most frequent, of `kinds_of_cause` in all.
    """

    kind: str
    side: str
    before: str | None
    after: str | None
    reason_before: str | None
    reason_after: str | None
    count: int
    causes: Sequence[Cause]
    kinds_of_cause: int

    @property
    def words(self) -> tuple[str, str]:
        """Where the units come from and where they go."""
        return words(self.before, self.reason_before, "new"), words(self.after, self.reason_after, "in no source")


def words(label: str | None, reason: str | None, otherwise: str) -> str:
    """Say where a unit is: in a label, left out, or nowhere."""
    return label or (f"left out: {reason.replace('_', ' ')}" if reason else otherwise)


_WAY = ["kind", "side", "label_before", "label_after", "reason_before", "reason_after"]


def transitions(changes: Changes, most: int, causes: int, examples: int) -> tuple[list[Transition], int]:
    """Return the most frequent ways in which units changed, each with its causes, and how many ways there are."""
    ways = grouped(changes.items, _WAY)
    return [_transition(changes.items.take(way.rows), way, causes, examples) for way in ways[:most]], len(ways)


def _transition(items: pa.Table, way: Group, most: int, examples: int) -> Transition:
    kind, side, before, after, reason_before, reason_after = way.key
    groups = grouped(items, ["why_before", "why_after"])
    causes = [
        Cause(group.key[0], group.key[1], len(group.rows), items.take(group.rows[:examples]).to_pylist())
        for group in groups[:most]
    ]
    return Transition(str(kind), str(side), before, after, reason_before, reason_after, len(items), causes, len(groups))


def _mapped(column: pa.ChunkedArray, names: Mapping[str, str]) -> pa.Array:
    encoded = column.combine_chunks().dictionary_encode()
    words = [names.get(name, name) for name in encoded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(encoded.indices)
