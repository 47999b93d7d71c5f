"""Which clips of a split are evaluated: chosen by a seed, label by label; and the images that belong to them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Ints, flat, numbered, places_within, shuffled
from curation.store import digest
from evaluation.result import LeftOut
from evaluation.sample import Items
from rules.errors import ConfigurationError
from training import draws
from training.data import Split

PAIR_ID = re.compile(r"[0-9a-f]{8,64}")  # it becomes the name of a file

Told: TypeAlias = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True, slots=True)
class Pictured:
    """Items with an image each, and what was left out on the way.

    Attributes:
        files: of the images, in the order of the items.
    """

    items: Items
    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()

    def only(self, split: Split, places: Ints, left_out: tuple[LeftOut, ...] = ()) -> Self:
        """Return some of the items, with their images, and what else was left out.

        Args:
            places: in the items, ascending.
        """
        return type(self)(
            of_rows(split, self.items.rows[places]),
            tuple(self.files[place] for place in places),
            (*self.left_out, *left_out),
        )


def choose(split: Split, n: int | None, seed: int) -> Items:
    """Choose clips as if at random, in proportion to the labels, at least one of each.

    Fewer of the same split and seed are always among more of them.

    Args:
        n: how many; None, or more than there are, is all.

    Raises:
        ConfigurationError: n is less than the labels that have clips, or the split names its pairs in another way than
            `artune publish` does.
    """
    _check_ids(split)
    if n is None or n >= len(split):
        return of_rows(split, np.arange(len(split)))
    labels = split.pairs["label"].to_numpy()
    check_enough(n, split, "--n")
    order = np.argsort(shuffled(split.pairs["pair_id"], draws.number(seed, "items")), kind="stable")
    ranks = np.empty(len(split), dtype=np.int64)
    ranks[order] = places_within(labels[order])
    # Clip k of a label's c comes at (k + 1/2) / c, which gives each label its share (Sainte-Lague); clip 0 comes first.
    turns = np.where(ranks == 0, -1.0, (ranks + 0.5) / np.bincount(labels)[labels])
    return of_rows(split, np.lexsort((labels, turns))[:n])


def of_rows(split: Split, rows: Ints) -> Items:
    """Return clips in order of their pair_id.

    Args:
        rows: of the split's index.
    """
    rows = np.asarray(rows, dtype=np.int64)
    rows = rows[np.asarray(pc.sort_indices(flat(split.pairs["pair_id"].take(pa.array(rows)))))]
    pairs = split.pairs.take(pa.array(rows))
    pair_ids = tuple(pairs["pair_id"].to_pylist())
    (recordings,) = numbered(pairs["music_sha256"])
    return Items(
        pair_ids=pair_ids,
        labels=pairs["label"].to_numpy(),
        recordings=recordings,
        titles=tuple(
            (title or "").strip() or pair_id
            for title, pair_id in zip(pairs["music_title"].to_pylist(), pair_ids, strict=True)
        ),
        rows=rows,
        digest=digest({"split": split.name, "pair_ids": pair_ids}),
    )


def check_enough(n: int, split: Split, what: str) -> None:
    """Refuse fewer images than labels: some label would have none, and no figure would be of the whole split.

    Args:
        what: says how many there are, for who has to mend it.
    """
    labels = len(split.pairs["label"].unique())
    if n < labels:
        raise ConfigurationError(
            f"{what}: {n:,} images: expected at least {labels:,}, one for each label that has clips in the split "
            f"{split.name} of {split.revision.location}"
        )


def _check_ids(split: Split) -> None:
    ids = flat(split.pairs["pair_id"])
    fits = pc.match_substring_regex(ids, f"^(?:{PAIR_ID.pattern})$")
    if not pc.all(fits).as_py():
        wrong = ids.filter(pc.invert(fits))[0].as_py()
        raise ConfigurationError(
            f"{split.revision.location}: the split {split.name} has the pair_id {wrong[:80]!r}: expected 8 to 64 "
            "hexadecimal digits, as `artune publish` writes them"
        )
    if pc.count_distinct(ids).as_py() != len(ids):
        raise ConfigurationError(
            f"{split.revision.location}: the split {split.name} has a pair_id twice: expected each once"
        )
