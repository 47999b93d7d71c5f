"""Real images that stand in the place of generated ones, so that a reader sees floor and ceiling of a measure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curation.columns import Ints, numbered, shuffled
from evaluation.result import RowName
from evaluation.sample import Items
from training import draws
from training.data import Split


@dataclass(frozen=True, slots=True)
class Reference:
    """Training images for items.

    Attributes:
        places: of the items that have one, ascending, shape (k,).
        rows: of the split train, shape (k,).
    """

    places: Ints
    rows: Ints


def choose(items: Items, split: Split, train: Split, seed: int) -> Mapping[RowName, Reference]:
    """Choose for each item an image of another label and one of its own, both from the split train.

    Images of the item's own group, which may be details or copies of its true one, are none of them. Among the items of
    a label no image comes twice before all that there are have come, so that they are as varied as real images are.
    """
    groups, own = numbered(train.pairs["image_group"], split.pairs["image_group"])
    labels = train.pairs["label"].to_numpy()
    ids = train.pairs["pair_id"]
    found: dict[RowName, Reference] = {}
    names: tuple[RowName, ...] = ("other_label", "same_label")
    for name in names:
        order = np.argsort(shuffled(ids, draws.number(seed, name)), kind="stable")
        rows = np.full(len(items), -1, dtype=np.int64)
        for label in np.unique(items.labels):
            is_same = labels[order] == label
            deck = order[is_same if name == "same_label" else ~is_same]
            places = np.flatnonzero(items.labels == label)
            rows[places] = _dealt(deck, groups, own[items.rows[places]])
        places = np.flatnonzero(rows >= 0)
        found[name] = Reference(places, rows[places])
    return found


def _dealt(deck: Ints, groups: Ints, unwanted: Ints) -> Ints:
    """Return the next row of the deck for each item whose group is not the unwanted one; -1 where all are of it.

    Args:
        deck: rows; it is gone through again when it ends.
        groups: of all rows.
        unwanted: a group for each item, shape (k,).
    """
    dealt = np.full(len(unwanted), -1, dtype=np.int64)
    at = 0
    for item, group in enumerate(unwanted):
        for _ in range(len(deck)):
            row, at = deck[at], (at + 1) % len(deck)
            if groups[row] != group:
                dealt[item] = row
                break
    return dealt
