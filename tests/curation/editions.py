"""Releases one after the other, made of tables: the strategies and the examples of what is sticky."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from curation.assignment import Assignment, assign
from curation.memory import NO_MEMORY, Memory
from curation.tables import assignment_table, pairs_table
from rules.schema import RuleSet
from tests.curation import laws
from tests.curation.tables import (
    GENRES,
    SIZES,
    Item,
    images_table,
    items_table,
    links_of,
    pictures,
    recordings,
    recordings_table,
    said_of,
    tiny_rules,
)


@dataclass(frozen=True)
class Edition:
    """What one release is made from."""

    items: list[Item]
    sizes: Sequence[int] = SIZES


@dataclass(frozen=True)
class Made:
    """One release and what it was made from."""

    edition: Edition
    memory: Memory
    assignment: Assignment

    @property
    def pairs(self) -> list[dict[str, object]]:
        return laws.pairs_of(self.assignment)


def released(editions: Sequence[Edition]) -> Iterator[Made]:
    """Make one release after the other, each with the one before as its parent."""
    memory, seen = NO_MEMORY, {}
    for number, edition in enumerate(editions, 1):
        seen |= {item.sha256: item for item in edition.items}
        assignment = made_of(edition.items, list(seen.values()), tiny_rules(edition.sizes), memory)
        yield Made(edition, memory, assignment)
        memory = Memory(assignment_table(assignment, memory, number), pairs_table(assignment))


def made_of(items: Sequence[Item], blobs: Sequence[Item], rule_set: RuleSet, memory: Memory) -> Assignment:
    """Assign items; of the blobs, what is released or listed is measured."""
    wanted = {item.sha256 for item in items}.union(memory.assignment["sha256"].to_pylist())
    blobs = [blob for blob in blobs if blob.sha256 in wanted]
    measured, table = (images_table(blobs), recordings_table(blobs)), items_table(items)
    return assign(table, *measured, rule_set, memory, links_of(*measured), said_of(table, rule_set))


@st.composite
def editions(draw: st.DrawFn) -> list[Edition]:
    """Draw a collection and edits of it: items leave and come, tags change, classes grow and shrink."""
    universe = [*draw(pictures()), *draw(recordings())]
    count, lots = draw(st.integers(2, 5)), random.Random(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(count):
        for at, item in enumerate(universe):
            if item.modality == "image" and lots.random() < 0.1:
                universe[at] = replace(item, tags=(("genre", lots.choice(GENRES)),))
        share = lots.choice([0.6, 0.8, 0.9, 1.0])
        sizes = lots.choice([SIZES, SIZES, (2, 2, 2, 1), (8, 8, 8, 8)])
        found.append(Edition([item for item in universe if lots.random() < share], sizes))
    return found
