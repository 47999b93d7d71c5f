"""What a rule set asks sources for: collect.yaml."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.schema import Clause, RuleSet, Step

Tags = frozenset[tuple[str, str]]  # as kind and word


@dataclass(frozen=True, slots=True)
class Query:
    """One list of one source that a rule set asks for.

    Attributes:
        source: the name of the source.
        kind: what sort of list it is, in the source's words: category, dataset, board, search, playlist, channel.
        text: which list of that kind.
        tags: (kind, word) of the vocabulary that are true of everything in the list.
        labels: the labels that it is to fill; none where nothing is known of what is in the list.
    """

    source: str
    kind: str
    text: str
    tags: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the list is called everywhere: `search: Gregorian chant`."""
        return f"{self.kind}: {self.text}"


def queries(rule_set: "RuleSet") -> dict[str, tuple[Query, ...]]:
    """Return the lists that a rule set asks for, by source: those that may fill a label of it."""
    images = [(label.name, *_asked(label.image.steps, label.look_first)) for label in rule_set.labels]
    music = [(label.name, *_asked(label.music.asked)) for label in rule_set.labels]
    found: dict[str, list[Query]] = {}
    for source, entries in rule_set.collect.items():
        for entry in entries:
            tags = frozenset(entry.said)
            implied = {implied for tag in tags for implied in rule_set.words[tag].implies.items()}
            fitting = {name for name, *asked in images + music if _may_fit(tags, tags | implied, *asked)}
            labels = (entry.label,) if entry.label else tuple(filter(fitting.__contains__, rule_set.label_names))
            # Lists for whose tags no label asks were written for labels that are no more, or for another rule set.
            if labels or not tags:
                pairs = (pair for one in entry.lists for pair in one.items())
                found.setdefault(source, []).extend(Query(source, *pair, entry.said, labels) for pair in pairs)
    return {source: tuple(lists) for source, lists in found.items()}


def _asked(steps: "Iterable[Step]", look_first: "tuple[Clause, ...]" = ()) -> tuple[Tags, Tags]:
    """Return the tags that a label asks for, and those that it excludes."""
    wanted: list[Clause] = [*look_first]
    unwanted: list[Clause] = []
    for group, clauses in steps:
        (unwanted if group == "none" else wanted).extend(clauses)
    return frozenset(_tags(wanted)), frozenset(_tags(unwanted))


def _tags(clauses: "Iterable[Clause]") -> Iterator[tuple[str, str]]:
    for clause in clauses:
        if clause.kind:
            yield from ((clause.kind, word) for word in clause.words)
        yield from _tags((*clause.all, *clause.any))


def _may_fit(tags: Tags, with_implied: Tags, wanted: Tags, unwanted: Tags) -> bool:
    """Say whether a label asks for one of the tags, and for no other word of their kinds."""
    kinds = {kind for kind, _ in tags} & {kind for kind, _ in wanted}
    return {kind for kind, _ in tags & wanted} == kinds != set() and with_implied.isdisjoint(unwanted)
