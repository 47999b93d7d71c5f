"""A metric's scores of all items and of resampled ones, in one call."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.features import Features
from evaluation.metrics import Ints, Metric
from evaluation.sample import Sample, Space
from evaluation.statistics import resampling
from evaluation.statistics.replicates import Replicates
from rules.errors import ConfigurationError
from training.draws import number

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a score may be given.

    Attributes:
        recordings: of the items, shape (n,), numbered from 0 without gaps.
        real_groups: likewise of the real images, shape (m,).
    """

    generated: Features
    music: Features | None
    partners: Features
    real: Features
    texts: Features | None
    labels: Ints
    n_labels: int
    recordings: Ints
    real_groups: Ints

    @classmethod
    def of(cls, sample: Sample, space: Space) -> "Inputs":
        return cls(
            generated=space.generated,
            music=space.music,
            partners=space.partners,
            real=space.real,
            texts=space.texts,
            labels=sample.items.labels,
            n_labels=sample.n_labels,
            recordings=sample.items.recordings,
            real_groups=space.real_groups,
        )

    def with_images(self, places: Ints, images: Features) -> "Inputs":
        """Return the same of some items with other images in the place of the generated ones."""
        if len(places) == len(self.recordings):
            return replace(self, generated=images)
        return replace(
            self,
            generated=images,
            music=None if self.music is None else self.music[places],
            partners=self.partners[places],
            labels=self.labels[places],
            recordings=np.unique(self.recordings[places], return_inverse=True)[1].astype(np.int64),
        )

    @property
    def groups(self) -> int:
        return int(self.recordings.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """A score of all items and its replicates.

    Attributes:
        value: by label an array of shape (n_labels,), else one of shape ().
        items: see `Replicates`, with a further axis of labels; likewise real.
    """

    value: Float64
    items: Float64
    real: Float64


class Resampler:
    """Weights that depend on nothing but a seed and the groups, so that those of two evaluations are paired."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn: tuple[Ints, Float64] | None = None

    def bootstrap(self, recordings: Ints) -> Float64:
        """Return how often each item counts, shape (1 + REPLICATES, n)."""
        if self._drawn is None or self._drawn[0] is not recordings:  # most metrics ask for those of all items
            self._drawn = recordings, resampling.bootstrap_weights(recordings, number(self._seed, "bootstrap"))
        return self._drawn[1]

    def bootstrap_real(self, groups: Ints) -> Float64:
        return resampling.bootstrap_weights(groups, number(self._seed, "bootstrap of real images"))

    def jackknife(self, recordings: Ints) -> Float64:
        """Return which items stay as each part of the recordings is left out, shape (parts, n)."""
        return resampling.jackknife_keeps(recordings, number(self._seed, "jackknife")).astype(np.float64)

    def jackknife_real(self, groups: Ints) -> Float64:
        keeps = resampling.jackknife_keeps(groups, number(self._seed, "jackknife of real images"))
        return keeps.astype(np.float64)

    def orders(self, recordings: Ints) -> Ints:
        """Return whose partner each item gets in each shuffling, shape (PERMUTATIONS, n)."""
        found = resampling.permuted_orders(recordings, number(self._seed, "permutation"))
        return np.fromiter(found, dtype=(np.int64, len(recordings)), count=resampling.PERMUTATIONS)


def takes(metric: Metric) -> frozenset[str]:
    """Return the names of what a metric's score is given."""
    return frozenset(inspect.signature(metric.score).parameters)


def plain(metric: Metric, inputs: Inputs) -> dict[str, Float64]:
    """Return scores of all items, by label of shape (n_labels,), else of shape ()."""
    found = metric.score(**_arguments(metric, inputs, np.ones((1, len(inputs.recordings)))))
    return {name: np.asarray(values, dtype=np.float64)[0] for name, values in found.items()}


def resampled(metric: Metric, inputs: Inputs, resampler: Resampler) -> dict[str, Scores]:
    """Return scores with replicates. Where real images are seen they are resampled, too, apart from the items."""
    n, m = len(inputs.recordings), len(inputs.real_groups)
    sees_real = "real_weights" in takes(metric)
    if metric.UNCERTAINTY == "bootstrap":
        weights = resampler.bootstrap(inputs.recordings)
        real_weights = resampler.bootstrap_real(inputs.real_groups) if sees_real else None
        parts = len(weights) - 1
    else:
        kept = resampler.jackknife(inputs.recordings)
        kept_real = resampler.jackknife_real(inputs.real_groups) if sees_real else np.ones((0, m))
        parts = len(kept)
        weights = np.concatenate([np.ones((1, n)), kept, np.ones((len(kept_real), n))])
        real_weights = np.concatenate([np.ones((1 + parts, m)), kept_real])
    found = metric.score(**_arguments(metric, inputs, weights, real_weights))
    return {name: _divided(np.asarray(values, dtype=np.float64), parts) for name, values in found.items()}


def shuffled(metric: Metric, inputs: Inputs, resampler: Resampler) -> dict[str, Float64]:
    """Return scores of shuffled partners, each of shape (permutations,); none where nothing can be shuffled."""
    if metric.SHUFFLED is None or inputs.groups < 2:
        return {}
    asked = inspect.signature(metric.shuffled).parameters
    given = {name: getattr(inputs, name) for name in asked if name != "orders"}
    found = metric.shuffled(**given, orders=resampler.orders(inputs.recordings))
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def replicates(metric: Metric, inputs: Inputs, name: str, scores: Scores) -> Replicates:
    effective = effective_groups(metric, inputs, inputs.recordings)
    return Replicates(name, metric.UNCERTAINTY, inputs.groups, effective, scores.items, scores.real)


def effective_groups(metric: Metric, inputs: Inputs, recordings: Ints) -> float:
    """Return as how many groups of equal size recordings count, or real images where they are fewer."""
    found = resampling.effective_groups(recordings)
    if "real_weights" not in takes(metric):
        return found
    return min(found, resampling.effective_groups(inputs.real_groups))


@contextmanager
def in_space(name: str) -> Iterator[None]:
    """Let a complaint about features say whose they are."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"features of the space {name}: {error}") from None


def _divided(values: Float64, parts: int) -> Scores:
    return Scores(values[0], values[1 : 1 + parts], values[1 + parts :])


def _arguments(metric: Metric, inputs: Inputs, weights: Float64, real_weights: Float64 | None = None) -> dict[str, Any]:
    """Return what the parameters of a score ask for; real images count once each unless weights are given."""
    asked = takes(metric)
    if "real_weights" in asked and real_weights is None:
        real_weights = np.ones((len(weights), len(inputs.real)))
    given = {"weights": weights, "real_weights": real_weights}
    return {name: given[name] if name in given else getattr(inputs, name) for name in sorted(asked)}
