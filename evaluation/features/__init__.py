"""Networks that turn images, music and words into vectors, one family each file, found by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from rules import drop_ins

if TYPE_CHECKING:
    from evaluation.networks import Network

Features = npt.NDArray[np.float32]
Wave = npt.NDArray[np.int16]


class Extractor(Protocol):
    """A network in memory, in evaluation; what it gives of an item does not depend on the others.

    Attributes:
        name: architecture and training, as "CLIP ViT-B/32 (openai)"; it begins with "stand-in" where the weights are
            random or a small network takes the place of a large one.
        is_stand_in: no figure of it may be called by the name of a published measure.
        weights_sha256: tells two networks of one name apart.
        version: raised when the same weights and content give other numbers: part of the key of the cache.
        width: of its vectors.
        sample_rate_hz: of the waves that it hears; None if it hears nothing.
    """

    name: str
    is_stand_in: bool
    weights_sha256: str
    version: int
    width: int
    sample_rate_hz: int | None

    def images(self, pictures: Sequence[Image.Image]) -> Features:
        """Return a vector of each RGB picture, not normalized, shape (n, width)."""
        ...

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> Features:
        """Return a vector of each clip, mono, likewise.

        Args:
            sample_rate_hz: of the waves: heard at another rate than its own, a network hears other music.

        Raises:
            ItemError: "too_short", if a clip makes no frame.
            ValueError: they are of another rate than the network hears.
        """
        ...

    def texts(self, prompts: Sequence[str]) -> Features:
        """Return a vector of each prompt, likewise."""
        ...


class Family(Protocol):
    """What a module of this folder offers."""

    KINDS: frozenset[str]  # what it takes: "images", "sounds", "texts"

    def load(self, network: "Network", seed: int) -> Extractor:
        """Read or draw weights.

        Args:
            network: where weights lie, or settings of a network whose weights are drawn.
            seed: of weights that are drawn.

        Raises:
            ConfigurationError: weights are missing, damaged or of another network, or a setting is wrong; it begins
                with the key of `network`, and says where to get weights.
            TransientError: they are on the web, which is busy.
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
    return cast(Family, drop_ins.get(__name__, __path__, name, "family of features"))
