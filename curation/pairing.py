"""Splits for the groups, and one image and one clip to each pair, inside label and split."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from curation.balance import Quota
from curation.choosing import Chosen, Kept, Pair, Pool, shuffled
from curation.eligible import labels_of
from curation.memory import SPLITS
from curation.split import Groups, split_label


@dataclass(frozen=True, slots=True)
class Splits:
    """The split of every group that has one, on each side."""

    images: dict[str, str]
    music: dict[str, str]


def split_groups(pool: Pool, chosen: Chosen) -> Splits:
    """Give a split to every group that has something chosen; a group keeps the one that it has."""
    splits = Splits(dict(pool.images.splits), dict(pool.music.splits))
    shares = [getattr(pool.rule_set.splits, split) for split in SPLITS]
    for label in chosen.images:
        images = _groups(map(pool.image_group, chosen.images[label]), splits.images, pool.rule_set.seed)
        music = _groups(map(pool.clip_group, chosen.clips[label]), splits.music, pool.rule_set.seed)
        for found, known in zip(split_label(images, music, shares), (splits.images, splits.music), strict=True):
            known.update({group: SPLITS[number] for group, number in found.items()})
    return splits


def _groups(members: Iterable[str], splits: dict[str, str], seed: int) -> Groups:
    sizes = Counter(members)
    names = np.array(sorted(sizes))
    names = names[np.argsort(shuffled(names.tolist(), seed), kind="stable")].tolist()
    numbers = [SPLITS.index(splits[name]) if name in splits else -1 for name in names]
    return Groups(names, np.array([sizes[name] for name in names], dtype=np.int64), np.array(numbers, dtype=np.int64))


def pair(pool: Pool, kept: Kept, chosen: Chosen, splits: Splits) -> list[Pair]:
    """Join what is chosen; then let what was left alone by its split take a partner from what was not chosen."""
    pairs = list(kept.pairs)
    images, clips = {pair.image for pair in pairs}, {pair.clip for pair in pairs}
    for label in chosen.images:
        for split in SPLITS:
            free = [r for r in chosen.images[label] if r not in images and splits.images[pool.image_group(r)] == split]
            alone = [a for a in chosen.clips[label] if a not in clips and splits.music[pool.clip_group(a)] == split]
            pairs += [Pair(row, at, label, split) for row, at in zip(free, alone, strict=False)]
    return pairs + list(_second_choice(pool, kept, chosen, splits, pairs))


def _second_choice(pool: Pool, kept: Kept, chosen: Chosen, splits: Splits, pairs: list[Pair]) -> Iterator[Pair]:
    """Pair what is alone with a spare of the other side, as far as sizes and quotas allow."""
    images, clips = {pair.image for pair in pairs}, {pair.clip for pair in pairs}
    used = Counter(chosen.quotas[pool.clips[at].recording] for at in clips)
    counts = Counter(found.label for found in pairs)
    sizes = {label.name: label.size for label in pool.rule_set.labels}
    limits = pool.rule_set.quotas
    for label in chosen.images:
        alone = [at for at in chosen.clips[label] if at not in clips]
        spare = _spare_images(pool, kept, label, images) if alone else []
        for at in alone:
            split = splits.music[pool.clip_group(at)]
            row = next((r for r in spare if splits.images.get(pool.image_group(r), split) == split), None)
            if row is not None and counts[label] < sizes[label]:
                yield Pair(row, at, label, split)
                counts[label] += 1
                spare.remove(row)
                images.add(row)
                clips.add(at)
                used[chosen.quotas[pool.clips[at].recording]] += 1
                splits.images[pool.image_group(row)] = split
        lonely = [row for row in chosen.images[label] if row not in images]
        waiting = _spare_clips(pool, kept, label, clips, chosen.quotas) if lonely else []
        for row in lonely:
            split = splits.images[pool.image_group(row)]
            fits = (a for a in waiting if splits.music.get(pool.clip_group(a), split) == split)
            found = next((a for a in fits if used[_quota(pool, chosen, a)] < limits[_quota(pool, chosen, a)]), None)
            if found is not None and counts[label] < sizes[label]:
                yield Pair(row, found, label, split)
                counts[label] += 1
                waiting.remove(found)
                images.add(row)
                clips.add(found)
                used[_quota(pool, chosen, found)] += 1
                splits.music[pool.clip_group(found)] = split


def _quota(pool: Pool, chosen: Chosen, clip: int) -> Quota:
    return chosen.quotas[pool.clips[clip].recording]


def _spare_images(pool: Pool, kept: Kept, label: str, used: set[int]) -> list[int]:
    """Return the unused images of a label, released ones first, without those that an earlier release gave another."""
    order = np.argsort(pool.image_order, kind="stable").tolist()
    free = (row for row in order if row not in used and kept.images.get(row, label) == label)
    fitting = (row for row in free if label in labels_of(pool.images.fitting, row))
    return sorted(fitting, key=lambda row: row not in kept.images)


def _spare_clips(pool: Pool, kept: Kept, label: str, used: set[int], quotas: list[Quota]) -> list[int]:
    """Return the unused clips of a label, released ones first."""
    order = np.argsort(pool.clip_order, kind="stable").tolist()
    free = (at for at in order if at not in used and quotas[pool.clips[at].recording][0] == label)
    return sorted(free, key=lambda at: at not in kept.clips)
