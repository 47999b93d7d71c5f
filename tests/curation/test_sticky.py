"""Releases one after the other: what was released stays, and nothing leaks from test or validation into training."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.assignment import Assignment, assign
from curation.eligible import labels_of
from curation.memory import NO_MEMORY, Memory
from curation.tables import assignment_table, pairs_table
from tests.curation import laws
from tests.curation.tables import (
    GENRES,
    SIZES,
    Item,
    images_table,
    items_table,
    picture,
    pictures,
    recording,
    recordings,
    recordings_table,
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
        blobs = list(seen.values())
        rule_set = tiny_rules(edition.sizes)
        assignment = assign(items_table(edition.items), images_table(blobs), recordings_table(blobs), rule_set, memory)
        yield Made(edition, memory, assignment)
        memory = Memory(assignment_table(assignment, memory, number), pairs_table(assignment))


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


def stays(made: Made) -> dict[str, list[tuple[int, str, dict[str, object]]]]:
    """Return, by label, the parent's pairs whose two sides are eligible now and keep the label: age, id, row."""
    pool, found = made.assignment.pool, defaultdict(list)
    images = {sha256: row for row, sha256 in enumerate(pool.images.items["sha256"].to_pylist())}
    music = {sha256: row for row, sha256 in enumerate(pool.music.items["sha256"].to_pylist())}
    age = Counter()
    for row in made.memory.assignment.to_pylist():
        age[row["pair_id"]] = max(age[row["pair_id"]], row["release"])
    for pair in made.memory.pairs.to_pylist() if made.memory.pairs else []:
        image, recording = images.get(pair["image_sha256"]), music.get(pair["music_sha256"])
        if image is None or recording is None or pair["label"] not in labels_of(pool.images.fitting, image):
            continue
        if pair["label"] in labels_of(pool.music.fitting, recording):
            found[pair["label"]].append((age[pair["pair_id"]], pair["pair_id"], pair))
    return found


def pairs_stay(made: Made) -> None:
    """A pair that may stay does, with label and split; a class that shrank drops its latest."""
    now = {pair["pair_id"]: pair for pair in made.pairs}
    sizes = {label.name: label.size for label in made.assignment.pool.rule_set.labels}
    for label, rows in stays(made).items():
        kept = [row for row in rows if row[1] in now]
        dropped = [row for row in rows if row[1] not in now]
        assert len(kept) == min(len(rows), sizes[label])
        assert max((row[0] for row in kept), default=0) <= min((row[0] for row in dropped), default=99)
        for _, name, before in kept:
            assert (now[name]["label"], now[name]["split"]) == (before["label"], before["split"])


def labels_stay(made: Made) -> None:
    """An image or a recording that was in the parent keeps its label while that fits it."""
    pool = made.assignment.pool
    for side, rows in (("image", pool.images), ("music", pool.music)):
        before = {
            pair[f"{side}_sha256"]: pair["label"] for pair in (made.memory.pairs or NO_MEMORY.assignment).to_pylist()
        }
        fitting = {sha256: labels_of(rows.fitting, row) for row, sha256 in enumerate(rows.items["sha256"].to_pylist())}
        for pair in made.pairs:
            earlier = before.get(pair[f"{side}_sha256"])
            assert earlier in (None, pair["label"]) or earlier not in fitting[pair[f"{side}_sha256"]]


def orphans_come_first(made: Made) -> None:
    """Of a label and split, no new picture or clip is released while a released one that lost its partner is not."""
    before = (made.memory.pairs or NO_MEMORY.assignment).to_pylist()
    keys = {"image": ("image_sha256",), "music": ("music_sha256", "music_start_s")}
    pool = made.assignment.pool
    eligible = {"image": pool.images, "music": pool.music}
    for side, names in keys.items():
        old = {tuple(pair[name] for name in names): pair for pair in before}
        now = {tuple(pair[name] for name in names): pair for pair in made.pairs}
        new = Counter(
            (pair["label"], pair["split"], pair["music_genre"]) for key, pair in now.items() if key not in old
        )
        rows = eligible[side]
        fitting = {sha256: labels_of(rows.fitting, row) for row, sha256 in enumerate(rows.items["sha256"].to_pylist())}
        for key, pair in old.items():
            if key not in now and pair["label"] in fitting.get(key[0], ()):
                genre = pair["music_genre"]
                beaten = [
                    k for k in new if k[:2] == (pair["label"], pair["split"]) and side == "image" or k[2] == genre
                ]
                beaten = [k for k in beaten if k[:2] == (pair["label"], pair["split"])]
                assert not beaten, (side, key, pair["label"], pair["split"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(editions())
def test_released_things_stay(editions):
    for made in released(editions):
        rule_set = made.assignment.pool.rule_set
        laws.all_hold(items_table(made.edition.items), made.assignment, rule_set)
        pairs_stay(made)
        labels_stay(made)
        orphans_come_first(made)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(editions())
def test_split_is_for_life(editions):
    splits: dict[tuple[str, object], str] = {}
    for made in released(editions):
        for pair in made.pairs:
            for column in ("image_sha256", "music_sha256", "image_group", "music_group"):
                assert splits.setdefault((column, pair[column]), pair["split"]) == pair["split"]
