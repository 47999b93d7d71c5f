"""How the rules meet the items of a work folder: which never fire, what no rule takes, which labels compete."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import evidence, measure
from curation.columns import Ints, flat, mask, places, taken
from curation.evidence import Evidence
from curation.releases import Release, latest
from curation.store import Home, opened
from curation.tagging import Fitting
from rules import engine
from rules.engine import Facts
from rules.schema import Label, RuleSet, Step

MAX_EXAMPLES = 3
NOTHING_NEAR = "no label nearly fits"


@dataclass(frozen=True, slots=True)
class Use:
    """How often one side of a label fires.

    Attributes:
        fit: items that its condition takes.
        fit_only_this: those of them that no other label takes.
        released: those of them that the last release holds under it.
        unmet: the steps of the condition that no item meets: while there is one, the label takes nothing.
        unmatched: the words of other steps that no item has, by kind.
    """

    label: str
    fit: int
    fit_only_this: int
    released: int
    unmet: list[str]
    unmatched: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Lack:
    """Items that a label would take but for one thing; without a label, those that no label nearly takes."""

    label: str | None
    lacks: str
    items: int
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Untaken:
    """Items with the same tags that no label takes."""

    tags: str
    items: int
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two labels that take the same items.

    Attributes:
        both: items that fit both.
        released: how many of these the last release holds under each of the two, under any other label, and not at all.
    """

    labels: tuple[str, str]
    both: int
    released: tuple[int, int]
    elsewhere: int
    unused: int


@dataclass(frozen=True, slots=True)
class SideCoverage:
    """How the rules meet the items of one modality; lists have the most frequent first.

    Attributes:
        items: that could be read.
        taken: those of them that some label takes.
    """

    items: int
    taken: int
    labels: list[Use]
    lacks: list[Lack]
    untaken: list[Untaken]
    rivals: list[Rivals]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a rule set meets a collection.

    Attributes:
        release: the last one of the rule set's data set, None before the first.
        idle_overrides: a sentence for each override that no longer matters.
    """

    rule_set: str
    release: int | None
    images: SideCoverage
    music: SideCoverage
    idle_overrides: list[str]


def survey(home: Home, items: pa.Table, rule_set: RuleSet) -> Coverage:
    """Find how a rule set meets items; reads tables only.

    Args:
        items: schema ITEMS.
    """
    release = latest(home, rule_set.name)
    said = evidence.gather(home, items, rule_set)
    sides, measurements = [], {}
    for modality, step in measure.steps(rule_set).items():
        rows = np.flatnonzero(mask(pc.and_(items["reason"].is_null(), pc.equal(items["modality"], modality))))
        own = items.take(pa.array(rows))
        measurements[modality] = measured = measure.measured(home, step, own["sha256"])
        sides.append(_Side(own, measured, said.of(rows), modality, rule_set, release).coverage())
    idle = evidence.idle_overrides(items, measurements, rule_set, said)
    images, music = sides
    return Coverage(rule_set.name, release.number if release else None, images, music, idle)


class _Side:
    """The items of one modality, and what the rules say of each combination of facts."""

    def __init__(
        self,
        items: pa.Table,
        measured: pa.Table,
        said: Evidence,
        modality: str,
        rule_set: RuleSet,
        release: Release | None,
    ) -> None:
        self.rule_set, self.is_image = rule_set, modality == "image"
        measured = measured.drop_columns([name for name in ("fingerprint",) if name in measured.column_names])
        at = places(items["sha256"], measured["sha256"])
        own = measured.take(pa.array(at, mask=at < 0))  # null where nothing was measured yet
        fine = own["reason"].is_null()
        self.items, own, said = items.filter(fine), own.filter(fine), said.of(np.flatnonzero(mask(fine)))
        self.fitting: Fitting = evidence.fitting(self.items, rule_set, modality, own, said)
        combination = self.fitting.combination
        self.counts: Ints = np.bincount(combination, minlength=len(self.fitting.fits))
        self.labels = [tuple(dict.fromkeys(fit.label for fit in fits)) for fits in self.fitting.fits]
        self.rows: Ints = np.argsort(combination, kind="stable")  # those of each combination together
        self.starts: Ints = np.cumsum(self.counts) - self.counts
        first = self.rows[self.starts]
        rows, measures = self.items.take(pa.array(first)), own.take(pa.array(first))
        self.facts: list[Facts] = evidence.facts_of(rows, rule_set, modality, measures, said.of(first))
        self.released = self._released(modality, release)

    def _released(self, modality: str, release: Release | None) -> Counter[tuple[int, str | None]]:
        """Count the items of each combination by the label that the last release gave them, None for none."""
        labels = pa.nulls(len(self.items), pa.string())
        if release:
            held = pq.read_table(
                opened(release.folder / "assignment.parquet"),
                columns=["sha256", "label"],
                filters=(pc.field("side") == modality) & pc.field("pair_id").is_valid(),
            )
            labels = taken(flat(held["label"]), places(self.items["sha256"], held["sha256"]))
        pairs = pa.table({"combination": self.fitting.combination, "label": labels})
        counted = pairs.group_by(["combination", "label"]).aggregate([([], "count_all")]).to_pydict()
        return Counter(
            dict(zip(zip(counted["combination"], counted["label"], strict=True), counted["count_all"], strict=True))
        )

    def coverage(self) -> SideCoverage:
        untaken = [number for number, labels in enumerate(self.labels) if not labels]
        return SideCoverage(
            len(self.items),
            len(self.items) - int(self.counts[untaken].sum()),
            list(self._uses()),
            self._lacks(untaken),
            self._untaken(untaken),
            self._rivals(),
        )

    def _uses(self) -> Iterator[Use]:
        fit, alone = Counter[str](), Counter[str]()
        for labels, count in zip(self.labels, self.counts.tolist(), strict=True):
            fit.update(dict.fromkeys(labels, count))
            alone.update({labels[0]: count} if len(labels) == 1 else {})
        released = Counter[str | None]()
        for (_, got), count in self.released.items():
            released[got] += count
        known = {(tag.kind, tag.value) for facts in self.facts for tag in facts.tags}
        unmet = self._unmet([label for label in self.rule_set.labels if not fit[label.name]])
        for label in self.rule_set.labels:
            name, texts = label.name, unmet.get(label.name, {})
            met = [step for at, step in enumerate(self._steps(label)) if at not in texts]
            yield Use(name, fit[name], alone[name], released[name], list(texts.values()), _unmatched(met, known))

    def _steps(self, label: Label) -> Sequence[Step]:
        return label.image.steps if self.is_image else label.music.asked

    def _unmet(self, labels: Sequence[Label]) -> dict[str, dict[int, str]]:
        """Return of labels that take nothing the steps that no item meets: their places, and what they ask for."""
        if not labels:
            return {}
        only_these = RuleSet.model_construct(**dict(self.rule_set) | {"labels": tuple(labels)})
        explain = engine.explain_image if self.is_image else engine.explain_recording
        found: dict[str, dict[int, str]] = {}
        for facts in self.facts:
            for trial, label in zip(explain(only_these, facts), labels, strict=True):
                steps = trial.steps[: len(self._steps(label))]  # another would tell of a label that comes first
                failed = {at: text for at, (text, is_met) in enumerate(steps) if not is_met}
                before = found.setdefault(label.name, failed)
                found[label.name] = {at: text for at, text in before.items() if at in failed}
        return found

    def _lacks(self, untaken: Iterable[int]) -> list[Lack]:
        found: dict[tuple[str | None, str], list[int]] = {}
        for number in untaken:
            misses = self.fitting.near_misses[number]
            for miss in misses:
                found.setdefault((miss.label, miss.lacks), []).append(number)
            if not misses:
                found.setdefault((None, NOTHING_NEAR), []).append(number)
        lacks = [Lack(*key, self._count(numbers), self._examples(numbers)) for key, numbers in found.items()]
        return sorted(lacks, key=lambda lack: (-lack.items, lack.label or "", lack.lacks))

    def _untaken(self, untaken: Iterable[int]) -> list[Untaken]:
        found: dict[str, list[int]] = {}
        for number in untaken:
            found.setdefault(self.fitting.tags[number], []).append(number)
        rows = [Untaken(tags, self._count(numbers), self._examples(numbers)) for tags, numbers in found.items()]
        return sorted(rows, key=lambda row: (-row.items, row.tags))

    def _rivals(self) -> list[Rivals]:
        both, got, used = Counter[tuple[str, str]](), Counter[tuple[str, str, str]](), Counter[tuple[str, str]]()
        for pair, number in ((pair, n) for n, labels in enumerate(self.labels) for pair in combinations(labels, 2)):
            both[pair] += int(self.counts[number])
        for (number, label), count in self.released.items():
            if label is not None:
                for pair in combinations(self.labels[number], 2):
                    used[pair] += count
                    got[(*pair, label)] += count
        rows = []
        for (a, b), count in both.items():
            to_a, to_b, anywhere = got[a, b, a], got[a, b, b], used[a, b]
            rows.append(Rivals((a, b), count, (to_a, to_b), anywhere - to_a - to_b, count - anywhere))
        return sorted(rows, key=lambda row: (-row.both, row.labels))

    def _count(self, numbers: Sequence[int]) -> int:
        return int(self.counts[numbers].sum())

    def _examples(self, numbers: Sequence[int]) -> list[str]:
        """Name the first items that have one of these combinations."""
        first = [
            row
            for number in numbers
            for row in self.rows[self.starts[number] :][: min(MAX_EXAMPLES, self.counts[number])]
        ]
        named = self.items.select(["source", "source_id"]).take(pa.array(sorted(first)[:MAX_EXAMPLES])).to_pylist()
        return [f"{row['source']}:{row['source_id']}" for row in named]


def _unmatched(steps: Iterable[Step], known: set[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the words of a condition that no item has, by kind."""
    found: dict[str, list[str]] = {}
    for kind, word in dict.fromkeys(_words(steps)):
        if (kind, word) not in known:
            found.setdefault(kind, []).append(word)
    return found


def _words(steps: Iterable[Step]) -> Iterator[tuple[str, str]]:
    for _, clauses in steps:
        for clause in clauses:
            yield from ((str(clause.kind), word) for word in clause.words)
            yield from _words(clause.steps)
