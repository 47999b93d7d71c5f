"""Splits for the groups, and one image and one clip to each pair, inside label and split."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.choosing import NONE, Chosen, Kept, Pairs, Pool, joined
from curation.columns import Bools, Ints, Keys, shuffled
from curation.eligible import NO_SPLIT
from curation.memory import SPLITS
from curation.split import Groups, split_label

_Numbers = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Splits:
    """The split of every group on each side, int8, shape (n_groups,): numbers of SPLITS, or NO_SPLIT."""

    images: _Numbers
    music: _Numbers


def split_groups(pool: Pool, chosen: Chosen) -> Splits:
    """Give a split to every group that has something chosen; a group keeps the one that it has."""
    splits = Splits(pool.images.splits.copy(), pool.music.splits.copy())
    shares = [getattr(pool.rule_set.splits, split) for split in SPLITS]
    sub_genres = np.unique([sub_genre for _, sub_genre in pool.quotas], return_inverse=True)[1]
    of_clips = sub_genres[chosen.quotas[pool.clips.recording]]
    for label, rows in chosen.images.items():
        clips, seed = chosen.clips[label], pool.rule_set.seed
        pictures = pool.image_groups[rows], np.zeros(len(rows), dtype=np.int64)
        sounds = pool.clip_groups[clips], of_clips[clips]
        numbers, images = _groups(*pictures, pool.images.group_names, splits.images, seed)
        others, music = _groups(*sounds, pool.music.group_names, splits.music, seed)
        splits.images[numbers], splits.music[others] = split_label(images, music, shares)
    return splits


def _groups(members: Ints, sub_genres: Ints, names: pa.Array, splits: _Numbers, seed: int) -> tuple[Ints, Groups]:
    """Return the numbers and the sizes of the groups of a label's members, each of a sub-genre."""
    numbers, which = np.unique(members, return_inverse=True)
    columns, column = np.unique(sub_genres, return_inverse=True)
    shape = len(numbers), len(columns)
    sizes = np.bincount(which * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)
    order = np.argsort(shuffled(names.take(pa.array(numbers)), seed), kind="stable")
    return numbers[order], Groups(sizes[order], splits[numbers[order]].astype(np.int64))


def pair(pool: Pool, kept: Kept, chosen: Chosen, splits: Splits) -> Pairs:
    """Join what is chosen; then let what was left alone by its split take a partner from what was not chosen."""
    of_images, of_clips = splits.images[pool.image_groups], splits.music[pool.clip_groups]
    has_image, has_clip = _used(pool, kept.pairs)
    parts = [kept.pairs]
    for label, (images, clips) in enumerate(zip(chosen.images.values(), chosen.clips.values(), strict=True)):
        free, alone = images[~has_image[images]], clips[~has_clip[clips]]
        for split in range(len(SPLITS)):
            rows, others = free[of_images[free] == split], alone[of_clips[alone] == split]
            count = min(len(rows), len(others))
            parts.append(Pairs(rows[:count], others[:count], np.full(count, label), np.full(count, split)))
    return _SecondChoice(pool, kept, chosen, splits, joined(parts)).pairs()


def _used(pool: Pool, pairs: Pairs) -> tuple[Bools, Bools]:
    """Tell which images and which clips are in pairs."""
    has_image, has_clip = np.zeros(len(pool.images.items), dtype=bool), np.zeros(len(pool.clips), dtype=bool)
    has_image[pairs.image], has_clip[pairs.clip] = True, True
    return has_image, has_clip


class _SecondChoice:
    """Pairs what is alone with a spare of the other side, as far as sizes and quotas allow."""

    def __init__(self, pool: Pool, kept: Kept, chosen: Chosen, splits: Splits, pairs: Pairs) -> None:
        self.pool, self.kept, self.chosen, self.splits, self.first = pool, kept, chosen, splits, pairs
        self.has_image, self.has_clip = _used(pool, pairs)
        labels, quotas = pool.rule_set.labels, list(pool.rule_set.quotas.values())
        self.room = np.array([label.size for label in labels]) - np.bincount(pairs.label, minlength=len(labels))
        used = np.bincount(chosen.quotas[pool.clips.recording[pairs.clip]], minlength=len(quotas))
        self.quota_room = np.array(quotas) - used

    def pairs(self) -> Pairs:
        """Return the first choice and the second."""
        found: list[tuple[int, int, int, int]] = []
        for label, (images, clips) in enumerate(
            zip(self.chosen.images.values(), self.chosen.clips.values(), strict=True)
        ):
            found += self._partners_of_clips(label, clips[~self.has_clip[clips]])
            found += self._partners_of_images(label, images[~self.has_image[images]])
        columns = np.array(found, dtype=np.int64).reshape(-1, 4).T
        return joined([self.first, Pairs(*columns)])

    def _partners_of_clips(self, label: int, alone: Ints) -> Iterator[tuple[int, int, int, int]]:
        if not len(alone) or self.room[label] <= 0:
            return
        groups, splits = self.pool.image_groups, self.splits.images
        spare = _Spare(self._spare_images(label), groups, splits, lambda row: not self.has_image[row])
        for clip in alone.tolist():
            split = int(self.splits.music[self.pool.clip_groups[clip]])
            image = spare.next_of(split)
            if image is not None and self.room[label] > 0:
                splits[groups[image]] = split
                yield self._join(image, clip, label, split)

    def _partners_of_images(self, label: int, lonely: Ints) -> Iterator[tuple[int, int, int, int]]:
        if not len(lonely) or self.room[label] <= 0:
            return
        groups, splits = self.pool.clip_groups, self.splits.music
        spare = _Spare(self._spare_clips(label), groups, splits, self._is_free)
        for image in lonely.tolist():
            split = int(self.splits.images[self.pool.image_groups[image]])
            clip = spare.next_of(split)
            if clip is not None and self.room[label] > 0:
                splits[groups[clip]] = split
                yield self._join(image, clip, label, split)

    def _join(self, image: int, clip: int, label: int, split: int) -> tuple[int, int, int, int]:
        self.has_image[image], self.has_clip[clip] = True, True
        self.room[label] -= 1
        self.quota_room[self.chosen.quotas[self.pool.clips.recording[clip]]] -= 1
        return image, clip, label, split

    def _is_free(self, clip: int) -> bool:
        quota = self.chosen.quotas[self.pool.clips.recording[clip]]
        return not self.has_clip[clip] and bool(self.quota_room[quota] > 0)

    def _spare_images(self, label: int) -> Ints:
        """Return the unused images of a label, released ones first, without those that a release gave another."""
        kinds, before = self.pool.image_kinds, self.kept.images
        fits = kinds.fits(len(self.room))[kinds.of, label] & ((before == NONE) | (before == label))
        rows = np.flatnonzero(fits & ~self.has_image)
        return _in_turn(rows, before[rows] != NONE, self.pool.image_order)

    def _spare_clips(self, label: int) -> Ints:
        """Return the unused clips of a label, released ones first."""
        labels = self.pool.label_of_quota[self.chosen.quotas][self.pool.clips.recording]
        rows = np.flatnonzero((labels == label) & ~self.has_clip)
        return _in_turn(rows, self.kept.clips[rows], self.pool.clip_order)


def _in_turn(rows: Ints, was_released: Bools, order: Keys) -> Ints:
    return rows[np.lexsort((order[rows], ~was_released))]


class _Spare:
    """What may be taken for each split, in order: a group without a split is open to any, and has one from then on."""

    def __init__(self, rows: Ints, groups: Ints, splits: _Numbers, is_free: Callable[[int], bool]) -> None:
        self.groups, self.splits, self.is_free = groups, splits, is_free
        # What one split cannot take it can never take again, so each list is walked once.
        at = splits[groups[rows]]
        self.waiting = [iter(rows[(at == split) | (at == NO_SPLIT)].tolist()) for split in range(len(SPLITS))]

    def next_of(self, split: int) -> int | None:
        """Return the first that is free for a split."""
        fitting = (row for row in self.waiting[split] if self.splits[self.groups[row]] in (split, NO_SPLIT))
        return next((row for row in fitting if self.is_free(row)), None)
