"""Batches of an epoch, in an order that seed and epoch decide, from any place in it and for any number of processes."""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from curation.errors import ItemError
from rules.errors import ConfigurationError
from training import draws
from training.batch import Batch
from training.data import Split
from training.reading import media
from training.reading.cache import Cache
from training.reading.encoding import Column, Encodes, Encoding, Entry, Want
from training.reading.order import EpochOrder, epoch_order, file_order
from training.reading.prefetch import LIMIT_BYTES, Prefetch
from training.recipe import Recipe


class Skipped(NamedTuple):
    """A picture or sound that cannot be used, by the pair that it belongs to."""

    pair_id: str
    reason: str
    detail: str


class Pair(NamedTuple):
    """What a place in an epoch is for: a clip, and the picture that it is shown with."""

    clip: Want
    image: Want


@dataclass(frozen=True, slots=True)
class Item:
    """A pair as it is trained on: both sides as a model takes them.

    Attributes:
        position: in the epoch, of the place that it has; it is another's where that cannot be used.
    """

    position: int
    pair_id: str
    label: int
    image: Entry
    sound: Entry


@dataclass(frozen=True, slots=True)
class _Pass:
    """One way through a split.

    Attributes:
        order: of its rows.
        pair_at: what each position is for.
        batches: the positions of each batch.
        fills_up: whether the next good pair takes the place of one that cannot be used.
    """

    order: EpochOrder
    pair_at: Callable[[int], Pair]
    batches: Sequence[range]
    fills_up: bool

    def windows(self) -> Iterator[list[int]]:
        """Yield the positions that are needed, a list for each window of the order."""
        count = len(self.order.rows)

        def window(position: int) -> tuple[int, int]:
            turn, place = divmod(position, count)
            return turn, int(np.searchsorted(self.order.windows, place, side="right"))

        positions = itertools.chain.from_iterable(self.batches)
        return (list(part) for _, part in itertools.groupby(positions, window))


class Loader:
    """Gives the batches of a split to one process of training.

    A step takes `batch_size * accumulation` consecutive positions of the epoch's order for each process; its
    micro-batches are numbered through, and each process takes `accumulation` of them in a row. So several processes and
    one with more accumulation see the same micro-batches. The last step of an epoch is filled up from the beginning of
    the order, so all have the same size, and up to a step less one of the pairs are seen twice. Each process reads what
    it needs by itself.

    Args:
        model: makes latents and features, in the thread that asks for batches.
        threads: that read and decode.
        limit_bytes: of media that are held in memory ahead of their batch.

    Raises:
        ConfigurationError: the clips are shorter than what the recipe wants to hear.
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        model: Encodes,
        cache: Cache | None = None,
        threads: int = 2,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self.skipped: list[Skipped] = []
        self._split = split
        self._recipe = recipe
        self._encoding = Encoding(split, recipe, model)
        self._cache = cache
        self._threads = threads
        self._limit_bytes = limit_bytes
        self._bad: set[tuple[Column, int]] = set()
        self._labels = split.pairs["label"].to_numpy()
        self._by_label = np.argsort(self._labels, kind="stable")
        self._label_starts = np.searchsorted(self._labels[self._by_label], np.arange(self._labels.max() + 2))

    def steps_per_epoch(self, process_count: int = 1) -> int:
        return -(-len(self._split) // (self._recipe.batch_size * self._recipe.accumulation * process_count))

    def batches(
        self, epoch: int, start_step: int = 0, process: int = 0, process_count: int = 1
    ) -> Generator[Batch, None, None]:
        """Yield the micro-batches of a process from a step of an epoch to its end; nothing before it is read.

        A pair that cannot be used is replaced by the next good one of the order, in every process alike, and is in
        `skipped` from then on. Close the iterator to end its threads early.

        Raises:
            ConfigurationError: the files changed, or no pair can be used.
            TransientError: the place of the files cannot be reached.
        """
        size, accumulation = self._recipe.batch_size, self._recipe.accumulation
        steps = range(start_step, self.steps_per_epoch(process_count))
        firsts = ((step * process_count + process) * accumulation for step in steps)
        numbers = itertools.chain.from_iterable(range(first, first + accumulation) for first in firsts)
        order = epoch_order(self._split.group_sizes, self._recipe.seed, epoch)
        return self._taken(
            _Pass(
                order=order,
                pair_at=lambda position: self._pair(order, epoch, position),
                batches=[range(number * size, (number + 1) * size) for number in numbers],
                fills_up=True,
            )
        )

    def validation_batches(
        self, process: int = 0, process_count: int = 1, max_items: int | None = None
    ) -> Generator[Batch, None, None]:
        """Yield every `process_count`-th batch of the split in the order of its files, each clip with its own picture.

        Pairs lie there by a hash, so the first ones are as good as drawn. The middle of each picture is taken. A pair
        that cannot be used is left out, and is in `skipped`; so a batch may be shorter than others.

        Args:
            max_items: how many pairs are taken, of all processes together.
        """
        size = self._recipe.batch_size
        count = len(self._split) if max_items is None else min(max_items, len(self._split))
        return self._taken(
            _Pass(
                order=file_order(self._split.group_sizes),
                pair_at=lambda row: Pair(Want("audio", row), Want("image", row)),
                batches=[
                    range(first, min(first + size, count))
                    for first in range(process * size, count, process_count * size)
                ],
                fills_up=False,
            )
        )

    def titles(self, pair_ids: Sequence[str]) -> list[str]:
        """Return what the music of pairs is called; the name of a pair where its source told nothing."""
        rows = pc.index_in(pa.array(pair_ids, pa.string()), self._split.pairs["pair_id"])
        told = self._split.pairs["music_title"].take(rows).to_pylist()
        return [(title or "").strip() or pair_id for title, pair_id in zip(told, pair_ids, strict=True)]

    def _pair(self, order: EpochOrder, epoch: int, position: int) -> Pair:
        row = picture = int(order.rows[position % len(order.rows)])
        words = (self._recipe.seed, epoch, position)
        if self._recipe.pairing == "label":
            first, behind = self._label_starts[self._labels[row] :][:2]
            picture = int(self._by_label[first + draws.number("picture", *words) % (behind - first)])
        crop = ("crop", *words) if self._recipe.crop == "random" else None
        return Pair(Want("audio", row), Want("image", picture, crop))

    def _taken(self, whole: _Pass) -> Generator[Batch, None, None]:
        """Yield batches, always with what comes next on its way."""
        windows = whole.windows()
        planned: dict[int, Pair] = {}
        with Prefetch(self._encoding, self._cache, self._threads, self._limit_bytes) as ahead:
            for positions in whole.batches:
                items = []
                for position in positions:
                    while position not in planned or ahead.has_room:
                        window = next(windows, None)
                        if window is None:
                            break
                        self._plan(whole, window, planned, ahead)
                    items.append(self._item(whole, position, ahead))
                    for want in planned.pop(position):
                        ahead.release(want)
                there = [item for item in items if item]
                if there:
                    yield _batch(there)

    def _plan(self, whole: _Pass, window: Sequence[int], planned: dict[int, Pair], ahead: Prefetch) -> None:
        pairs = {position: self._usable(whole, position) for position in window}
        planned.update(pairs)
        ahead.expect(want for pair in pairs.values() for want in pair)

    def _usable(self, whole: _Pass, position: int) -> Pair:
        """Return the pair of a position, or the one that takes its place as far as that is known."""
        return next(self._candidates(whole, position), whole.pair_at(position))

    def _candidates(self, whole: _Pass, position: int) -> Iterator[Pair]:
        """Yield what may be at a position, best first, without what is known to be of no use."""
        count = len(whole.order.rows) if whole.fills_up else 1
        for other in range(position, position + count):
            pair = whole.pair_at(other)
            if not any((want.column, want.row) in self._bad for want in pair):
                yield pair

    def _item(self, whole: _Pass, position: int, ahead: Prefetch) -> Item | None:
        """Return what is at a position, None if that cannot be used and nothing takes its place."""
        for pair in self._candidates(whole, position):
            sound, image = (self._entry(want, ahead) for want in pair)
            if sound is not None and image is not None:
                row = pair.clip.row
                pair_id = self._split.pairs["pair_id"][row].as_py()
                return Item(position, pair_id, int(self._labels[row]), image, sound)
        if whole.fills_up:
            first = self.skipped[0]
            raise ConfigurationError(
                f"{self._split.revision.location}: no pair of the split {self._split.name} can be used; the first, "
                f"{first.pair_id}: {first.reason}: {first.detail}"
            )
        return None

    def _entry(self, want: Want, ahead: Prefetch) -> Entry | None:
        found = ahead.entry(want)
        if not isinstance(found, ItemError):
            return found
        if (want.column, want.row) not in self._bad:
            self._bad.add((want.column, want.row))
            pair_id = self._split.pairs["pair_id"][want.row].as_py()
            self.skipped.append(Skipped(pair_id, found.reason, found.detail))
        return None


def _batch(items: Sequence[Item]) -> Batch:
    def stacked(name: str) -> Tensor | None:
        return torch.stack([item.sound[name] for item in items]) if name in items[0].sound else None

    waves = None
    if "wave" in items[0].sound:
        waves = torch.stack([media.samples(item.sound["wave"].numpy()) for item in items])
    return Batch(
        pair_ids=tuple(item.pair_id for item in items),
        positions=tuple(item.position for item in items),
        labels=torch.tensor([item.label for item in items]),
        moments=torch.stack([item.image["moments"] for item in items]),
        features=stacked("features"),
        mask=stacked("mask"),
        waves=waves,
        lengths=None if waves is None else torch.full((len(items),), waves.shape[1]),
    )
