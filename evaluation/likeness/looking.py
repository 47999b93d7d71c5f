"""Features of items of several splits, whose groups are numbered together: what is compared with training items."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from curation.columns import Ints, numbered
from evaluation.extraction.extracting import Extraction
from evaluation.extraction.perceptual_hash import PerceptualHash
from evaluation.extraction.portions import Side
from evaluation.features import Extractor
from evaluation.likeness.neighbors import Looks, Train
from evaluation.subjects import items
from evaluation.subjects.items import Pictured
from training.data import Split


class Looking:
    """One side of the splits of a data set, as a network sees or hears it; pictures as their perceptual hash, too.

    Args:
        train: with which the items of all splits, it among them, are compared.
        others: may be the same split.
    """

    def __init__(
        self, extraction: Extraction, network: Extractor, side: Side, train: Split, others: Sequence[Split]
    ) -> None:
        self._extraction, self._network, self._side, self._train = extraction, network, side, train
        self._hash = PerceptualHash() if side == "image" else None
        splits = {split.name: split for split in (train, *others)}
        groups = numbered(*(split.pairs[f"{side}_group"] for split in splits.values()))
        self._groups: Mapping[str, Ints] = dict(zip(splits, groups, strict=True))

    @property
    def has_several_groups(self) -> bool:
        """Say whether each training item may have a neighbor of another group."""
        return len(np.unique(self._groups[self._train.name])) > 1

    def train(self) -> Train:
        """Return all training items, to be walked once."""
        batches, side = self._extraction.batches, self._side
        return Train(
            pairs=self._train.pairs,
            groups=self._groups[self._train.name],
            features=batches(self._network, self._train, side),
            bits=batches(self._hash, self._train, side) if self._hash else None,
        )

    def some(self, split: Split, n: int, seed: int) -> Looks:
        """Return items of a split, about n of them, chosen as those of an evaluation are."""
        n_labels = len(split.pairs["label"].unique())
        rows = items.choose(split, max(n, n_labels), seed).rows
        found = self._extraction.of_rows(self._network, split, self._side, rows)
        bits = self._extraction.of_rows(self._hash, split, self._side, rows).features if self._hash else None
        rows = rows[found.places]
        return Looks(
            pair_ids=tuple(split.pairs["pair_id"].take(pa.array(rows)).to_pylist()),
            splits=(split.name,) * len(rows),
            groups=self._groups[split.name][rows],
            features=found.features,
            bits=bits,
        )

    def generated(self, pictured: Pictured, split: Split) -> Looks:
        """Return the evaluated images, which are of no group."""
        hashes = PerceptualHash()
        return Looks(
            pair_ids=pictured.items.pair_ids,
            splits=(split.name,) * len(pictured.items),
            groups=np.full(len(pictured.items), -1, dtype=np.int64),
            features=self._extraction.of_files(self._network, pictured.files).features,
            bits=self._extraction.of_files(hashes, pictured.files).features,
        )
