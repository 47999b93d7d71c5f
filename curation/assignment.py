"""Labels, splits and partners of everything: a pure function of items, measurements, rules and the parent release."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from curation.balance import balance
from curation.choosing import NONE, Chosen, Kept, Pairs, Pool, choose, kept_of, nothing_kept, pool_of, supply_of
from curation.clips import usable_clips
from curation.columns import Bools, Ints
from curation.eligible import eligible, refused
from curation.evidence import Evidence
from curation.links import Links
from curation.memory import Memory
from curation.pairing import Splits, pair, split_groups
from curation.rejections import Rejections
from curation.restoring import restored
from rules.schema import RuleSet


def pair_id(image_sha256: str, recording_sha256: str, start_sample: int) -> str:
    """Return the name of a pair, which is also its place: rows are ordered by it and cut into buckets by it."""
    return hashlib.sha256(f"{image_sha256}/{recording_sha256}/{start_sample}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Assignment:
    """Everything that a release says.

    Attributes:
        quotas: int64, shape (n_recordings,): of each recording, by its number in the pool's list.
    """

    pool: Pool
    pairs: Pairs
    quotas: Ints
    splits: Splits
    rejections: pa.Table
    candidates: pa.Table

    @cached_property
    def pair_ids(self) -> pa.Array:
        """The name of each pair."""
        pool, clips = self.pool, self.pool.clips
        images = pool.images.items["sha256"].take(pa.array(self.pairs.image))
        music = pool.music.items["sha256"].take(pa.array(clips.recording[self.pairs.clip]))
        starts = clips.start_sample[self.pairs.clip].tolist()
        return pa.array(map(pair_id, images.to_pylist(), music.to_pylist(), starts), pa.string())


def assign(
    items: pa.Table,
    measured_images: pa.Table,
    measured_recordings: pa.Table,
    rule_set: RuleSet,
    memory: Memory,
    links: Links,
    evidence: Evidence,
    rolled_back_from: Memory | None = None,
) -> Assignment:
    """Decide label, split and partner of everything.

    Args:
        items: schema ITEMS, ordered by source and id.
        measured_images: schema IMAGES, for the blobs of the items and of everything in memory.
        measured_recordings: schema RECORDINGS, likewise; fingerprints may be left out.
        links: what looks or sounds alike, by rows of these two.
        evidence: what is said of the items beside their sources' tags.
        rolled_back_from: what the current release remembers, where `memory` is restoring.memory_after: then the pairs
            in memory are taken as far as they may stand, and nothing is added.
    """
    rejections = Rejections(items)
    refused(items, rejections)
    images = eligible("image", items, measured_images, links.images, rule_set, memory, evidence, rejections)
    music = eligible("music", items, measured_recordings, links.recordings, rule_set, memory, evidence, rejections)
    pool = pool_of(images, music, usable_clips(music, rule_set, memory, rejections), rule_set, memory)
    kept = kept_of(pool)
    if rolled_back_from:
        chosen, splits, pairs = restored(pool, kept, rolled_back_from)
        _reject_all_but(pool, pairs, rejections)
    else:
        chosen = choose(pool, kept)
        splits = split_groups(pool, chosen)
        pairs = pair(pool, kept, chosen, splits)
        _reject_rest(pool, kept, chosen, pairs, rejections)
    candidates = pa.concat_tables([images.candidates, music.candidates])
    return Assignment(pool, pairs, chosen.quotas, splits, rejections.table(), candidates)


def fill_without_memory(assignment: Assignment) -> dict[str, int]:
    """Return how many pairs each label would have if no earlier release had given a label to anything.

    What the parent decided of duplicates and of splits stays: only the balance is sought anew.
    """
    pool = assignment.pool
    return balance(supply_of(pool, nothing_kept(pool)), pool.rule_set).pairs


def _reject_all_but(pool: Pool, pairs: Pairs, rejections: Rejections) -> None:
    """Leave out everything eligible that the release to go back to does not hold, or not so that it may stand."""
    pictures, clips, recordings = (
        np.ones(count, bool) for count in (len(pool.images.rows), len(pool.clips), len(pool.music.rows))
    )
    pictures[pairs.image] = clips[pairs.clip] = recordings[pool.clips.recording[pairs.clip]] = False
    rejections.add("image", "rolled_back", pool.images.rows[pictures])
    of_clips = pool.music.rows[pool.clips.recording[clips]]
    rejections.add("clip", "rolled_back", of_clips, start_sample=pool.clips.start_sample[clips])
    rejections.add("recording", "no_clip_kept", pool.music.rows[recordings])


def _reject_rest(pool: Pool, kept: Kept, chosen: Chosen, pairs: Pairs, rejections: Rejections) -> None:
    """Say of everything eligible that is in no pair why it is not."""
    labels = pool.rule_set.labels
    counts = np.bincount(pairs.label, minlength=len(labels))
    is_open = counts < [label.size for label in labels]
    _reject_images(pool, kept, chosen, pairs, is_open, _full(pool, counts, "clip"), rejections)
    _reject_clips(pool, kept, chosen, pairs, is_open, _full(pool, counts, "picture"), rejections)


def _full(pool: Pool, counts: Ints, other: str) -> list[str]:
    """Say of each label why it takes no more: it is as large as it may be, or nothing of the other side is left."""
    return [
        f"{label.name} has {count} of {label.size} pairs" + (f" and no {other} left" if count < label.size else "")
        for label, count in zip(pool.rule_set.labels, counts.tolist(), strict=True)
    ]


def _reject_images(
    pool: Pool, kept: Kept, chosen: Chosen, pairs: Pairs, is_open: Bools, full: list[str], rejections: Rejections
) -> None:
    # What was released and lost its partner is wanted, even where the other side leaves too little to plan for it.
    wanted = np.where((kept.images != NONE) & is_open[kept.images], kept.images, NONE)
    for label, rows in enumerate(chosen.images.values()):
        wanted[rows] = label
    left = np.ones(len(wanted), dtype=bool)
    left[pairs.image] = False
    alone, rest = np.flatnonzero(left & (wanted != NONE)), np.flatnonzero(left & (wanted == NONE))
    nobody = [f"no clip of {label} is free in its split" for label in pool.rule_set.label_names]
    rejections.add("image", "no_partner", pool.images.rows[alone], detail=_said(wanted[alone], nobody))
    why = ["; ".join(full[label] for label in options) for options in pool.image_kinds.options]
    rejections.add("image", "class_full", pool.images.rows[rest], detail=_said(pool.image_kinds.of[rest], why))


def _reject_clips(
    pool: Pool, kept: Kept, chosen: Chosen, pairs: Pairs, is_open: Bools, full: list[str], rejections: Rejections
) -> None:
    clips, limits = pool.clips, list(pool.rule_set.quotas.values())
    quotas = chosen.quotas[clips.recording]
    labels = pool.label_of_quota[quotas]
    wanted = kept.clips & is_open[labels]
    for rows in chosen.clips.values():
        wanted[rows] = True
    left = np.ones(len(clips), dtype=bool)
    left[pairs.clip] = False
    quota_is_full = np.bincount(quotas[pairs.clip], minlength=len(limits)) >= limits
    nobody = [f"no picture of {name} is free in its split" for name in pool.rule_set.label_names]
    too_many = [f"{name} takes {pool.rule_set.quotas[name, sub]} clips of {sub}" for name, sub in pool.quotas]
    over = ~wanted & quota_is_full[quotas]
    for reason, out, numbers, words in (
        ("no_partner", wanted, labels, nobody),
        ("quota_full", over, quotas, too_many),
        ("class_full", ~wanted & ~over, labels, full),
    ):
        at = np.flatnonzero(left & out)
        rows, detail = pool.music.rows[clips.recording[at]], _said(numbers[at], words)
        rejections.add("clip", reason, rows, detail=detail, start_sample=clips.start_sample[at])
    is_kept = np.zeros(len(pool.music.rows), dtype=bool)
    is_kept[clips.recording[pairs.clip]] = True
    rejections.add("recording", "no_clip_kept", pool.music.rows[~is_kept])


def _said(numbers: Ints, words: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int64()), pa.array(words, pa.string()))
