"""Loaders over the tiny release, with networks that are a few additions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training import recipe
from training.batch import Batch
from training.data import Split, open_revision
from training.reading.cache import Cache
from training.reading.loading import Loader
from training.recipe import Recipe

CACHED = ("cache_features=true",)  # a change of the recipe


class Networks:
    """Stands for the frozen networks of a model; what they were asked for is counted."""

    sample_rate_hz = 16_000
    feature_dtype = torch.bfloat16
    base_sha256: Mapping[str, str] = {"vae": "of a vae", "encoder": "of an encoder"}

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def moments(self, pixels: Tensor) -> Tensor:
        self.asked["moments"] += 1
        return pixels.float().unfold(1, 8, 8).unfold(2, 8, 8).mean((-1, -2))

    def features(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        self.asked["features"] += 1
        features = wave.reshape(-1, 40)[::10].to(self.feature_dtype)
        return features, torch.ones(len(features), dtype=torch.bool)


def tiny_recipe(*changes: str) -> Recipe:
    """Return a recipe for the tiny release: half a second of sound, pictures of 32 px, batches of 4."""
    small = ("duration_s=0.5", "image_size_px=32", "batch_size=4", "cache_features=false")
    return recipe.load("tiny", [*small, *changes])


def same(first: Sequence[Batch], second: Sequence[Batch]) -> bool:
    """Say whether batches are equal bit by bit."""
    return len(first) == len(second) and all(map(_same, first, second))


def _same(first: Batch, second: Batch) -> bool:
    def equal(name: str) -> bool:
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None:
            return one is other
        return one.dtype == other.dtype and torch.equal(one, other)

    tensors = ("labels", "moments", "features", "mask", "waves", "lengths")
    return (first.pair_ids, first.positions) == (second.pair_ids, second.positions) and all(map(equal, tensors))


def split_of(folder: Path, name: str = "train") -> Split:
    found = open_revision(str(folder)).split(name)
    assert found is not None
    return found


def loader(split: Split, *changes: str, cache: Cache | None = None, **how: int) -> Loader:
    return Loader(split, tiny_recipe(*changes), Networks(), cache, **how)


def ids(batches: list[Batch]) -> list[str]:
    return [pair_id for batch in batches for pair_id in batch.pair_ids]
