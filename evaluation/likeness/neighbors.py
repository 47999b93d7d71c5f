"""The training item that is nearest to each of some others; training items are walked in batches, however many."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from curation.duplicates import MAX_HASH_BITS
from evaluation.features import Features
from evaluation.metrics import Floats, Ints

Batches: TypeAlias = Iterable[tuple[Ints, Features]]  # rows of a split, ascending, and their features (n, d)

AT_ONCE = 4_096  # training items; a row group has about 18, and one product of matrices for each would be slow


@dataclass(frozen=True, slots=True)
class Looks:
    """Items whose neighbors are looked for.

    Attributes:
        pair_ids: of the pairs that they are of; splits: where those lie.
        groups: their numbers, shared with `Train`, shape (n,); -1 of an item of no group, as a generated image.
        features: shape (n, d).
        bits: of a `PerceptualHash`, shape (n, 64); None of clips.
    """

    pair_ids: tuple[str, ...]
    splits: tuple[str, ...]
    groups: Ints
    features: Features
    bits: Features | None

    def __len__(self) -> int:
        return len(self.pair_ids)


@dataclass(frozen=True, slots=True)
class Train:
    """All training items. The batches are walked once.

    Attributes:
        pairs: the index of the split; groups: their numbers, shape (n_train,).
    """

    pairs: pa.Table
    groups: Ints
    features: Batches
    bits: Batches | None


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest training item of each asked one.

    Attributes:
        rows: of the split train, shape (n,); -1 where there is none of another group.
        products: scalar products with them, shape (n,): cosines, or what `distances_bits` takes; -inf where none is.
    """

    rows: Ints
    products: Features


def nearest(asked: Features, groups: Ints, batches: Batches, train_groups: Ints) -> Neighbors:
    """Find for each vector the training item of another group with the largest scalar product, the first of equals.

    Args:
        asked: shape (n, d); unit rows where cosines are wanted.
        groups: shape (n,); -1 of what may be near to any.
        batches: of all training items, likewise.
        train_groups: shape (n_train,).
    """
    rows = np.full(len(asked), -1, dtype=np.int64)
    best = np.full(len(asked), -np.inf, dtype=np.float32)
    for of_batch, features in _regrouped(batches):
        products = asked @ features.T
        products[groups[:, np.newaxis] == train_groups[of_batch]] = -np.inf
        place = np.argmax(products, axis=1)
        found = products[np.arange(len(asked)), place]
        is_better = found > best
        rows[is_better], best[is_better] = of_batch[place[is_better]], found[is_better]
    return Neighbors(rows, best)


def nearest_hash(asked: Looks, train: Train) -> Neighbors:
    """Find likewise the training image whose perceptual hash differs in the fewest bits."""
    if asked.bits is None or train.bits is None:
        raise TypeError("expected perceptual hashes of all images")
    return nearest(asked.bits, asked.groups, train.bits, train.groups)


def copy_bits(distances: Ints) -> int:
    """Return in how many bits two hashes differ at most that tell a copy, from distances of images that are none.

    As many as tell duplicates of the data set, yet fewer than 99 of 100 of those distances: among ten million hashes
    one within 10 bits is there by chance for every fifth image. Equal hashes always tell.

    Args:
        distances: of images that are no copies to their nearest training image, shape (n,).
    """
    usual = int(np.quantile(distances, 0.01, method="lower"))
    return max(min(MAX_HASH_BITS, usual - 1), 0)


def rounded(cosines: Features) -> Floats:
    """Return cosines as they are told: behind the sixth digit float32 depends on the machine."""
    return np.round(cosines.astype(np.float64), 6)


def joined(first: Looks, second: Looks) -> Looks:
    """Return the items of both, so that training items are walked once."""
    has_bits = first.bits is not None and second.bits is not None
    return Looks(
        first.pair_ids + second.pair_ids,
        first.splits + second.splits,
        np.concatenate([first.groups, second.groups]),
        np.concatenate([first.features, second.features]),
        np.concatenate([first.bits, second.bits]) if has_bits else None,
    )


def unit(features: Features) -> Features:
    """Return the rows with length 1; of a zero vector, which resembles nothing, zeros."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions: Features = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
    return directions


def unit_batches(batches: Batches) -> Iterator[tuple[Ints, Features]]:
    return ((rows, unit(features)) for rows, features in batches)


def _regrouped(batches: Batches) -> Iterator[tuple[Ints, Features]]:
    """Yield the same in larger batches."""
    waiting: list[tuple[Ints, Features]] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(rows) for rows, _ in waiting) >= AT_ONCE:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[tuple[Ints, Features]]) -> tuple[Ints, Features]:
    return np.concatenate([rows for rows, _ in batches]), np.concatenate([features for _, features in batches])
