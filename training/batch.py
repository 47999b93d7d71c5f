"""What a model is given at once, what is drawn for it, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training import draws


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pairs: of each, the moments of its image's latents, and either features of its sound or the sound itself.

    Args:
        pair_ids: names of the pairs.
        positions: of the pairs in their epoch.
        labels: int64, shape (B,).
        moments: float32, shape (B, 2 C, h, w): mean and logarithm of the variance, as `AudioToken.moments` gives them.
        features: of the frozen encoder, shape (B, n, F), in the dtype of `AudioToken.features`; None with waves.
        mask: bool, shape (B, n): True where a feature is of sound; None with waves.
        waves: float32 in [-1, 1], shape (B, N), zeros behind what is shorter; None with features.
        lengths: int64, shape (B,): valid samples of each wave; None with features.
    """

    pair_ids: tuple[str, ...]
    positions: tuple[int, ...]
    labels: Tensor
    moments: Tensor
    features: Tensor | None = None
    mask: Tensor | None = None
    waves: Tensor | None = None
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pair_ids)

    def to(self, device: torch.device | str) -> "Batch":
        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return Batch(
            self.pair_ids,
            self.positions,
            self.labels.to(device, non_blocking=True),
            self.moments.to(device, non_blocking=True),
            moved(self.features),
            moved(self.mask),
            moved(self.waves),
            moved(self.lengths),
        )


@dataclass(frozen=True, slots=True)
class Draws:
    """What chance decides in a batch.

    Args:
        latent: standard normal float32, shape (B, C, h, w): which latents are taken of those that the moments allow.
        noise: standard normal float32, shape (B, C, h, w): what the U-Net is to find.
        timesteps: int64, shape (B,), uniform over [0, n_timesteps).
    """

    latent: Tensor
    noise: Tensor
    timesteps: Tensor

    def to(self, device: torch.device | str) -> "Draws":
        return Draws(*(t.to(device, non_blocking=True) for t in (self.latent, self.noise, self.timesteps)))


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss of a batch, and its parts, each as it counts: weighted, and the mean over the batch.

    Args:
        total: the sum of the parts; shape ().
        parts: "noise", and of "l1", "l2" and "label" those that the recipe has; shape () each, without gradients.
    """

    total: Tensor
    parts: dict[str, Tensor]


def training_draws(batch: Batch, seed: int, epoch: int, n_timesteps: int) -> Draws:
    """Return what is drawn for each item of a batch by its place in an epoch, on the CPU.

    Args:
        n_timesteps: how many steps there are to draw from: `AudioToken.n_timesteps`.
    """
    return _draws(batch, [(seed, "train", epoch, position) for position in batch.positions], range(n_timesteps))


def validation_draws(batch: Batch, seed: int, part: int, parts: int, n_timesteps: int) -> Draws:
    """Return what is drawn for each item by its name alone, so that it is the same at every pass, on the CPU.

    Args:
        part: which part of the time steps is drawn from, 0 to parts - 1: an item that is measured at `parts` of them
            is measured at some with much and some with little noise, which makes the mean far less ragged.
        n_timesteps: how many steps there are to draw from: `AudioToken.n_timesteps`.
    """
    timesteps = range(part * n_timesteps // parts, (part + 1) * n_timesteps // parts)
    return _draws(batch, [(seed, "validation", pair_id, part, parts) for pair_id in batch.pair_ids], timesteps)


def _draws(batch: Batch, words: Sequence[tuple[int | str, ...]], timesteps: range) -> Draws:
    _, channels, height, width = batch.moments.shape
    shape = (channels // 2, height, width)
    generators = [draws.generator(*of_item) for of_item in words]
    return Draws(
        torch.stack([torch.randn(shape, generator=generator) for generator in generators]),
        torch.stack([torch.randn(shape, generator=generator) for generator in generators]),
        torch.cat([torch.randint(timesteps.start, timesteps.stop, (1,), generator=g) for g in generators]),
    )
