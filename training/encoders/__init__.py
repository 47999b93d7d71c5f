"""Networks that hear, one family each file, found by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from rules import drop_ins
from rules.errors import ConfigurationError
from training import recipe

if TYPE_CHECKING:
    from torch import Tensor


class Encoder(Protocol):
    """What every family's `load` gives, beside what every module of torch has.

    Attributes:
        sample_rate_hz: of the waveforms it hears.
        width: of one block's output.
        n_blocks: whose outputs can be had; the first is 1.
        min_samples: a clip of fewer has no token.
    """

    sample_rate_hz: int
    width: int
    n_blocks: int
    min_samples: int

    def __call__(self, waves: "Tensor", lengths: "Tensor", blocks: Sequence[int]) -> tuple["Tensor", "Tensor"]:
        """Return features and mask; what lies behind `lengths` changes neither.

        Args:
            waves: float32, shape (n_clips, n_samples), range [-1, 1], at least `min_samples`.
            lengths: int64, shape (n_clips,): samples of each clip that are its own.
            blocks: whose outputs are joined, in this order.

        Returns:
            The outputs, shape (n_clips, n_tokens, len(blocks) * width), 0 where the mask is False; and the mask, bool,
            shape (n_clips, n_tokens), True where a token is made of the clip's own samples alone.

        Raises:
            ValueError: fewer samples than make a token.
        """
        ...

    def enable_gradient_checkpointing(self) -> None:
        """Keep only what enters each block in training, and compute the rest again: less memory, a third more time."""
        ...


class Family(Protocol):
    """What a module of this folder offers."""

    def load(self, encoder: recipe.Encoder, seed: int) -> Encoder:
        """Return a network in evaluation mode on the CPU, in float32, all of whose parameters can be trained.

        Args:
            encoder: tells its weights, or the settings of a network whose weights are drawn.
            seed: of the weights that are drawn.

        Raises:
            ConfigurationError: the weights are missing, damaged or of another network, or a setting is wrong.
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
    return cast(Family, drop_ins.get(__name__, __path__, name, "encoder"))


def check_blocks(encoder: Encoder, blocks: Sequence[int]) -> None:
    """Raise ConfigurationError if an encoder has not all of some blocks."""
    wrong = [block for block in blocks if not 1 <= block <= encoder.n_blocks]
    if wrong:
        raise ConfigurationError(f"encoder.blocks {wrong}: expected numbers from 1 to {encoder.n_blocks}")
