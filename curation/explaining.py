"""All that is known of one item: its tags, the rules that were tried on it, its kin, and its fate in every release."""

import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import evidence, measure, tombstones
from curation.evidence import Evidence
from curation.releases import Release, get, numbers
from curation.schemas import ITEMS
from curation.store import Home, opened
from curation.stored import read_files
from rules import engine
from rules.engine import Tag, Trial
from rules.errors import ConfigurationError
from rules.schema import RuleSet
from rules.spelling import closest

MIN_DIGITS = 8
MAX_NAMED = 3

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Name:
    """What an item is called; no two have one name."""

    source: str
    source_id: str

    def __str__(self) -> str:
        return f"{self.source}:{self.source_id}"


@dataclass(frozen=True, slots=True)
class Kin:
    """Another item of the same group or cluster of duplicates, and what ties it."""

    name: str
    link: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a curator decided about the item, why, and where it is written."""

    action: str
    value: str
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class Request:
    """When somebody asked that the item is removed, and why."""

    asked_at: str
    because: str


@dataclass(frozen=True, slots=True)
class Held:
    """An image or a clip in a release, or remembered by it.

    Attributes:
        start_s: of a clip.
        partner: None where it is only remembered: an earlier release held it.
        since: the first release that held it.
    """

    label: str
    split: str
    group: str
    start_s: float | None
    pair_id: str | None
    partner: str | None
    since: int
    rule: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An image, a recording or a clip that a release left out."""

    unit: str
    stage: str
    reason: str
    detail: str | None
    start_s: float | None
    kept: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What one release says of an item; nothing if it was not there yet, or not any more."""

    release: int
    rule_set: str
    held: list[Held] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one item.

    Attributes:
        removals: the requests to remove it; with one, it is in no release from then on.
        item: its row of ITEMS.
        measured: its row of IMAGES or RECORDINGS; None if it was never measured with today's parameters.
        kin: as the last release that knows the item has it.
    """

    name: str
    removals: list[Request]
    item: Row
    measured: Row | None
    overrides: list[Decision]
    tags: tuple[Tag, ...]
    trials: tuple[Trial, ...]
    kin: list[Kin]
    fates: list[Fate]


def explain(home: Home, rule_set: RuleSet, text: str) -> list[Explanation]:
    """Explain what a person names: one item, or both sides of a pair.

    Args:
        text: source:source_id, a source_id, a sha256 or its first digits, or a pair_id.

    Raises:
        ConfigurationError: nothing is called so, or several are.
    """
    releases = [get(home, number) for number in numbers(home)]
    found = sides(releases, text) or [find(home, text)]
    return [_explain(home, rule_set, releases, name) for name in found]


def sides(releases: list[Release], text: str) -> list[Name]:
    """Return the two sides of the pair of this name, if there is one."""
    for release in reversed(releases):
        rows = _read(release, "assignment", ["source", "source_id"], pc.field("pair_id") == text)
        if rows:
            return [Name(**row) for row in rows]
    return []


class UnknownItem(ConfigurationError):
    """Nothing is called so."""


def find(home: Home, text: str) -> Name:
    """Find the item that is called so.

    Raises:
        UnknownItem: none is.
        ConfigurationError: several are.
    """
    removed = tombstones.names_table(tombstones.read(home))  # some before they were ever collected
    rows = pa.concat_tables([_read_items(home, removed.column_names), removed])
    source, _, source_id = text.partition(":")
    whole = pc.and_(pc.equal(rows["source"], source), pc.equal(rows["source_id"], source_id))
    prefix = text.lower() if re.fullmatch(f"[0-9a-fA-F]{{{MIN_DIGITS},64}}", text) else None
    for matches in (
        whole,
        pc.equal(rows["source_id"], text),
        pc.starts_with(rows["sha256"], prefix) if prefix else None,
    ):
        if matches is not None and (names := _names(rows.filter(matches))):
            if len(names) > 1:
                shown = ", ".join(map(str, names[:MAX_NAMED])) + (", ..." if len(names) > MAX_NAMED else "")
                raise ConfigurationError(f"item {text!r}: {len(names)} items are called so: {shown}; name one of them")
            return names[0]
    raise UnknownItem(f"item {text!r}: {_nothing_like(rows, text)}")


def _nothing_like(rows: pa.Table, text: str) -> str:
    if not len(rows):
        return "no item is known yet; `artune build` collects"
    names = _names(rows)
    source, _, source_id = text.partition(":")
    wanted = source_id if source in {name.source for name in names} else text
    named = {name.source_id: str(name) for name in names}
    near = [named[match] for match in closest(wanted, named)]
    expected = f"expected source:source_id, a source_id, {MIN_DIGITS} or more digits of a sha256, or a pair_id"
    hint = f"near it: {', '.join(near)}; " if near else ""
    return f"no item is called so; {hint}{expected}"


def _names(rows: pa.Table) -> list[Name]:
    names = rows.group_by(["source", "source_id"]).aggregate([]).to_pylist()
    return sorted((Name(**row) for row in names), key=lambda name: (name.source, name.source_id))


def _read_items(home: Home, columns: list[str], only: pc.Expression | None = None) -> pa.Table:
    return read_files(sorted((home.root / "items").glob("*/*.parquet")), ITEMS, columns, only)


def _read(release: Release, name: str, columns: list[str], only: pc.Expression) -> list[Row]:
    path = opened(release.folder / f"{name}.parquet")
    rows: list[Row] = pq.read_table(path, columns=columns, filters=only).to_pylist()
    return rows


def _explain(home: Home, rule_set: RuleSet, releases: list[Release], name: Name) -> Explanation:
    fates = [_fate(release, name, rule_set.audio.sample_rate_hz) for release in releases]
    known = [release for release, fate in zip(releases, fates, strict=True) if fate.held or fate.refused]
    items = _item(home, name, known)
    measured = _measured(home, rule_set, items)
    modality = items["modality"][0].as_py()
    said = evidence.gather(home, items, rule_set)
    (facts,) = evidence.facts_of(items, rule_set, modality or "image", measured, said)
    tried = {"image": engine.explain_image, "music": engine.explain_recording}.get(modality)
    return Explanation(
        name=str(name),
        removals=_requests(home, name),
        item=items.to_pylist()[0],
        measured=measured.to_pylist()[0] if measured else None,
        overrides=_overrides(rule_set, name, said),
        tags=facts.tags,
        trials=(*_forced(said), *(tried(rule_set, facts) if tried else ())),
        kin=_kin(known[-1], name) if known else [],
        fates=fates,
    )


def _requests(home: Home, name: Name) -> list[Request]:
    """Return the requests to remove an item, each once, whatever contents it had."""
    mine = tombstones.of(home, *astuple(name))
    return sorted({Request(each.asked_at, each.because) for each in mine}, key=astuple)


def _forced(said: Evidence) -> Iterator[Trial]:
    """Yield the label that an override gives, before what the rules say: it wins."""
    for override, *_ in said.overrides.doing("label"):
        yield Trial(override.label or "", True, ((override.why, True),))


def _overrides(rule_set: RuleSet, name: Name, said: Evidence) -> list[Decision]:
    """Return what speaks of the item, or of another one with the same bytes."""
    meant = {said.overrides.entries[number] for number in said.overrides.numbers.tolist()}
    return [
        Decision(override.action, _words(getattr(override, override.action)), override.why, override.where)
        for override in rule_set.overrides.entries
        if override in meant or override.item == str(name)
    ]


def _words(value: str | bool | tuple[tuple[str, str], ...]) -> str:
    """Return what an override says, whatever its action."""
    return ", ".join(f"{kind} {word}" for kind, word in value) if isinstance(value, tuple) else str(value)


def _item(home: Home, name: Name, known: list[Release]) -> pa.Table:
    """Return the row of the item; of several states that it was listed in, the one of the last release."""
    rows = _read_items(home, ITEMS.names, _is(name)).sort_by([("version", "descending")])  # of the web, the last first
    if not len(rows):  # its removal was asked for before it was ever collected
        nothing = {"source": name.source, "source_id": name.source_id, "reason": tombstones.REASON}
        return pa.Table.from_pylist([nothing | {"tags": []}], ITEMS)
    released = (
        [_read(known[-1], table, ["sha256"], _is(name)) for table in ("assignment", "rejections")] if known else []
    )
    last = {row["sha256"] for found in released for row in found}
    states = zip(rows["sha256"].to_pylist(), rows["reason"].to_pylist(), strict=True)
    order = [(sha256 in last, reason is None) for sha256, reason in states]
    return rows.slice(order.index(max(order)), 1)


def _is(name: Name) -> pc.Expression:
    return (pc.field("source") == name.source) & (pc.field("source_id") == name.source_id)


def _measured(home: Home, rule_set: RuleSet, items: pa.Table) -> pa.Table | None:
    """Return the measurements of the item, if there are any with today's parameters."""
    step = measure.steps(rule_set).get(items["modality"][0].as_py())
    paths = sorted(home.derived(step.name, step.key).glob("*.parquet")) if step else []
    if not step or not paths:
        return None
    rows = read_files(paths, step.schema, step.schema.names, pc.field("sha256") == items["sha256"][0])
    return rows.slice(0, 1) if len(rows) else None


def _fate(release: Release, name: Name, rate_hz: int) -> Fate:
    columns = ["side", "sha256", "start_sample", "source", "source_id", "group", "split", "label"]
    columns += ["rule", "evidence", "pair_id", "release"]
    own = _read(release, "assignment", columns, _is(name))
    ids = [row["pair_id"] for row in own if row["pair_id"]]
    paired = (
        _read(
            release,
            "assignment",
            ["pair_id", "source", "source_id", "side"],
            pc.field("pair_id").isin(pa.array(ids, pa.string())),
        )
        if ids
        else []
    )
    partners = {(row["pair_id"], row["side"]): str(Name(row["source"], row["source_id"])) for row in paired}
    other = {"image": "music", "music": "image"}
    held = [
        Held(
            row["label"],
            row["split"],
            row["group"],
            _seconds(row, rate_hz),
            row["pair_id"],
            partners.get((row["pair_id"], other[row["side"]])),
            row["release"],
            row["rule"],
            row["evidence"],
        )
        for row in own
    ]
    columns = ["unit", "stage", "reason", "detail", "start_sample", "kept_source_id"]
    refused = [
        Refused(row["unit"], row["stage"], row["reason"], row["detail"], _seconds(row, rate_hz), row["kept_source_id"])
        for row in _read(release, "rejections", columns, _is(name))
    ]
    return Fate(release.number, release.manifest["rule_set"]["name"], held, refused)


def _seconds(row: Row, rate_hz: int) -> float | None:
    return None if row["start_sample"] is None else round(row["start_sample"] / rate_hz, 3)


def _kin(release: Release, name: Name) -> list[Kin]:
    """Return the duplicates of an item, and what lies in its group."""
    columns = ["source", "source_id", "reason", "kept_source_id"]
    duplicates = _read(release, "rejections", columns, pc.field("kept_source_id").is_valid())
    mine = next((row["kept_source_id"] for row in duplicates if Name(row["source"], row["source_id"]) == name), None)
    stays = mine or name.source_id
    found: dict[Name, str] = {}
    for row in duplicates:
        if row["kept_source_id"] == stays:
            found[Name(row["source"], row["source_id"])] = f"{row['reason']} of {stays}"
    columns = ["source", "source_id", "work", "group"]
    held = _read(release, "assignment", columns, pc.field("source_id") == stays)
    groups = sorted({row["group"] for row in held})
    works = {row["work"] for row in held if row["work"]}
    for row in _read(release, "assignment", columns, pc.field("group").isin(pa.array(groups, pa.string()))):
        other = Name(row["source"], row["source_id"])
        why = f"same work: {row['work']}" if row["work"] in works else "same group"
        found.setdefault(other, f"{row['source_id']} stays of the duplicates" if row["source_id"] == mine else why)
    found.pop(name, None)
    return [Kin(str(other), link) for other, link in sorted(found.items(), key=lambda pair: str(pair[0]))]
