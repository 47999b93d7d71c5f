"""What is known of an item in, labels out: pure functions, called once for each distinct combination of facts.

The result never depends on the order of the tags, and a tag that the vocabulary does not know never changes a fit.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rules.schema import KINDS, Clause, Demand, Label, RuleSet, Step, Word, demand_of
from rules.spelling import fold

VERSION = 2  # raise it when the same rule set and facts give another result

# Where a tag comes from, by authority: each speaks only for kinds of which no stronger one gave a known word. An
# origin may say more after its first word, as "model ViT-B-32" does.
OVERRIDE, SOURCE, YEAR, ARTISTS, TITLE, MODEL = "override", "source", "year", "artists", "title", "model"
ORIGINS = (OVERRIDE, SOURCE, YEAR, ARTISTS, TITLE, MODEL)

_PLACES = {kind: place for place, kind in enumerate(KINDS)}
_SHOWN = {"sub_genre": "sub-genre", "music_feature": "music feature"}
# Takes the place of the features that a label asks for.
_UNDECIDED: Step = ("no music feature known, so each label of the sub-genre fits", ())


class Tag(NamedTuple):  # many are made and hashed, at a third of what a dataclass costs
    """A word about an item: `value` is canonical where the vocabulary knows it; `origin` says where it came from."""

    kind: str
    value: str
    origin: str
    confidence: float = 1.0

    def __str__(self) -> str:
        return f"{_SHOWN.get(self.kind, self.kind)} {self.value} ({self.origin})"

    def proof(self, floor: float) -> str:
        """Name the floor that the tag reached, not its own confidence: few different texts arise."""
        return str(self if self.confidence == 1 else self._replace(origin=f"{self.origin}, {_sure(floor)}"))


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask about one item.

    Attributes:
        tags: its canonical tags.
        numbers: those that are known, by the key that a clause asks for them with: year, width_px, duration_s...
        source: the source that lists it.
    """

    tags: tuple[Tag, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A label that takes the item; `rule` is a stable id, `evidence` what satisfied it."""

    label: str
    sub_genre: str | None
    rule: str
    evidence: str


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A label that would take the item but for one thing."""

    label: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Trial:
    """How an item fared with one label: each step of its condition, with why it holds or what it lacks."""

    label: str
    holds: bool
    steps: tuple[tuple[str, bool], ...]


def canonical_tags(
    rule_set: RuleSet, raw: Iterable[tuple[str, str]], year: int | None, derived: Iterable[Tag] = ()
) -> tuple[Tag, ...]:
    """Return the tags of an item, each once, in a fixed order.

    Args:
        raw: (kind, value) as the source says them; values that the vocabulary does not know stay as they are.
        year: the earliest year of the item.
        derived: what others say of it; the first word of a tag's origin is one of ORIGINS.
    """
    said = [Tag(kind, value, SOURCE) for kind, value in raw]
    if year is not None:
        said += [Tag(kind, name, YEAR) for kind, name, first, last in rule_set.spans if first <= year <= last]
    by_rank: dict[int, list[Tag]] = {}
    for tag in (*said, *derived):
        by_rank.setdefault(ORIGINS.index(tag.origin.partition(" ")[0]), []).append(tag)
    found: dict[tuple[str, str], Tag] = {}
    settled: set[str] = set()  # the kinds of which a stronger origin gave a known word
    for rank, tags in sorted(by_rank.items()):
        spoken = _with_implied(rule_set, tags, settled)
        found = spoken | found
        settled |= {tag.kind for tag in spoken.values() if _word(rule_set, tag)}
        if ORIGINS[rank] == OVERRIDE:
            settled |= {tag.kind for tag in tags}
    return tuple(sorted(found.values(), key=lambda tag: (_PLACES.get(tag.kind, len(KINDS)), tag.kind, tag.value)))


def _with_implied(rule_set: RuleSet, tags: Iterable[Tag], settled: set[str]) -> dict[tuple[str, str], Tag]:
    """Return the tags of kinds that are not settled, and what the vocabulary says follows; the surest of equal ones."""
    found: dict[tuple[str, str], Tag] = {}
    waiting = [_canonical(rule_set, tag) for tag in tags]
    if len(waiting) > 1:
        waiting.sort(key=lambda tag: (tag.kind, tag.value, -tag.confidence, tag.origin))
    for tag in waiting:  # it grows
        key = tag.kind, tag.value
        if tag.kind in settled or (key in found and found[key].confidence >= tag.confidence):
            continue
        found[key] = tag
        if word := _word(rule_set, tag):
            origin = f"{_SHOWN.get(tag.kind, tag.kind)} {tag.value}"
            waiting += [Tag(kind, name, origin, tag.confidence) for kind, name in sorted(word.implies.items())]
    return found


def _canonical(rule_set: RuleSet, tag: Tag) -> Tag:
    if (tag.kind, tag.value) in rule_set.words:
        return tag
    return tag._replace(value=rule_set.spellings.get((tag.kind, fold(tag.value)), tag.value))


def _word(rule_set: RuleSet, tag: Tag) -> Word | None:
    """Return the entry of a canonical tag in the vocabulary, if it has one."""
    return rule_set.words.get((tag.kind, tag.value))


def image_fits(rule_set: RuleSet, facts: Facts) -> tuple[Fit, ...]:
    """Return the labels whose condition a picture meets, in the order of the rule set."""
    item = _Item(rule_set, facts)
    fits = []
    for tried in _first(_try(rule_set, _image_steps, item, 0)):
        wanted = _proof("any", tried.label.look_first, item) or ()
        evidence = [*tried.evidence(), *(f"looked for first: {phrase}" for phrase in wanted)]
        fits.append(Fit(tried.label.name, None, _rule(rule_set, tried.label), _sentence(evidence)))
    return tuple(fits)


def recording_fits(rule_set: RuleSet, facts: Facts) -> tuple[Fit, ...]:
    """Return a fit for each label and sub-genre that a recording meets.

    The label must have the sub-genre and one of the features; a recording without a known feature fits every label of
    its sub-genre.
    """
    item = _Item(rule_set, facts)
    fits = []
    for tried in _first(_try(rule_set, _music_steps, item, 0)):
        _, (asked,) = tried.steps[0]
        for tag in item.matches(asked):
            evidence = _sentence([tag.proof(item.floor), *tried.evidence(1)])
            fits.append(Fit(tried.label.name, tag.value, f"{_rule(rule_set, tried.label)}/{tag.value}", evidence))
    return tuple(fits)


def image_near_misses(rule_set: RuleSet, facts: Facts) -> tuple[NearMiss, ...]:
    """Return the labels of whose condition exactly one top-level step fails while a tag speaks for another.

    Without a tag that speaks for it, a label that asks for one thing only would nearly fit everything.
    """
    item = _Item(rule_set, facts)
    nearly = _try(rule_set, _image_steps, item, 1)
    return tuple(miss for tried in nearly if (miss := _near_miss(tried, item)))


def recording_near_misses(rule_set: RuleSet, facts: Facts) -> tuple[NearMiss, ...]:
    """Return the labels of which a recording lacks one thing while a tag speaks for another.

    A recording that has a known sub-genre does not lack those of other labels.
    """
    item = _Item(rule_set, facts)
    nearly = [tried for tried in _try(rule_set, _music_steps, item, 1) if tried.proofs[0] or not item.has_sub_genre]
    return tuple(miss for tried in nearly if (miss := _near_miss(tried, item)))


def explain_image(rule_set: RuleSet, facts: Facts) -> tuple[Trial, ...]:
    """Return how a picture fared with every label, in the order of the rule set."""
    item = _Item(rule_set, facts)
    return _trials(_try(rule_set, _image_steps, item), item)


def explain_recording(rule_set: RuleSet, facts: Facts) -> tuple[Trial, ...]:
    """Return how a recording fared with every label, in the order of the rule set."""
    item = _Item(rule_set, facts)
    return _trials(_try(rule_set, _music_steps, item), item)


class _Item:
    """The facts of one item, as clauses ask for them."""

    def __init__(self, rule_set: RuleSet, facts: Facts) -> None:
        self.facts = facts
        self.floor = rule_set.min_confidence
        self._tags: dict[str, dict[str, Tag]] = {}
        for tag in facts.tags:
            self._tags.setdefault(tag.kind, {})[tag.value] = tag
        known = {tag.kind for tag in facts.tags if tag.confidence >= self.floor and _word(rule_set, tag)}
        self.words = {(tag.kind, tag.value) for tag in facts.tags}
        self.has_feature, self.has_sub_genre = "music_feature" in known, "sub_genre" in known

    def matches(self, clause: Clause) -> list[Tag]:
        """Return the tags that a clause asks for, in its order."""
        tags = self._tags.get(clause.kind or "")
        if not tags or tags.keys().isdisjoint(clause.words):
            return []
        floor = self.floor_of(clause)
        return [tags[word] for word in clause.words if word in tags and tags[word].confidence >= floor]

    def floor_of(self, clause: Clause) -> float:
        return self.floor if clause.min_confidence is None else clause.min_confidence


@dataclass(frozen=True, slots=True)
class _Tried:
    """A label with the steps of its condition and, for each that holds, the phrases that show why."""

    label: Label
    steps: Sequence[Step]
    proofs: Sequence[tuple[str, ...] | None]

    @property
    def holds(self) -> bool:
        return None not in self.proofs

    def evidence(self, start: int = 0) -> list[str]:
        return [phrase for proof in self.proofs[start:] for phrase in proof or ()]


_Asked = tuple[Sequence[Step], Sequence[Demand]]
_StepsOf = Callable[[Label, _Item], _Asked]


def _image_steps(label: Label, _: _Item) -> _Asked:
    return label.image.steps, label.image.demands


def _music_steps(label: Label, item: _Item) -> _Asked:
    sub_genres, features, *others = label.music.asked
    demands = demand_of(sub_genres), demand_of(features)
    if item.has_feature:
        return label.music.asked, (*demands, *label.music.demands)
    return (sub_genres, _UNDECIDED, *others), (demands[0], *label.music.demands)


def _try(rule_set: RuleSet, steps_of: _StepsOf, item: _Item, tolerated: float = math.inf) -> Iterator[_Tried]:
    """Yield the labels of which no more steps fail than are tolerated."""
    for label in rule_set.labels:
        steps, demands = steps_of(label, item)
        if sum(map(item.words.isdisjoint, demands)) > tolerated:  # most labels fail so, at a tenth of the cost
            continue
        proofs = []
        failed = 0
        for step in steps:
            proof = _proof(*step, item)
            proofs.append(proof)
            failed += proof is None
            if failed > tolerated:
                break
        else:
            yield _Tried(label, steps, proofs)


def _first(tried: Iterable[_Tried]) -> list[_Tried]:
    """Return the labels that hold, of these only those of the highest priority."""
    holding = [one for one in tried if one.holds]
    highest = max((one.label.priority for one in holding), default=0)
    return [one for one in holding if one.label.priority == highest]


def _near_miss(tried: _Tried, item: _Item) -> NearMiss | None:
    failed = [step for step, proof in zip(tried.steps, tried.proofs, strict=True) if proof is None]
    if len(failed) != 1 or not any(_speaks(step, item) for step in tried.steps if step is not failed[0]):
        return None
    return NearMiss(tried.label.name, _lack(*failed[0], item))


def _speaks(step: Step, item: _Item) -> bool:
    """Say whether a tag is what makes a step hold: numbers and sources alone make nothing alike."""
    group, clauses = step
    return group != "none" and any(
        item.matches(clause) or any(_speaks(inner, item) for inner in clause.steps) for clause in clauses
    )


def _trials(all_tried: Iterable[_Tried], item: _Item) -> tuple[Trial, ...]:
    tried = list(all_tried)
    taken = _first(tried)
    trials = []
    for one in tried:
        steps = [
            (_lack(*step, item), False) if proof is None else (_sentence(proof), True)
            for step, proof in zip(one.steps, one.proofs, strict=True)
        ]
        if one.holds and one not in taken:
            names = ", ".join(other.label.name for other in taken)
            steps.append((f"priority {one.label.priority}: {names} with {taken[0].label.priority} comes first", False))
        trials.append(Trial(one.label.name, one in taken, tuple(steps)))
    return tuple(trials)


def _rule(rule_set: RuleSet, label: Label) -> str:
    return f"{rule_set.name}/{label.name}"


def _sentence(phrases: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(phrases))


def _sure(floor: float) -> str:
    return f"confidence at least {floor:.10g}"


def _proof(group: str, clauses: Sequence[Clause], item: _Item) -> tuple[str, ...] | None:
    """Return the phrases that show why a step holds, None if it does not."""
    if group == _UNDECIDED[0]:
        return (group,)
    if group == "all":  # one clause, as in `none`
        return _clause_proof(clauses[0], item)
    proven = [proof for clause in clauses if (proof := _clause_proof(clause, item)) is not None]
    if group == "none":
        return None if proven else (_unwanted(clauses[0]),)
    return tuple(phrase for proof in proven for phrase in proof) if proven else None


def _clause_proof(clause: Clause, item: _Item) -> tuple[str, ...] | None:
    if clause.kind:
        return tuple(tag.proof(item.floor_of(clause)) for tag in item.matches(clause)) or None
    if clause.range:
        number = item.facts.numbers.get(clause.key)
        return (_wish(clause),) if number is not None and clause.range.holds(number) else None
    if clause.source:
        return (f"source {item.facts.source}",) if item.facts.source in clause.source else None
    phrases: list[str] = []
    for step in clause.steps:
        proof = _proof(*step, item)
        if proof is None:
            return None
        phrases += proof
    return tuple(phrases)


def _unwanted(clause: Clause) -> str:
    words = clause.words or clause.source
    if not words or clause.min_confidence is not None:
        return f"not ({_wish(clause)})"
    return f"no {_SHOWN.get(clause.key, clause.key)} {' or '.join(words)}"


def _wish(clause: Clause) -> str:
    """Return what a clause asks for."""
    if clause.range:
        return f"{clause.key} {clause.range}"
    if words := clause.words or clause.source:
        sure = "" if clause.min_confidence is None else f", {_sure(clause.min_confidence)}"
        return f"{_SHOWN.get(clause.key, clause.key)}: one of {', '.join(words)}{sure}"
    if clause.any:
        return ", or ".join(map(_wish, clause.any))
    return ", and ".join([*map(_wish, clause.all), *map(_unwanted, clause.none)])


def _lack(group: str, clauses: Sequence[Clause], item: _Item) -> str:
    if group == "none":
        return f"excluded by {_sentence(phrase for clause in clauses for phrase in _clause_proof(clause, item) or ())}"
    return ", or ".join(map(_wish, clauses))
