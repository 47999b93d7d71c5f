"""What encoders share: where their settings stand, and how their weights are drawn."""

from collections.abc import Callable
from typing import TypeVar

import torch

from training.weights import seeded

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)
WHERE = "encoder.random"


def drawn(build: Callable[[], ModuleT], seed: int) -> ModuleT:
    """Build a network whose weights depend on the seed alone."""
    with seeded(seed, "encoder"):
        return build()
