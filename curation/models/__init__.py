"""Models that answer questions about pictures and recordings, one family of them each file, found by name.

A family's module is light to import: what runs the model (torch and its kin) is imported by `load` alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from rules import drop_ins

Scores = npt.NDArray[np.float32]


class Loaded(Protocol):
    """A model in memory that was told its answers; several threads may use it at once."""

    def read(self, path: Path) -> Any:  # noqa: ANN401 - what the family's own `scores` takes
        """Decode one item.

        Raises:
            ItemError: it cannot be decoded.
        """
        ...

    def scores(self, items: Sequence[Any]) -> Scores:
        """Return how well each answer fits each item, shape (n_items, n_answers).

        A softmax over the answers of one question makes them probabilities. The numbers of an item do not depend on
        the others.

        Args:
            items: at most AT_ONCE of what `read` gives.
        """
        ...


class Family(Protocol):
    """What every module of this folder offers."""

    VERSION: int  # raise it when the same weights, prompts and item give other scores
    MODALITY: str  # image, music
    REQUIRES: tuple[str, ...]  # modules of the extra `tags` that `load` imports
    FILES: tuple[tuple[str, ...], ...]  # what a folder of weights holds: the first that is there of each
    AT_ONCE: int  # items in one pass

    def library_versions(self) -> str:
        """Name the libraries that decide over scores: of what decodes items, and of the model's code."""
        ...

    def load(self, weights: Path, answers: Sequence[Sequence[str]]) -> Loaded:
        """Load the weights on a GPU if there is one.

        Args:
            weights: a folder with FILES.
            answers: for each answer its prompts, which are averaged.
        """
        ...


def names() -> list[str]:
    """Return the names of all families."""
    return drop_ins.names(__path__)


def get(name: str) -> Family:
    """Import a family by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    return cast(Family, drop_ins.get(__name__, __path__, name, "family of models"))
