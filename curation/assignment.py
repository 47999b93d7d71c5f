"""Labels, splits and partners of everything: a pure function of items, measurements, rules and the parent release."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from curation.balance import Quota
from curation.choosing import Chosen, Kept, Pair, Pool, choose, kept_of, pool_of
from curation.clips import usable_clips
from curation.eligible import Rejections, eligible, labels_of, refused
from curation.memory import Memory
from curation.pairing import Splits, pair, split_groups
from rules.schema import RuleSet


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything that a release says."""

    pool: Pool
    pairs: list[Pair]
    quotas: list[Quota]  # of each recording
    splits: Splits
    rejections: pa.Table
    candidates: pa.Table


def assign(
    items: pa.Table, measured_images: pa.Table, measured_recordings: pa.Table, rule_set: RuleSet, memory: Memory
) -> Assignment:
    """Decide label, split and partner of everything.

    Args:
        items: schema ITEMS, ordered by source and id.
        measured_images: schema IMAGES, for the blobs of the items and of everything in memory.
        measured_recordings: schema RECORDINGS, likewise.
    """
    rejections = Rejections()
    refused(items, rejections)
    images = eligible("image", items, measured_images, rule_set, memory, rejections)
    music = eligible("music", items, measured_recordings, rule_set, memory, rejections)
    pool = pool_of(images, music, usable_clips(music, rule_set, memory, rejections), rule_set, memory)
    kept = kept_of(pool)
    chosen = choose(pool, kept)
    splits = split_groups(pool, chosen)
    pairs = pair(pool, kept, chosen, splits)
    _reject_rest(pool, kept, chosen, pairs, rejections)
    candidates = pa.concat_tables([images.candidates, music.candidates])
    return Assignment(pool, pairs, chosen.quotas, splits, rejections.table(), candidates)


def _reject_rest(pool: Pool, kept: Kept, chosen: Chosen, pairs: list[Pair], rejections: Rejections) -> None:
    """Say of everything eligible that is in no pair why it is not."""
    counts = Counter(found.label for found in pairs)
    open_labels = {label.name for label in pool.rule_set.labels if counts[label.name] < label.size}
    full = {x.name: f"{x.name} has {counts[x.name]} pairs of at most {x.size}" for x in pool.rule_set.labels}
    used = {found.image for found in pairs}
    # What was released and lost its partner is wanted, even where the other side leaves too little to plan for it.
    wanted = {row: label for row, label in kept.images.items() if label in open_labels}
    wanted |= {row: label for label, rows in chosen.images.items() for row in rows}
    for row, item in enumerate(pool.images.items.to_pylist()):
        if row not in used and row in wanted:
            rejections.add("image", "no_partner", item, detail=f"no clip of {wanted[row]} is free in its split")
        elif row not in used:
            detail = "; ".join(full[label] for label in labels_of(pool.images.fitting, row))
            rejections.add("image", "class_full", item, detail=detail)
    clips = {at for at in kept.clips if chosen.quotas[pool.clips[at].recording][0] in open_labels}
    clips.update(at for rows in chosen.clips.values() for at in rows)
    _reject_clips(pool, chosen, {found.clip for found in pairs}, clips, full, rejections)


def _reject_clips(
    pool: Pool, chosen: Chosen, used: set[int], wanted: set[int], full: Mapping[str, str], rejections: Rejections
) -> None:
    items = pool.music.items.to_pylist()
    limits = pool.rule_set.quotas
    taken = Counter(chosen.quotas[pool.clips[at].recording] for at in used)
    for at, clip in enumerate(pool.clips):
        label, sub_genre = quota = chosen.quotas[clip.recording]
        if at in used:
            continue
        if at in wanted:
            reason, detail = "no_partner", f"no picture of {label} is free in its split"
        elif taken[quota] >= limits[quota]:
            reason, detail = "quota_full", f"{label} takes {limits[quota]} clips of {sub_genre}"
        else:
            reason, detail = "class_full", full[label]
        rejections.add("clip", reason, items[clip.recording], start_sample=clip.start_sample, detail=detail)
    kept = {pool.clips[at].recording for at in used}
    for row, item in enumerate(items):
        if row not in kept:
            rejections.add("recording", "no_clip_kept", item)
