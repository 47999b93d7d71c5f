"""What of the eligible is used, and under which label: the balance, carried out on single items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import Plan, Quota, Supply, balance
from curation.clips import Clips, earlier_keys
from curation.columns import Bools, Ints, Keys, places, places_within, shuffled
from curation.eligible import Side, labels_of
from curation.memory import SPLITS, Memory
from curation.tagging import Fitting
from rules.engine import OVERRIDE, Fit
from rules.schema import RuleSet

NONE = -1  # no label, no quota
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows to be released.

    Attributes:
        image: int64, shape (n,): rows of the image side.
        clip: int64, shape (n,): rows of the clips.
        label: int64, shape (n,): numbers of the rule set's labels.
        split: int64, shape (n,): numbers of SPLITS.
    """

    image: Ints
    clip: Ints
    label: Ints
    split: Ints

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Ints | Bools) -> "Pairs":
        return Pairs(self.image[rows], self.clip[rows], self.label[rows], self.split[rows])


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of all parts, in their order."""
    columns = zip(*((part.image, part.clip, part.label, part.split) for part in parts), strict=True)
    return Pairs(*map(np.concatenate, columns))


@dataclass(frozen=True, slots=True)
class Kinds:
    """Items told apart by nothing but what fits them.

    Attributes:
        of: int64, shape (n,): the kind of each item.
        options: of each kind, what fits it: numbers of labels or of quotas, in the order of the rule set.
    """

    of: Ints
    options: list[tuple[int, ...]]

    def fits(self, option_count: int) -> Bools:
        """Tell what fits each kind, shape (n_kinds, option_count)."""
        table = np.zeros((len(self.options), option_count), dtype=bool)
        for kind, options in enumerate(self.options):
            table[kind, list(options)] = True
        return table


@dataclass(frozen=True)
class Pool:
    """Everything that may be used, in one place.

    Attributes:
        image_order: uint64, shape (n_images,): the order in which images are taken.
        clip_order: uint64, shape (n_clips,).
    """

    images: Side
    music: Side
    clips: Clips
    rule_set: RuleSet
    memory: Memory
    image_order: Keys
    clip_order: Keys

    @cached_property
    def quotas(self) -> list[Quota]:
        """Label and sub-genre of every quota, in the rule set's order: a quota's number is its place here."""
        return list(self.rule_set.quotas)

    @cached_property
    def label_of_quota(self) -> Ints:
        """The number of the label of each quota, shape (n_quotas,)."""
        numbers = {name: number for number, name in enumerate(self.rule_set.label_names)}
        return np.array([numbers[label] for label, _ in self.quotas], dtype=np.int64)

    @cached_property
    def image_kinds(self) -> Kinds:
        """Images by the labels that fit them."""
        numbers = {name: number for number, name in enumerate(self.rule_set.label_names)}
        return _kinds(self.images.fitting, lambda fits: tuple(numbers[name] for name in labels_of(fits)))

    @cached_property
    def music_kinds(self) -> Kinds:
        """Recordings by the quotas that fit them."""
        numbers = {quota: number for number, quota in enumerate(self.quotas)}
        return _kinds(self.music.fitting, lambda fits: tuple(numbers[fit.label, fit.sub_genre or ""] for fit in fits))

    @cached_property
    def image_groups(self) -> Ints:
        """The number of the group of each image, shape (n_images,)."""
        return self.images.groups

    @cached_property
    def clip_groups(self) -> Ints:
        """The number of the group of each clip, shape (n_clips,)."""
        return self.music.groups[self.clips.recording]


def pool_of(images: Side, music: Side, clips: Clips, rule_set: RuleSet, memory: Memory) -> Pool:
    """Gather what may be used and draw the lots that decide its order."""
    of_images = shuffled(images.items["sha256"], rule_set.seed)
    recordings = music.items["sha256"].take(pa.array(clips.recording))
    of_clips = shuffled(recordings, rule_set.seed, clips.start_sample)
    # What a curator's override gives a label is taken before anything new.
    of_images[_is_forced(images.fitting)] = 0
    of_clips[_is_forced(music.fitting)[clips.recording]] = 0
    return Pool(images, music, clips, rule_set, memory, of_images, of_clips)


def _is_forced(fitting: Fitting) -> Bools:
    forced = [bool(fits) and fits[0].rule == OVERRIDE for fits in fitting.fits]
    return np.array(forced, dtype=bool)[fitting.combination]


def _kinds(fitting: Fitting, options_of: Callable[[Sequence[Fit]], tuple[int, ...]]) -> Kinds:
    options = [options_of(fits) for fits in fitting.fits]
    numbers = {found: number for number, found in enumerate(dict.fromkeys(options))}
    of_combination = np.array([numbers[found] for found in options], dtype=np.int64)
    return Kinds(of_combination[fitting.combination], list(numbers))


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of the parent release.

    Attributes:
        pairs: pairs whose two sides are here and keep their label.
        images: int64, shape (n_images,): the label of every image that keeps it, else NONE.
        quotas: int64, shape (n_recordings,): the quota of every recording that keeps its label, else NONE.
        clips: bool, shape (n_clips,): the parent's clips whose recording keeps its label.
    """

    pairs: Pairs
    images: Ints
    quotas: Ints
    clips: Bools


def kept_of(pool: Pool) -> Kept:
    """Find the labels and pairs of the parent that stay; a class that shrank keeps its earliest."""
    memory = pool.memory
    images, quotas = _kept_labels(pool), _kept_quotas(pool)
    at = places(pool.clips.keys, earlier_keys(pool.music, memory))  # rows of the memory's clips
    released = np.append(memory.is_released("music"), False)[at]
    clips = np.flatnonzero(released & (quotas[pool.clips.recording] != NONE))
    at = at[clips]
    partners = memory.partners[at]
    rows = pool.images.earlier[partners]
    labels = pool.label_of_quota[quotas[pool.clips.recording[clips]]]
    whole = np.append(images, NONE)[rows] == labels  # an image that is gone has no label
    age = np.maximum(memory.clips["release"].to_numpy()[at], memory.images["release"].to_numpy()[partners])
    splits = places(memory.clips["split"], pa.array(SPLITS))[at]
    pairs = Pairs(rows, clips, labels, splits).take(whole)
    pairs = pairs.take(np.lexsort((pool.clip_order[pairs.clip], age[whole], pairs.label)))
    sizes = np.array([label.size for label in pool.rule_set.labels])
    is_kept = np.zeros(len(pool.clips), dtype=bool)
    is_kept[clips] = True
    return Kept(pairs.take(places_within(pairs.label) < sizes[pairs.label]), images, quotas, is_kept)


def nothing_kept(pool: Pool) -> Kept:
    """Return what would stay if there were no parent."""
    nobody = np.empty(0, dtype=np.int64)
    images = np.full(len(pool.images.items), NONE, dtype=np.int64)
    quotas = np.full(len(pool.music.items), NONE, dtype=np.int64)
    return Kept(Pairs(nobody, nobody, nobody, nobody), images, quotas, np.zeros(len(pool.clips), dtype=bool))


def _released(side: Side, memory: Memory, modality: str) -> tuple[Ints, pa.Table]:
    """Return the rows here of what the parent held, and what it said of them."""
    held = memory.is_released(modality) & (side.earlier >= 0)
    return side.earlier[held], memory.ever(modality).select(["label", "sub_genre"]).filter(pa.array(held))


def _kept_labels(pool: Pool) -> Ints:
    """Return the label that each image had in the parent and that still fits it."""
    rows, held = _released(pool.images, pool.memory, "image")
    labels = places(held["label"], pa.array(pool.rule_set.label_names))
    fits = pool.image_kinds.fits(len(pool.rule_set.labels))[pool.image_kinds.of[rows], labels]
    kept = np.full(len(pool.images.items), NONE, dtype=np.int64)
    kept[rows] = np.where(fits, labels, NONE)
    return kept


def _kept_quotas(pool: Pool) -> Ints:
    """Return the quota that each recording had in the parent, or else the first one of its label, if it still fits."""
    at, held = _released(pool.music, pool.memory, "music")
    names = pc.binary_join_element_wise(held["label"], held["sub_genre"], "\0")
    labels, quotas = np.full((2, len(pool.music.items)), NONE, dtype=np.int64)
    # All the clips of a recording had one label and sub-genre.
    labels[at] = places(held["label"], pa.array(pool.rule_set.label_names))
    quotas[at] = places(names, pa.array(map("\0".join, pool.quotas)))
    kept = np.full(len(labels), NONE, dtype=np.int64)
    rows = np.flatnonzero(labels != NONE)
    cases = np.stack([pool.music_kinds.of[rows], labels[rows], quotas[rows]], axis=1)
    distinct, which = np.unique(cases, axis=0, return_inverse=True)
    found = []
    for kind, label, quota in distinct.tolist():
        same = [option for option in pool.music_kinds.options[kind] if pool.label_of_quota[option] == label]
        found.append(quota if quota in same else next(iter(same), NONE))
    kept[rows] = np.array(found, dtype=np.int64)[which.ravel()]
    return kept


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is used.

    Attributes:
        images: rows of the image side by label, in the order in which they are paired.
        clips: rows of the clips by label, likewise.
        quotas: int64, shape (n_recordings,): the quota that each recording counts for.
    """

    images: dict[str, Ints]
    clips: dict[str, Ints]
    quotas: Ints


def choose(pool: Pool, kept: Kept) -> Chosen:
    """Balance the classes and carry the plan out."""
    plan = balance(supply_of(pool, kept), pool.rule_set)
    quotas = _choose_quotas(pool, kept, plan)
    return Chosen(_choose_images(pool, kept, plan), _choose_clips(pool, kept, plan, quotas), quotas)


def supply_of(pool: Pool, kept: Kept) -> Supply:
    """Count what there is to balance."""
    labels, quotas, clips_of = pool.rule_set.label_names, pool.quotas, _clips_of(pool)
    free = np.bincount(pool.image_kinds.of[kept.images == NONE], minlength=len(pool.image_kinds.options))
    images = {
        tuple(labels[number] for number in options): count
        for options, count in zip(pool.image_kinds.options, free.tolist(), strict=True)
        if count
    }
    rows = np.flatnonzero((kept.quotas == NONE) & (clips_of > 0))
    cases = np.stack([pool.music_kinds.of[rows], clips_of[rows]], axis=1)
    recordings = {
        (tuple(quotas[number] for number in pool.music_kinds.options[kind]), clips): count
        for (kind, clips), count in _counted(cases)
    }
    stays = kept.quotas != NONE
    fixed = np.bincount(kept.quotas[stays], weights=clips_of[stays], minlength=len(quotas)).astype(np.int64)
    return Supply(
        images=images,
        recordings=recordings,
        fixed_images=_by_name(labels, kept.images[kept.images != NONE]),
        fixed_clips=dict(zip(quotas, fixed.tolist(), strict=True)),
        kept_clips=_by_name(quotas, kept.quotas[pool.clips.recording[kept.pairs.clip]]),
        released_clips=_by_name(quotas, kept.quotas[pool.clips.recording[kept.clips]]),
    )


def _clips_of(pool: Pool) -> Ints:
    """Return the number of clips of each recording, shape (n_recordings,)."""
    return np.bincount(pool.clips.recording, minlength=len(pool.music.items))


def _counted(cases: Ints) -> list[tuple[list[int], int]]:
    """Return each distinct row and how often it is there."""
    distinct, counts = np.unique(cases, axis=0, return_counts=True)
    return list(zip(distinct.tolist(), counts.tolist(), strict=True))


def _by_name(names: Sequence[Name], numbers: Ints) -> dict[Name, int]:
    return dict(zip(names, np.bincount(numbers, minlength=len(names)).tolist(), strict=True))


def _choose_quotas(pool: Pool, kept: Kept, plan: Plan) -> Ints:
    """Give every recording one quota, as the plan counts them."""
    names, kinds, clips_of = pool.quotas, pool.music_kinds, _clips_of(pool)
    first = np.array([next(iter(options), NONE) for options in kinds.options], dtype=np.int64)[kinds.of]
    quotas = np.where(kept.quotas == NONE, first, kept.quotas)
    rows = np.flatnonzero((kept.quotas == NONE) & (clips_of > 0))
    cases, which = np.unique(np.stack([kinds.of[rows], clips_of[rows]], axis=1), axis=0, return_inverse=True)
    shares = []
    for kind, clips in cases.tolist():
        options = tuple(names[number] for number in kinds.options[kind])
        counts = [plan.recordings.get((options, clips, names[number]), 0) for number in kinds.options[kind]]
        shares.append(np.repeat(kinds.options[kind], counts))
    order = shuffled(pool.music.items["sha256"], pool.rule_set.seed)
    quotas[rows] = _dealt(which.ravel(), order[rows], shares)
    return quotas


def _dealt(cases: Ints, order: Keys, shares: Sequence[Ints]) -> Ints:
    """Deal to the rows of each case, in order, what there is for the case; what gets nothing gets NONE."""
    dealt = np.full(len(cases), NONE, dtype=np.int64)
    rows = np.lexsort((order, cases))
    starts = np.searchsorted(cases[rows], np.arange(len(shares)))
    for start, share in zip(starts.tolist(), shares, strict=True):
        dealt[rows[start : start + len(share)]] = share
    return dealt


def _choose_images(pool: Pool, kept: Kept, plan: Plan) -> dict[str, Ints]:
    """List the images of each label: those of kept pairs, those that had it before, then new ones."""
    names, kinds = pool.rule_set.label_names, pool.image_kinds
    new = np.flatnonzero(kept.images == NONE)
    shares = []
    for options in kinds.options:
        fitting = tuple(names[number] for number in options)
        shares.append(np.repeat(options, [plan.images.get((fitting, name), 0) for name in fitting]))
    labels = kept.images.copy()
    labels[new] = _dealt(kinds.of[new], pool.image_order[new], shares)
    turn = np.where(kept.images == NONE, 2, 1)
    turn[kept.pairs.image] = 0
    order = pool.image_order.copy()
    order[kept.pairs.image] = np.arange(len(kept.pairs))
    rows = np.lexsort((order, turn, labels))
    return _first_of_each(names, rows, labels[rows], [plan.pairs[name] for name in names])


def _choose_clips(pool: Pool, kept: Kept, plan: Plan, quotas: Ints) -> dict[str, Ints]:
    """List the clips of each label: those of kept pairs, those released before, then new ones.

    Every recording gives its first new clip before any gives its second.
    """
    turn = np.where(kept.clips, 1, 2)
    turn[kept.pairs.clip] = 0
    by_name = np.argsort([*map(pool.quotas.index, sorted(pool.quotas))])  # the place of each among the names in order
    of = quotas[pool.clips.recording]
    rows = np.lexsort((pool.clip_order, pool.clips.rank, turn, by_name[of]))
    limits = np.array([plan.clips.get(quota, 0) for quota in pool.quotas], dtype=np.int64)
    rows = rows[places_within(of[rows]) < limits[of[rows]]]
    labels = pool.label_of_quota[of[rows]]
    order = np.lexsort((turn[rows], labels))
    return _first_of_each(pool.rule_set.label_names, rows[order], labels[order])


def _first_of_each(
    names: Sequence[str], rows: Ints, labels: Ints, limits: Sequence[int] | None = None
) -> dict[str, Ints]:
    """Cut rows that are ordered by label into a list for each label, no longer than its limit."""
    ends = np.searchsorted(labels, np.arange(len(names) + 1))
    parts = [rows[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]
    if limits is not None:
        parts = [part[:limit] for part, limit in zip(parts, limits, strict=True)]
    return dict(zip(names, parts, strict=True))
