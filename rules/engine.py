"""Tags in, labels out: pure functions, called once for each distinct combination of tags.

The result never depends on the order of the tags, and a tag that the vocabulary does not know never changes a fit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.schema import KINDS, Clause, Condition, Label, RuleSet
from rules.spelling import fold

VERSION = 1  # raise it when the same rule set and tags give another result

SOURCE = "source"
YEAR = "year"
_SHOWN = {"sub_genre": "sub-genre", "music_feature": "music feature"}


@dataclass(frozen=True, slots=True)
class Tag:
    """A word about an item: `value` is canonical where the vocabulary knows it; `origin` says where it came from."""

    kind: str
    value: str
    origin: str

    def __str__(self) -> str:
        return f"{_SHOWN.get(self.kind, self.kind)} {self.value} ({self.origin})"


@dataclass(frozen=True, slots=True)
class Fit:
    """A label that takes the item; `rule` is a stable id, `evidence` the tags that satisfied it."""

    label: str
    sub_genre: str | None
    rule: str
    evidence: str


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A label that would take the item but for one thing."""

    label: str
    lacks: str


_Held = Mapping[str, Mapping[str, Tag]]  # kind -> value -> tag


def canonical_tags(rule_set: RuleSet, raw: Iterable[tuple[str, str]], year: int | None) -> tuple[Tag, ...]:
    """Return the tags of an item, each once, in a fixed order.

    Args:
        raw: (kind, value) as the source says them; values that the vocabulary does not know stay as they are.
        year: the earliest year of the item; it speaks only for kinds of which no known tag does.
    """
    found: dict[tuple[str, str], Tag] = {}
    for kind, value in raw:
        name = rule_set.spellings.get((kind, fold(value)), value)
        found[kind, name] = Tag(kind, name, SOURCE)
    _add_implied(rule_set, found)
    if year is not None:
        said = {kind for kind, name in found if name in rule_set.vocabulary.get(kind, ())}  # type: ignore[call-overload]
        for kind, name, first, last in rule_set.spans:
            if kind not in said and first <= year <= last:
                found[kind, name] = Tag(kind, name, YEAR)
        _add_implied(rule_set, found)
    places = {kind: place for place, kind in enumerate(KINDS)}
    return tuple(sorted(found.values(), key=lambda tag: (places.get(tag.kind, len(places)), tag.kind, tag.value)))


def _add_implied(rule_set: RuleSet, found: dict[tuple[str, str], Tag]) -> None:
    """Add what the vocabulary says follows from the tags, and what follows from that."""
    waiting = sorted(found)
    while waiting:
        kind, name = waiting.pop(0)
        word = rule_set.vocabulary.get(kind, {}).get(name)  # type: ignore[call-overload]
        for of_kind, implied in sorted(word.implies.items()) if word else ():
            if (of_kind, implied) not in found:
                found[of_kind, implied] = Tag(of_kind, implied, f"{_SHOWN.get(kind, kind)} {name}")
                waiting.append((of_kind, implied))


def image_fits(rule_set: RuleSet, tags: Iterable[Tag]) -> tuple[Fit, ...]:
    """Return the labels whose condition a picture's tags meet, in the order of the rule set."""
    held = _by_kind(tags)
    fits = []
    for label in rule_set.labels:
        proofs = [_proof(*step, held) for step in _steps(label.image)]
        proven = [proof for proof in proofs if proof is not None]
        if len(proven) == len(proofs):
            evidence = [phrase for proof in proven for phrase in proof]
            wanted = _proof("any", label.look_first, held) or ()
            evidence += [f"looked for first: {phrase}" for phrase in wanted]
            fits.append(Fit(label.name, None, _rule(rule_set, label), _sentence(evidence)))
    return tuple(fits)


def image_near_misses(rule_set: RuleSet, tags: Iterable[Tag]) -> tuple[NearMiss, ...]:
    """Return the labels of whose condition exactly one top-level step fails while a tag speaks for another.

    Without a tag that speaks for it, a label that asks for one thing only would nearly fit everything.
    """
    held = _by_kind(tags)
    misses = []
    for label in rule_set.labels:
        steps = list(_steps(label.image))
        failed = [step for step in steps if _proof(*step, held) is None]
        speaks = any(group != "none" and _proof(group, clauses, held) for group, clauses in steps)
        if len(failed) == 1 and speaks:
            misses.append(NearMiss(label.name, _lack(*failed[0], held)))
    return tuple(misses)


def recording_fits(rule_set: RuleSet, tags: Iterable[Tag]) -> tuple[Fit, ...]:
    """Return a fit for each label and sub-genre that a recording's tags meet.

    The label must have the sub-genre and one of the features; a recording without a known feature fits every label of
    its sub-genre.
    """
    held = _by_kind(tags)
    undecided = not _known_features(rule_set, held)
    fits = []
    for label in rule_set.labels:
        features = _matches(held, "music_feature", label.music.features)
        if not features and not undecided:
            continue
        why = map(str, features) if features else ["no music feature known, so each label of the sub-genre fits"]
        reasons = _sentence(why)
        for tag in _matches(held, "sub_genre", sorted(label.music.sub_genres)):
            fits.append(Fit(label.name, tag.value, f"{_rule(rule_set, label)}/{tag.value}", f"{tag}; {reasons}"))
    return tuple(fits)


def recording_near_misses(rule_set: RuleSet, tags: Iterable[Tag]) -> tuple[NearMiss, ...]:
    """Return the labels that have a recording's sub-genre but none of its features.

    For a recording without a known sub-genre, the labels that have one of its features: it lacks the sub-genre.
    """
    held = _by_kind(tags)
    known_features = _known_features(rule_set, held)
    known_sub_genres = _matches(held, "sub_genre", rule_set.vocabulary.get("sub_genre", ()))
    misses = []
    for label in rule_set.labels:
        features = _matches(held, "music_feature", label.music.features)
        sub_genres = _matches(held, "sub_genre", label.music.sub_genres)
        if sub_genres and known_features and not features:
            misses.append(NearMiss(label.name, _one_of("music_feature", label.music.features)))
        elif features and not known_sub_genres:
            misses.append(NearMiss(label.name, _one_of("sub_genre", sorted(label.music.sub_genres))))
    return tuple(misses)


def _rule(rule_set: RuleSet, label: Label) -> str:
    return f"{rule_set.name}/{label.name}"


def _sentence(phrases: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(phrases))


def _by_kind(tags: Iterable[Tag]) -> dict[str, dict[str, Tag]]:
    held: dict[str, dict[str, Tag]] = {}
    for tag in tags:
        held.setdefault(tag.kind, {})[tag.value] = tag
    return held


def _matches(held: _Held, kind: str, words: Iterable[str]) -> list[Tag]:
    mine = held.get(kind, {})
    return [mine[word] for word in words if word in mine]


def _known_features(rule_set: RuleSet, held: _Held) -> list[Tag]:
    return _matches(held, "music_feature", rule_set.vocabulary.get("music_feature", ()))


def _steps(condition: Condition | Clause) -> Iterator[tuple[str, Sequence[Clause]]]:
    """Yield the steps of a condition that all have to hold: each of `all`, `any` as one, each of `none`."""
    yield from (("all", (clause,)) for clause in condition.all)
    if condition.any:
        yield "any", condition.any
    yield from (("none", (clause,)) for clause in condition.none)


def _proof(group: str, clauses: Sequence[Clause], held: _Held) -> tuple[str, ...] | None:
    """Return the phrases that show why a step holds, None if it does not."""
    proofs = [_clause_proof(clause, held) for clause in clauses]
    proven = [proof for proof in proofs if proof is not None]
    if group == "none":
        return None if proven else tuple(map(_unwanted, clauses))
    if len(proven) < (len(proofs) if group == "all" else 1):
        return None
    return tuple(phrase for proof in proven for phrase in proof)


def _clause_proof(clause: Clause, held: _Held) -> tuple[str, ...] | None:
    if clause.kind:
        return tuple(map(str, _matches(held, clause.kind, clause.words))) or None
    phrases: list[str] = []
    for group, clauses in _steps(clause):
        proof = _proof(group, clauses, held)
        if proof is None:
            return None
        phrases += proof
    return tuple(phrases)


def _one_of(kind: str, words: Iterable[str]) -> str:
    return f"{_SHOWN.get(kind, kind)}: one of {', '.join(words)}"


def _unwanted(clause: Clause) -> str:
    return f"no {clause.kind} {' or '.join(clause.words)}" if clause.kind else f"not ({_wish(clause)})"


def _wish(clause: Clause) -> str:
    """Return what a clause asks for."""
    if clause.kind:
        return _one_of(clause.kind, clause.words)
    if clause.any:
        return ", or ".join(map(_wish, clause.any))
    return ", and ".join([*map(_wish, clause.all), *map(_unwanted, clause.none)])


def _lack(group: str, clauses: Sequence[Clause], held: _Held) -> str:
    if group == "none":
        return f"excluded by {_sentence(phrase for clause in clauses for phrase in _clause_proof(clause, held) or ())}"
    return ", or ".join(map(_wish, clauses))
