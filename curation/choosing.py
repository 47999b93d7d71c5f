"""What of the eligible is used, and under which label: the balance, carried out on single items."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.balance import Plan, Quota, Supply, balance
from curation.clips import Clip
from curation.eligible import Side, labels_of
from curation.memory import Memory
from rules.schema import RuleSet


@dataclass(frozen=True, slots=True)
class Pair:
    """One row to be released: rows of the image side and of the list of clips."""

    image: int
    clip: int
    label: str
    split: str


@dataclass(frozen=True, slots=True)
class Pool:
    """Everything that may be used, in one place.

    Attributes:
        image_order: uint64, shape (n_images,): the order in which images are taken.
        clip_order: uint64, shape (n_clips,).
    """

    images: Side
    music: Side
    clips: list[Clip]
    rule_set: RuleSet
    memory: Memory
    image_order: npt.NDArray[np.uint64]
    clip_order: npt.NDArray[np.uint64]

    def quotas_of(self, recording: int) -> tuple[Quota, ...]:
        return tuple((fit.label, fit.sub_genre or "") for fit in self.music.fitting.of(recording))

    def image_group(self, image: int) -> str:
        return self.images.groups[image]

    def clip_group(self, clip: int) -> str:
        return self.music.groups[self.clips[clip].recording]


def pool_of(images: Side, music: Side, clips: list[Clip], rule_set: RuleSet, memory: Memory) -> Pool:
    recordings: list[str] = music.items["sha256"].to_pylist()
    starts = np.array([clip.start_sample for clip in clips], dtype=np.uint64)
    of_clips = shuffled([recordings[clip.recording] for clip in clips], rule_set.seed, starts)
    of_images = shuffled(images.items["sha256"].to_pylist(), rule_set.seed)
    return Pool(images, music, clips, rule_set, memory, of_images, of_clips)


def shuffled(sha256s: Sequence[str], seed: int, salt: npt.ArrayLike = 0) -> npt.NDArray[np.uint64]:
    """Return a key for each hash that orders them as if at random, the same for the same seed.

    The mixing is that of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    heads = np.array([int(sha256[:16], 16) for sha256 in sha256s], dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = heads + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(salt, dtype=np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of the parent release.

    Attributes:
        pairs: pairs whose two sides are here and keep their label.
        images: label of every image that keeps it, by row.
        quotas: label and sub-genre of every recording that keeps them, by row.
        clips: indices of the parent's clips whose recording keeps its label.
    """

    pairs: list[Pair]
    images: dict[int, str]
    quotas: dict[int, Quota]
    clips: set[int]


def kept_of(pool: Pool) -> Kept:
    """Find the labels and pairs of the parent that stay; a class that shrank keeps its earliest."""
    recordings: list[str] = pool.music.items["sha256"].to_pylist()
    image_rows = {sha256: row for row, sha256 in enumerate(pool.images.items["sha256"].to_pylist())}
    images = {}
    for sha256, row in image_rows.items():
        before = pool.memory.images.get(sha256)
        if before and before["pair_id"] and before["label"] in labels_of(pool.images.fitting, row):
            images[row] = before["label"]
    quotas = {}
    for row, sha256 in enumerate(recordings):
        held = [(c["label"], c["sub_genre"]) for c in pool.memory.recordings.get(sha256, []) if c["pair_id"]]
        same = [quota for quota in pool.quotas_of(row) if held and quota[0] == held[0][0]]
        if same:
            quotas[row] = held[0] if held[0] in same else same[0]
    partner = {row["pair_id"]: row for row in pool.memory.images.values() if row["pair_id"]}
    stay: dict[str, list[tuple[int, int, Pair]]] = defaultdict(list)
    clips = set()
    for at, clip in enumerate(pool.clips):
        before = pool.memory.clips.get((recordings[clip.recording], clip.start_sample))
        if not before or not before["pair_id"] or clip.recording not in quotas:
            continue
        clips.add(at)
        other, label = partner[before["pair_id"]], quotas[clip.recording][0]
        image = image_rows.get(other["sha256"])
        if image is not None and images.get(image) == label:
            age = max(before["release"], other["release"])
            stay[label].append((age, int(pool.clip_order[at]), Pair(image, at, label, before["split"])))
    sizes = {label.name: label.size for label in pool.rule_set.labels}
    pairs = [pair for label in stay for *_, pair in sorted(stay[label], key=lambda p: p[:2])[: sizes[label]]]
    return Kept(pairs, images, quotas, clips)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is used.

    Attributes:
        images: rows of the image side by label, in the order in which they are paired.
        clips: indices into the pool's clips by label, likewise.
        quotas: for each recording, the label and sub-genre that it counts for.
    """

    images: dict[str, list[int]]
    clips: dict[str, list[int]]
    quotas: list[Quota]


def choose(pool: Pool, kept: Kept) -> Chosen:
    """Balance the classes and carry the plan out."""
    clips_of = Counter(clip.recording for clip in pool.clips)
    plan = balance(_supply(pool, kept, clips_of), pool.rule_set)
    quotas = _choose_quotas(pool, kept, plan, clips_of)
    return Chosen(_choose_images(pool, kept, plan), _choose_clips(pool, kept, plan, quotas), quotas)


def _supply(pool: Pool, kept: Kept, clips_of: Counter[int]) -> Supply:
    rows = range(len(pool.images.items))
    free_images = Counter(tuple(labels_of(pool.images.fitting, row)) for row in rows if row not in kept.images)
    free = ((row, count) for row, count in clips_of.items() if row not in kept.quotas)
    free_recordings = Counter((pool.quotas_of(row), count) for row, count in free)
    fixed_clips: Counter[Quota] = Counter()
    for row, quota in kept.quotas.items():
        fixed_clips[quota] += clips_of[row]
    kept_clips = Counter(kept.quotas[pool.clips[pair.clip].recording] for pair in kept.pairs)
    return Supply(free_images, free_recordings, Counter(kept.images.values()), fixed_clips, kept_clips)


def _choose_quotas(pool: Pool, kept: Kept, plan: Plan, clips_of: Counter[int]) -> list[Quota]:
    """Give every recording one label and sub-genre, as the plan counts them."""
    left = dict(plan.recordings)
    order = shuffled(pool.music.items["sha256"].to_pylist(), pool.rule_set.seed)
    quotas = [kept.quotas.get(row, pool.quotas_of(row)[0]) for row in range(len(order))]
    for row in np.argsort(order, kind="stable").tolist():
        options = pool.quotas_of(row)
        if row not in kept.quotas and clips_of[row]:
            quotas[row] = next(quota for quota in options if left.get((options, clips_of[row], quota)))
            left[options, clips_of[row], quotas[row]] -= 1
    return quotas


def _choose_images(pool: Pool, kept: Kept, plan: Plan) -> dict[str, list[int]]:
    """List the images of each label: those of kept pairs, those that had it before, then new ones."""
    chosen: dict[str, list[int]] = {label.name: [] for label in pool.rule_set.labels}
    in_pairs = {pair.image for pair in kept.pairs}
    for pair in kept.pairs:
        chosen[pair.label].append(pair.image)
    left, order = dict(plan.images), np.argsort(pool.image_order, kind="stable").tolist()
    for row in order:
        if row in kept.images and row not in in_pairs:
            chosen[kept.images[row]].append(row)
    for row in order:
        labels = tuple(labels_of(pool.images.fitting, row))
        label = next((label for label in labels if left.get((labels, label))), None)
        if row not in kept.images and label is not None:
            left[labels, label] -= 1
            chosen[label].append(row)
    return {label: rows[: plan.pairs[label]] for label, rows in chosen.items()}


def _choose_clips(pool: Pool, kept: Kept, plan: Plan, quotas: list[Quota]) -> dict[str, list[int]]:
    """List the clips of each label: those of kept pairs, those released before, then new ones.

    Every recording gives its first new clip before any gives its second.
    """
    stays = {pair.clip for pair in kept.pairs}
    by_quota: dict[Quota, list[int]] = defaultdict(list)
    for at, clip in enumerate(pool.clips):
        by_quota[quotas[clip.recording]].append(at)
    chosen: dict[str, list[int]] = {label.name: [] for label in pool.rule_set.labels}
    for quota, rows in sorted(by_quota.items()):
        rows.sort(
            key=lambda at: (at not in stays, at not in kept.clips, pool.clips[at].rank, int(pool.clip_order[at]), at)
        )
        chosen[quota[0]] += rows[: plan.clips.get(quota, 0)]
    return {
        label: sorted(rows, key=lambda at: (at not in stays, at not in kept.clips)) for label, rows in chosen.items()
    }
