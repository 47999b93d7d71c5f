"""Figures of a sample: each with its interval, its chance level, its reference rows and what to doubt of it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from evaluation.features import Features
from evaluation.metrics import BY_LABEL, Ints, Measure, Metric
from evaluation.result import HEADLINE, Chance, Estimate, Figure, NetworkFacts, OfLabel, RowName
from evaluation.sample import Sample, Space
from evaluation.statistics import resampling, scoring
from evaluation.statistics.replicates import FEW_RECORDINGS, LEAST_RECORDINGS, Replicates
from evaluation.statistics.scoring import Float64, Inputs, Resampler, Scores, takes
from evaluation.telling.wording import made_by

SIGNIFICANT = 10  # digits that are kept: the last ones differ from machine to machine
ROUNDING = 1e-12  # of a value: what replicates differ by less is how they were added up
_SPACES = ("pairing", "inception", "clip", "likeness")  # in the order of their figures
_WANTED = {"music": "hears music", "texts": "reads words"}
_UNKNOWN = Estimate(value=None, interval=None, n=0)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        figures: the headline measure first, then what has a chance level.
        resampling: a digest of how often each item counts in each replicate: only equal ones are paired.
    """

    figures: list[Figure]
    replicates: tuple[Replicates, ...]
    resampling: str


def measure(
    sample: Sample,
    metrics: Mapping[str, Metric],
    *,
    small_fid: bool = False,
    told: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Measured:
    """Measure a sample.

    Args:
        metrics: by their names.
        small_fid: compute and mark, rather than refuse, what has too few items for the width of its features.
        told: stage, metrics done, metrics in all.

    Raises:
        ConfigurationError: features do not fit each other, are not finite, or zero; it says of which space and item.
    """
    resampler = Resampler(sample.seed)
    figures: list[Figure] = []
    kept: list[Replicates] = []
    ordered = sorted(metrics, key=lambda name: _order(name, metrics[name]))
    for done, name in enumerate(ordered):
        told("measure", done, len(ordered))
        with scoring.in_space(metrics[name].SPACE):
            of_metric, replicates = _Measuring(name, metrics[name], sample, resampler).figures(small_fid=small_fid)
        figures += of_metric
        kept += replicates
    told("measure", len(ordered), len(ordered))
    return Measured(figures, tuple(kept), _digest(sample, resampler))


def _order(name: str, metric: Metric) -> tuple[object, ...]:
    """Return what metrics are ordered by: the headline first, then what pairs images with music, then with labels."""
    is_paired = metric.SHUFFLED is not None
    space = _SPACES.index(metric.SPACE) if metric.SPACE in _SPACES else len(_SPACES)
    return HEADLINE not in metric.MEASURES, not is_paired, space, metric.SHUFFLED == "labels", name


class _Measuring:
    """One metric of a sample."""

    def __init__(self, name: str, metric: Metric, sample: Sample, resampler: Resampler) -> None:
        self._name, self._metric, self._resampler = name, metric, resampler
        self._space: Space = sample.spaces[metric.SPACE]
        self._inputs = Inputs.of(sample, self._space)
        self._takes = takes(metric)
        self._n, self._m = len(self._inputs.recordings), len(self._inputs.real)
        self._few = _few(self._inputs.groups, scoring.effective_groups(metric, self._inputs, self._inputs.recordings))

    def figures(self, *, small_fid: bool) -> tuple[list[Figure], list[Replicates]]:
        refused, marked = self._refusal(small_fid=small_fid)
        if refused is not None:
            return [self._refused(name, refused) for name in self._metric.MEASURES], []
        found = scoring.resampled(self._metric, self._inputs, self._resampler)
        by_chance = scoring.shuffled(self._metric, self._inputs, self._resampler)
        rows = self._rows()
        figures, kept = [], []
        for name, one in self._metric.MEASURES.items():
            estimate = self._estimate(one, found[name], self._inputs)
            if estimate.value is None:
                figures.append(self._refused(name, "it is not defined for these items"))
                continue
            chance = _chance(one, estimate.value, by_chance.get(name))
            figures.append(
                self._bare(name).model_copy(
                    update={
                        "estimate": estimate,
                        "marked": "; ".join(filter(None, (marked, self._few))) or None,
                        "replicates": len(found[name].items) + len(found[name].real),
                        "chance": chance,
                        "rows": {"shuffled": _of_chance(chance, self._n)} | {row: of[name] for row, of in rows.items()},
                        "by_label": self._by_label(one, found.get(name + BY_LABEL)),
                    }
                )
            )
            kept.append(scoring.replicates(self._metric, self._inputs, name, found[name]))
        return figures, kept

    def _refusal(self, *, small_fid: bool) -> tuple[str | None, str | None]:
        """Return why the metric cannot be had of this sample, or what to doubt of it."""
        for name, wanted in _WANTED.items():
            if name in self._takes and getattr(self._inputs, name) is None:
                return f"no network of this space {wanted}", None
        width = self._inputs.generated.shape[1]
        least, fewest = self._metric.least_items(width), self._fewest(self._n)
        if fewest >= least:
            return None, None
        had = f"{self._n:,} generated and {self._m:,} real images" if "real" in self._takes else f"{self._n:,} images"
        if self._metric.least_items(1) > fewest:
            return f"{had}: at least {least:,} of each are needed", None
        told = f"{had}, where more than {width:,} of each are needed to know how {width:,} numbers vary together"
        if small_fid:
            return None, f"{told}: it tells mostly how few they are, and compares with nothing but as many of each"
        return f"{told}; --small-fid computes it nevertheless, marked", None

    def _fewest(self, items: int) -> int:
        return min(items, self._m) if "real" in self._takes else items

    def _rows(self) -> dict[RowName, dict[str, Estimate | None]]:
        """Return the scores of reference images by row and name."""
        rows: dict[RowName, dict[str, Estimate | None]] = {}
        others = {**self._space.others, "partner": (np.arange(self._n), self._space.partners)}
        for row, (places, images) in sorted(others.items()):
            rows[row] = dict.fromkeys(self._metric.MEASURES, None)
            if self._says_something_of(images):
                inputs = self._inputs.with_images(places, images)
                found = self._of_row(inputs)
                rows[row] = {
                    name: self._estimate(self._metric.MEASURES[name], found[name], inputs) for name in rows[row]
                }
        return rows

    def _of_row(self, inputs: Inputs) -> dict[str, Scores]:
        """Return scores of a row; those that are resampled item by item would take as long again, so they are bare."""
        if self._metric.UNCERTAINTY == "bootstrap":
            return scoring.resampled(self._metric, inputs, self._resampler)
        none = np.empty(0)
        return {name: Scores(value, none, none) for name, value in scoring.plain(self._metric, inputs).items()}

    def _says_something_of(self, images: Features) -> bool:
        """Say whether a row can be measured: images that are among the real ones would be compared with themselves."""
        if self._fewest(len(images)) < self._metric.least_items(1):
            return False
        if "real" not in self._takes:
            return True
        return self._real.isdisjoint(map(_told_apart_by, images))

    @cached_property
    def _real(self) -> set[bytes]:
        return set(map(_told_apart_by, self._inputs.real))

    def _estimate(self, one: Measure, scores: Scores, inputs: Inputs) -> Estimate:
        groups = scoring.effective_groups(self._metric, inputs, inputs.recordings)
        return _estimate(one, self._metric, scores, len(inputs.recordings), groups)

    def _by_label(self, one: Measure, scores: Scores | None) -> list[OfLabel]:
        if scores is None:
            return []
        found = []
        kept = self._resampler.jackknife(self._inputs.recordings) if self._metric.UNCERTAINTY == "jackknife" else None
        for label in np.flatnonzero(np.isfinite(scores.value)):
            has = self._inputs.labels == label
            groups = scoring.effective_groups(self._metric, self._inputs, self._inputs.recordings[has])
            # A part of the recordings that has no clip of the label says nothing of it.
            tells = slice(None) if kept is None else ~kept[:, has].all(axis=1)
            of_label = Scores(scores.value[label], scores.items[tells, label], scores.real[:, label])
            estimate = _estimate(one, self._metric, of_label, int(has.sum()), groups)
            found.append(OfLabel(label=int(label), estimate=estimate))
        return found

    def _refused(self, name: str, why: str) -> Figure:
        return self._bare(name).model_copy(update={"refused": why})

    def _bare(self, name: str) -> Figure:
        """Return a figure without its numbers."""
        one, metric = self._metric.MEASURES[name], self._metric
        used = [facts for facts in self._space.networks if "music" in self._takes or not facts.role.endswith(".music")]
        is_published = all(facts.name in metric.DEFINED_WITH and not facts.is_stand_in for facts in used)
        return Figure(
            name=name,
            title=one.title if is_published else _title(one.title, used),
            metric=self._name,
            is_as_published=is_published,
            networks=[facts.role for facts in used],
            better=one.better,
            low=one.low,
            high=one.high,
            digits=one.digits,
            reference=metric.REFERENCE,
            estimate=None,
            method=metric.UNCERTAINTY,
            replicates=0,
            groups=self._inputs.groups,
            n_real=self._m if "real" in self._takes else None,
            rows=cast(dict[RowName, Estimate | None], {}),
        )


def _told_apart_by(image: Features) -> bytes:
    """Return what only equal features share: of 50,000 images these take a hundredth of the features themselves."""
    return hashlib.sha256(image.tobytes()).digest()


def _title(title: str, networks: list[NetworkFacts]) -> str:
    """Return what a measure is called where other networks than its reference's made the features."""
    stand_in = "Stand-in for " if any(facts.is_stand_in for facts in networks) else ""
    return f"{stand_in}{title}{made_by(networks)}"


def _few(groups: int, effective: float) -> str | None:
    """Return the mark of few recordings, or of many of which few have most of the clips."""
    if effective >= FEW_RECORDINGS - 1e-9:
        return None
    told = "" if groups < FEW_RECORDINGS else f", of so uneven sizes that they count as {effective:.0f}"
    return f"only {groups:,} recording{'s' if groups != 1 else ''}{told}: a hint at most"


def _estimate(one: Measure, metric: Metric, scores: Scores, n: int, groups: float) -> Estimate:
    value = float(scores.value)
    if not np.isfinite(value):
        return _UNKNOWN.model_copy(update={"n": n})
    return Estimate(value=rounded(value), interval=_interval(one, metric, scores, groups), n=n)


def _interval(one: Measure, metric: Metric, scores: Scores, groups: float) -> tuple[float, float] | None:
    """Return an interval of 95 %, or None where resampling cannot tell one."""
    value, items, real = float(scores.value), scores.items, scores.real
    if groups < LEAST_RECORDINGS - 1e-9 or not np.isfinite(items).any():
        return None
    least = ROUNDING * max(1.0, abs(value))  # sums of images that are all the same move by less
    if np.nanmax(items) - np.nanmin(items) <= least and not (len(real) and np.ptp(real) > least):
        return None  # it does not follow from 0 of 23 that it is 0 of all
    if metric.UNCERTAINTY == "bootstrap":
        found = resampling.bootstrap_interval(np.concatenate([[value], items]), groups)
    else:
        found = resampling.jackknife_interval(value, items, *((real,) if len(real) else ()))
    if found is None:
        return None
    low, high = (float(np.clip(end, one.low, one.high)) for end in found)
    return rounded(low), rounded(high)


def _chance(one: Measure, value: float, permuted: Float64 | None) -> Chance | None:
    """Return where a value stands among those of shuffled partners."""
    if permuted is None or one.better is None:
        return None
    permuted = permuted[np.isfinite(permuted)]
    middle = resampling.middle(permuted)
    if middle is None:
        return None
    return Chance(
        value=rounded(float(permuted.mean())),
        interval=(rounded(middle[0]), rounded(middle[1])),
        p_value=resampling.p_value(value, permuted, one.better),
        permutations=len(permuted),
    )


def _of_chance(chance: Chance | None, n: int) -> Estimate | None:
    return None if chance is None else Estimate(value=chance.value, interval=chance.interval, n=n)


def rounded(value: float) -> float:
    """Return a number without the digits in which two machines differ."""
    return float(f"{value:.{SIGNIFICANT}g}")


def _digest(sample: Sample, resampler: Resampler) -> str:
    """Return a digest of the very weights: another version of NumPy may draw others by the same seed."""
    recordings = sample.items.recordings
    found = hashlib.sha256()
    real: list[Ints] = [space.real_groups for _, space in sorted(sample.spaces.items())]
    for array in (resampler.bootstrap(recordings), resampler.jackknife(recordings), *real):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
