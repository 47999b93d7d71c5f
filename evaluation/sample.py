"""What measures are taken of: the items, and the features of their images and clips in each space."""

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.features import Features
from evaluation.metrics import Ints
from evaluation.result import NetworkFacts, RowName


@dataclass(frozen=True, slots=True)
class Items:
    """Clips of a split, in order of pair_id; each has one image.

    Attributes:
        pair_ids: of the pairs that the clips are of, n of them.
        labels: their numbers, shape (n,).
        recordings: number of the recording of each clip, from 0 without gaps, shape (n,): what is resampled.
        rows: of the split's index, shape (n,).
        digest: of pair_ids and split, by which two evaluations are told to be of the same items.
    """

    pair_ids: tuple[str, ...]
    labels: Ints
    recordings: Ints
    titles: tuple[str, ...]
    rows: Ints
    digest: str

    def __len__(self) -> int:
        return len(self.pair_ids)


@dataclass(frozen=True, slots=True)
class Space:
    """Features in one space, each array by the network that `networks` names for it.

    Attributes:
        generated: shape (n, d), like partners, and music, which the spaces of images alone have not.
        real: real images of the split, each once, shape (m, d).
        real_groups: number of the group of each, from 0 without gaps, shape (m,).
        texts: a prompt for each label of the data set, shape (n_labels, d); None where no network of the space reads.
        others: images in the place of the generated ones: by the name of the row, the items that have one (ascending
            places in the items, shape (k,)) and their features, shape (k, d); without "shuffled" and "partner".
    """

    networks: tuple[NetworkFacts, ...]
    generated: Features
    partners: Features
    real: Features
    real_groups: Ints
    others: Mapping[RowName, tuple[Ints, Features]]
    music: Features | None = None
    texts: Features | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything that is measured.

    Attributes:
        spaces: by name: "pairing" (images, music and words), "inception", "clip" and "likeness" (images alone).
        seed: of the replicates and of the permutations.
    """

    items: Items
    n_labels: int
    spaces: Mapping[str, Space]
    seed: int
