"""Curves over the steps of a run: its losses, and its figures at each checkpoint that was evaluated."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from evaluation.report.scales import Axis, axis
from evaluation.result import Result
from evaluation.telling.wording import digits, number

MOST_POINTS = 160  # of a curve: more steps are drawn as means of neighbors
LOSS_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A value over a step; `span` is its interval from above, in percent of the height."""

    step: int
    left: str
    top: str
    span: tuple[str, str] | None
    told: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line: `line` are the points of an SVG polyline in a square of 100 by 100."""

    kind: str
    name: str
    line: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over the same steps; `band` is what chance gives, from above, in percent of the height."""

    title: str
    note: str
    x: Axis
    y: Axis
    curves: Sequence[Curve]
    band: tuple[str, str] | None = None

    def x_ticks(self) -> list[tuple[str, str]]:
        return self.x.ticks(4)

    def y_ticks(self) -> list[tuple[str, str]]:
        """Return ticks from above."""
        return [(f"{100 - float(at):.2f}", name) for at, name in self.y.ticks(4)]


@dataclass(frozen=True, slots=True)
class _Value:
    step: int
    value: float
    interval: tuple[float, float] | None = None


def charts(result: Result, metrics: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return the charts that a run has rows for."""
    return [*_losses(metrics), *_figures(result, history)]


def _losses(rows: Sequence[Mapping[str, Any]]) -> Iterator[Chart]:
    trained = _means([_Value(row["step"], row["loss"]) for row in rows if _has(row, "step", "loss")])
    epochs = [row for row in rows if _has(row, "epoch", "validation_loss")]
    validated = [_Value(row["step"], row["validation_loss"]) for row in epochs]
    if trained or validated:
        best = min(epochs, key=lambda row: row["validation_loss"], default=None)
        note = f"Lowest validation loss in epoch {best['epoch']}." if best else "No validation."
        curves = [("trained", "training", trained), ("validated", "validation", validated)]
        yield _chart("Loss", note, curves, LOSS_DIGITS)


def _figures(result: Result, rows: Sequence[Mapping[str, Any]]) -> Iterator[Chart]:
    """Yield a chart of each figure that was taken of two checkpoints in the same way."""
    alike = [row for row in rows if row.get("step") is not None and _way(row) in _ways_of(result, rows)]
    for figure in result.figures:
        found = [(row["step"], row["figures"].get(figure.name)) for row in alike]
        values = [_Value(step, told["value"], _pair(told.get("interval"))) for step, told in found if _is_known(told)]
        if len({value.step for value in values}) > 1:
            better = {"higher": "Higher is better.", "lower": "Lower is better.", None: ""}[figure.better]
            chance = figure.chance.interval if figure.chance else None
            yield _chart(figure.title, better, [("subject", figure.title, values)], digits(figure), chance)


def _ways_of(result: Result, rows: Sequence[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """Return how this result's own rows were taken: others of the same way can stand beside them."""
    return [
        _way(row)
        for row in rows
        if (row.get("items_digest"), row.get("seed"), row.get("model_sha256"))
        == (result.data.items_digest, result.seed, result.subject.model_sha256)
    ]


def _way(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("items_digest", "seed", "networks", "steps", "guidance"))


def _chart(
    title: str,
    note: str,
    curves: Iterable[tuple[str, str, Sequence[_Value]]],
    digits: int,
    chance: tuple[float, float] | None = None,
) -> Chart:
    known = [(kind, name, sorted(values, key=lambda value: value.step)) for kind, name, values in curves if values]
    every = [value for _, _, values in known for value in values]
    x = axis((value.step for value in every), 0)
    y = axis([*(end for value in every for end in (value.value, *(value.interval or ()))), *(chance or ())], digits)
    drawn = [_curve(kind, name, values, x, y, digits) for kind, name, values in known]
    return Chart(title, note, x, y, drawn, _from_above(y, chance) if chance else None)


def _from_above(y: Axis, interval: tuple[float, float]) -> tuple[str, str]:
    """Return where a range begins, from above, and its height."""
    bottom, height = y.span(interval)
    return f"{100 - float(bottom) - float(height):.2f}", height


def _curve(kind: str, name: str, values: Sequence[_Value], x: Axis, y: Axis, digits: int) -> Curve:
    points = []
    for value in values:
        span = _from_above(y, value.interval) if value.interval else None
        told = number(value.value, digits)
        points.append(Point(value.step, x.at(value.step), f"{100 - y.percent(value.value):.2f}", span, told))
    return Curve(kind, name, " ".join(f"{point.left},{point.top}" for point in points), points)


def _means(values: Sequence[_Value]) -> list[_Value]:
    """Return at most MOST_POINTS values: the means of neighbors where there are more."""
    parts = np.array_split(np.arange(len(values)), min(len(values), MOST_POINTS)) if values else []
    return [
        _Value(values[part[-1]].step, float(np.mean([values[place].value for place in part.tolist()])))
        for part in parts
    ]


def _has(row: Mapping[str, Any], kind: str, name: str) -> bool:
    return row.get("kind") == kind and isinstance(row.get(name), int | float) and isfinite(row[name])


def _is_known(told: Mapping[str, Any] | None) -> bool:
    return told is not None and told.get("value") is not None


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return (interval[0], interval[1]) if interval else None
