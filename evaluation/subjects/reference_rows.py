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
    a label no image comes twice before all that there are have come, and a label goes on in the deck where the one
    before stopped: all together are as varied as real images are, whose measure of likeness is the ceiling.
    """
    groups, own = numbered(train.pairs["image_group"], split.pairs["image_group"])
    labels = train.pairs["label"].to_numpy()
    ids = train.pairs["pair_id"]
    found: dict[RowName, Reference] = {}
    names: tuple[RowName, ...] = ("other_label", "same_label")
    for name in names:
        order = np.argsort(shuffled(ids, draws.number(seed, name)), kind="stable")
        cards, stopped = np.full(len(items), -1, dtype=np.int64), -1  # places in the order
        for label in np.unique(items.labels):
            is_same = labels[order] == label
            deck = np.flatnonzero(is_same if name == "same_label" else ~is_same)
            places = np.flatnonzero(items.labels == label)
            cards[places] = _dealt(deck, groups[order], own[items.rows[places]], stopped)
            stopped = int(cards[places[-1]])
        places = np.flatnonzero(cards >= 0)
        found[name] = Reference(places, order[cards[places]])
    return found


def _dealt(deck: Ints, groups: Ints, unwanted: Ints, stopped: int) -> Ints:
    """Return the next card of the deck for each item whose group is not the unwanted one; -1 where all are of it.

    Args:
        deck: cards, ascending; it is gone through again when it ends.
        groups: of all cards.
        unwanted: a group for each item, shape (k,).
        stopped: the card that was dealt last, of this or of another deck; -1 of none.
    """
    dealt = np.full(len(unwanted), -1, dtype=np.int64)
    at = int(np.searchsorted(deck, stopped, side="right")) % max(len(deck), 1)
    for item, group in enumerate(unwanted):
        for _ in range(len(deck)):
            card, at = deck[at], (at + 1) % len(deck)
            if groups[card] != group:
                dealt[item] = card
                break
    return dealt
