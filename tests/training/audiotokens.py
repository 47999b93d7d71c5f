"""Models of tiny networks and batches for them: images of 16 px, clips of a second."""

import functools
import math

import torch
from torch import Tensor

from training import batch, recipe
from training.batch import Batch, Draws
from training.models.audiotoken import AudioToken
from training.recipe import Recipe

LABELS = ("Heavy metal", "Baroque Classical symbolism")
SIZES = (
    "train.unet=frozen",
    "image_size_px=16",
    "duration_s=1",
    "base.random.vae.sample_size=16",
    "base.random.unet.sample_size=8",
)

# Sets of changes: what is trained beside the embedder.
HEARS = ("train.encoder=true", "cache_features=false")
LORA = ("train.unet=lora", "train.lora.rank=2")
ALL = (*HEARS, "train.unet=full")

TRAINED = {
    (): {"embedder"},
    HEARS: {"embedder", "encoder"},
    LORA: {"embedder", "lora"},
    (*HEARS, *LORA): {"embedder", "encoder", "lora"},
    ALL: {"embedder", "encoder", "unet"},
}


def tiny(*changes: str) -> Recipe:
    return recipe.load("tiny", [*SIZES, *changes])


@functools.cache
def shared(*changes: str) -> AudioToken:
    """Give a model that all tests read and none changes."""
    return AudioToken.build(tiny(*changes), LABELS)


def build(*changes: str) -> AudioToken:
    """Give a model that may be changed."""
    return AudioToken.build(tiny(*changes), LABELS)


def tone(hertz: float, seconds: float = 1) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz / 16000 * torch.arange(round(16000 * seconds)))


def gradient(channel: int) -> Tensor:
    """Give an image that gets brighter in a color, uint8, shape (3, 16, 16)."""
    pixels = torch.zeros(3, 16, 16, dtype=torch.uint8)
    pixels[channel] = torch.arange(0, 256, 16, dtype=torch.uint8)
    return pixels


def batch_of(model: AudioToken, *waves: Tensor) -> Batch:
    """Give a batch of clips, each with an image and a label of its own; as the loader makes it for the recipe."""
    known = {
        "pair_ids": tuple(f"pair-{i}" for i in range(len(waves))),
        "positions": tuple(range(len(waves))),
        "labels": torch.arange(len(waves)) % len(LABELS),
        "moments": torch.stack([model.moments(gradient(i % 3)) for i in range(len(waves))]),
    }
    if model.recipe.train.encoder:
        return Batch(**known, waves=torch.stack(waves), lengths=torch.tensor([len(wave) for wave in waves]))
    heard = [model.features(wave) for wave in waves]
    return Batch(**known, features=torch.stack([f for f, _ in heard]), mask=torch.stack([m for _, m in heard]))


def draws_of(model: AudioToken, items: Batch, epoch: int = 0) -> Draws:
    return batch.training_draws(items, model.recipe.seed, epoch, model.n_timesteps)


LOW = tone(220)
HIGH = tone(1760)
