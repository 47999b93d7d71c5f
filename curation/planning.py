"""What a build would decide, and what that would change: the same functions decide for both. Nothing here writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import changes, copies, evidence, links, measure, overrides
from curation.assignment import Assignment, assign, fill_without_memory
from curation.changes import Changes, LabelChange, State
from curation.collect import Listing, current_items, ever_collected, last_listing
from curation.columns import Bools, mask
from curation.evidence import Evidence
from curation.links import Links
from curation.memory import Memory
from curation.rejections import UNIT
from curation.releases import PublishedRules, Release, latest, memory_of, numbers, publish, rule_set_of
from curation.remeasuring import remeasured
from curation.schemas import REJECTIONS
from curation.sending import Sending, estimate
from curation.store import Home, in_order, whole
from curation.tables import assignment_table, pairs_table
from rules.errors import ConfigurationError
from rules.schema import RuleSet

CLIP_FORMAT = {"sample_rate_hz", "channels", "clip_s"}
MAX_DROP_SHARE = 0.1  # of the parent's pairs that a release may lose unasked
NOT_COLLECTED, NOT_MEASURED = "not collected yet", "not measured yet"  # where a rejection has its reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What a release will hold.

    Attributes:
        pairs: schema PAIRS with a column split, ordered by pair_id.
        held: schema ASSIGNMENT.
    """

    assignment: Assignment
    pairs: pa.Table
    held: pa.Table
    evidence: Evidence


def parent_of(home: Home, rule_set: RuleSet) -> Release | None:
    """Return the release that the next one of this rule set follows.

    Raises:
        ConfigurationError: the rule set asks for clips of another format, which later releases cannot have, or the last
            release was rehydrated.
    """
    parent = latest(home, rule_set.name)
    if parent:
        refuse_rehydrated(parent)
        before, now = (rules.audio.model_dump(include=CLIP_FORMAT) for rules in (rule_set_of(parent), rule_set))
        if before != now:
            raise ConfigurationError(
                f"the clips of release {parent.number} are {before}; the rule set asks for {now}: "
                "released clips stay as they are, so build another format in a work folder of its own"
            )
    return parent


def refuse_rehydrated(parent: Release) -> None:
    """Refuse to go on from a release that was made from a publication.

    Raises:
        ConfigurationError: it was: what earlier releases held in which split, which is for life, it does not know.
    """
    if made_from := parent.manifest.get("rehydrated"):
        raise ConfigurationError(
            f"release {parent.number} was rehydrated from {made_from['name']} and does not remember what earlier "
            "releases held, so nothing can follow it: build in a work folder of its own (--home DIR)"
        )


def refuse(home: Home, rule_set: RuleSet) -> None:
    """Refuse what a rule set cannot be in this work folder, as far as that is known before anything is collected.

    Raises:
        ConfigurationError: labels or clips that the last release forbids, or overrides that cannot hold.
    """
    publish(rule_set, parent_of(home, rule_set))
    listing = last_listing(home, rule_set.name)
    if listing:
        overrides.resolve(current_items(home, listing), ever_collected(home), rule_set)


def wanted(home: Home, items: pa.Table, memory: Memory, modality: str) -> pa.ChunkedArray:
    """Return the blobs of a modality that a decision needs the measurements of."""
    mine = items.filter(pc.and_(pc.equal(items["modality"], modality), items["reason"].is_null()))["sha256"]
    # What no source lists any more is measured again only while its blob is there.
    gone = memory.sha256s(modality).filter(
        pc.invert(pc.is_in(memory.sha256s(modality), value_set=mine.combine_chunks()))
    )
    left = pc.unique(gone).to_pylist()
    is_there = in_order(lambda blob: blob.exists(), [home.blob(sha256) for sha256 in left])
    there = [sha256 for sha256, found in zip(left, is_there, strict=True) if found]
    return pa.chunked_array([*mine.chunks, pa.array(there, pa.string())])


def measured(home: Home, items: pa.Table, rule_set: RuleSet, memory: Memory) -> list[pa.Table]:
    """Return the measurements that exist of pictures and of recordings."""
    return [
        measure.measured(home, step, wanted(home, items, memory, modality))
        for modality, step in measure.steps(rule_set).items()
    ]


def decide(
    home: Home,
    number: int,
    items: pa.Table,
    measurements: Sequence[pa.Table],
    rule_set: RuleSet,
    memory: Memory,
    *,
    keep: bool,
    rolled_back_from: Memory | None = None,
) -> Decision:
    """Decide what a release will hold.

    Args:
        number: of the release.
        items: schema ITEMS, ordered by source and id.
        measurements: of the blobs of pictures and of recordings, those of all items.
        keep: write the links between blobs that were found, for the next time.
        rolled_back_from: as in assignment.assign.
    """
    images, recordings = measurements
    items = copies.refuse(home, items, measurements, rule_set, keep=keep)
    found = links_of(home, measurements, rule_set, keep=keep)
    said = evidence.gather(home, items, rule_set)
    assignment = assign(items, images, recordings, rule_set, memory, found, said, rolled_back_from)
    return Decision(assignment, pairs_table(assignment), assignment_table(assignment, memory, number), said)


def links_of(home: Home, measurements: Sequence[pa.Table], rule_set: RuleSet, *, keep: bool) -> Links:
    """Return what looks or sounds alike among measured blobs; what finds it is read only where it was not kept."""
    steps = zip(measure.steps(rule_set).values(), measurements, strict=True)
    sides = [
        links.Measured(step.key, rows["sha256"], partial(measure.measured, home, step, rows["sha256"], bulk=True))
        for step, rows in steps
    ]
    return links.find(home, *sides, keep=keep)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build would change.

    Attributes:
        number: of the release that it would make.
        lost_to_memory: by label, the pairs more that the balance would reach if nothing had to stay.
        uncollected: entries of the sources that no build has collected: they are not in the plan.
        unmeasured: items that no build has measured with these settings: likewise.
        warnings: what a curator should know before a build.
    """

    number: int
    parent: Release | None
    rule_set: PublishedRules
    changes: Changes
    labels: list[LabelChange]
    lost_to_memory: dict[str, int]
    uncollected: int
    unmeasured: int
    warnings: list[str]
    sending: Sending

    @property
    def changes_something(self) -> bool:
        """Say whether a build may change what is published."""
        relabeled = self.parent is None or list(self.rule_set.numbering) != self.parent.manifest["labels"]
        return not self.changes.is_empty or relabeled or bool(self.uncollected or self.unmeasured)


def plan(home: Home, listing: Listing, rule_set: RuleSet) -> Plan:
    """Say what a build would change; writes nothing.

    Raises:
        ConfigurationError: what a build would refuse.
    """
    items = current_items(home, listing)
    parent = parent_of(home, rule_set)
    published = publish(rule_set, parent)
    memory = memory_of(parent, published)
    measurements = measured(home, items, published, memory)
    is_ready = _is_ready(items, measurements)
    number = max(numbers(home), default=0) + 1
    ready = items if is_ready.all() else items.filter(pa.array(is_ready))  # a copy of millions of rows is much
    decision = decide(home, number, ready, measurements, published, memory, keep=False)
    by_modality = dict(zip(UNIT, measurements, strict=True))
    idle = evidence.idle_overrides(ready, by_modality, published, decision.evidence)
    waiting = [
        (batch.source, entry.source_id) for batch in listing.batches if not batch.again for entry in batch.entries
    ]
    unsaid = [_waiting(memory, waiting), _unmeasured(items.filter(pa.array(~is_ready)))]
    before = _state_before(parent, memory)
    after = State(decision.held, pa.concat_tables([*unsaid, decision.assignment.rejections]), decision.pairs)
    found = changes.compare(before, after)
    labels = changes.labels(found, published.label_names)
    return Plan(
        number=number,
        parent=parent,
        rule_set=published,
        changes=found,
        labels=labels,
        lost_to_memory=_lost_to_memory(decision.assignment, labels) if parent else {},
        uncollected=len(waiting),
        unmeasured=int(np.sum(~is_ready)),
        warnings=[
            *remeasured(home, items, published, parent),
            *_forewarned(found),
            *_warnings(decision.assignment, published),
            *_left_out(ready, decision),
            *idle,
        ],
        sending=estimate(parent, published, found),
    )


def _forewarned(found: Changes) -> Iterator[str]:
    """Say what a build would refuse or ask first."""
    if not len(found.after):
        yield "a build refuses to write a release without a pair"
    elif found.pairs.ended > MAX_DROP_SHARE * len(found.before):
        yield f"a build asks first, for more than {MAX_DROP_SHARE:.0%} of the pairs would end (--yes answers)"


def _left_out(items: pa.Table, decision: Decision) -> Iterator[str]:
    """Say which overrides give a label to what is left out all the same."""
    forced = [(override, row) for override, row, _ in decision.evidence.overrides.doing("label")]
    rows = items.select(["source", "source_id"]).take(pa.array([row for _, row in forced], pa.int64())).to_pylist()
    rejections = decision.assignment.rejections
    named = pc.is_in(rejections["source_id"], value_set=pa.array([row["source_id"] for row in rows], pa.string()))
    whole = pc.is_in(rejections["unit"], value_set=pa.array(list(UNIT.values())))
    refusals = {(r["source"], r["source_id"]): r for r in rejections.filter(pc.and_(named, whole)).to_pylist()}
    for (override, _), row in zip(forced, rows, strict=True):
        refusal = refusals.get((row["source"], row["source_id"]))
        if refusal:
            why = (
                f"{refusal['reason'].replace('_', ' ')}: {refusal['detail']}"
                if refusal["detail"]
                else refusal["reason"]
            )
            yield f'{override.where}: {override.item} has its label by "{override.why}" and stays out: {why}'


def _is_ready(items: pa.Table, measurements: Sequence[pa.Table]) -> Bools:
    known = pa.concat_arrays([table["sha256"].combine_chunks() for table in measurements])
    return mask(pc.or_(items["reason"].is_valid(), pc.is_in(items["sha256"], value_set=known)))


def _state_before(parent: Release | None, memory: Memory) -> State:
    if parent is None or memory.pairs is None:
        return changes.NOTHING
    rejections = pq.ParquetFile(whole(parent.folder / "rejections.parquet")).read()
    return State(memory.assignment, rejections, memory.pairs)


def _waiting(memory: Memory, entries: Sequence[tuple[str, str]]) -> pa.Table:
    """Return rejections of what was released and has changed in its source since it was collected."""
    held = memory.assignment
    names = pc.binary_join_element_wise(held["source"], held["source_id"], "\0")
    asked = pa.array(["\0".join(entry) for entry in entries], pa.string())
    rows = held.filter(pc.is_in(names, value_set=asked))
    unit = pc.if_else(pc.equal(rows["side"], "image"), UNIT["image"], UNIT["music"])
    return _said(rows, unit, NOT_COLLECTED)


def _unmeasured(items: pa.Table) -> pa.Table:
    unit = pc.if_else(pc.equal(items["modality"], "image"), UNIT["image"], UNIT["music"])
    return _said(items, unit, NOT_MEASURED)


def _said(rows: pa.Table, unit: pa.ChunkedArray, reason: str) -> pa.Table:
    said = {name: rows[name] for name in ("source", "source_id", "sha256")}
    said |= {"unit": unit, "reason": pa.array([reason] * len(rows), pa.string())}
    nothing = pa.nulls(len(rows))
    return pa.table(
        [said.get(name, nothing.cast(REJECTIONS.field(name).type)) for name in REJECTIONS.names], REJECTIONS
    )


def _lost_to_memory(assignment: Assignment, labels: Sequence[LabelChange]) -> dict[str, int]:
    free = fill_without_memory(assignment)
    lost = {label.name: free.get(label.name, 0) - label.pairs_after for label in labels}
    return {name: count for name, count in lost.items() if count > 0}


def _warnings(assignment: Assignment, rule_set: RuleSet) -> Iterator[str]:
    pool = assignment.pool
    for what, side in (("picture", pool.images), ("recording", pool.music)):
        taken = {fit.label for fits in side.fitting.fits for fit in fits}
        empty = [label.name for label in rule_set.labels if label.name not in taken]
        if empty:
            yield f"no {what} has the tags for {', '.join(empty)}"
