"""The mean of the weights over steps, which is what is validated, drawn with and kept (Polyak and Juditsky 1992)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Mean:
    """An exponential moving mean of parameters, kept beside them on their device.

    Args:
        parameters: what is trained, by name; the mean begins with their values of now.
        decay: what of the mean stays at each step, in [0, 1).
        updates: how often it was updated before.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float, updates: int = 0) -> None:
        self._parameters = dict(parameters)
        self._means = {name: value.detach().clone() for name, value in parameters.items()}
        self._decay = decay
        self._updates = updates

    def update(self) -> None:
        """Move the mean towards the weights, faster in the first steps.

        Otherwise a mean over 1,000 steps would hold the weights that a run began with for as long. The formula is that
        of TensorFlow's ExponentialMovingAverage with num_updates.
        """
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            for name, mean in self._means.items():
                mean.lerp_(self._parameters[name].detach(), 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the model have the mean as its weights for a while; no number is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self._means[name] = self._means[name], parameter.data
