"""The geometry of charts: how far along its axis a value lies, in percent for CSS."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log10

from evaluation.result import Estimate
from evaluation.telling.wording import interval, number

MAX_TICKS = 5
LEAST_UNITS = 20  # of the last digit that is told: the least length of an axis
MARGIN = 0.04  # of the length, at each end: a mark at the end is whole
_DIGITS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis.

    Attributes:
        is_flipped: its high end is on the left, so that better is to the right.
        bounds: no tick is beyond the least and the largest value that there can be.
    """

    low: float
    high: float
    is_flipped: bool = False
    bounds: tuple[float, float] = (-inf, inf)

    def percent(self, value: float) -> float:
        """Return how far from the left a value lies, in [0, 100]; what is beyond an end lies on it."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return 100 * (1 - share if self.is_flipped else share)

    def at(self, value: float) -> str:
        return f"{self.percent(value):.2f}"

    def span(self, interval: tuple[float, float]) -> tuple[str, str]:
        """Return where a range begins, and its length."""
        ends = sorted(self.percent(end) for end in interval)
        return f"{ends[0]:.2f}", f"{ends[1] - ends[0]:.2f}"

    def ticks(self, most: int = MAX_TICKS) -> list[tuple[str, str]]:
        """Return round values on it, at most so many: where they lie, and what they are called."""
        step, digits = _step((self.high - self.low) / most)
        low, high = max(self.low, self.bounds[0]), min(self.high, self.bounds[1])
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        values = [place * step for place in range(first, last + 1)]
        return [(self.at(value), number(value, digits)) for value in values]


@dataclass(frozen=True, slots=True)
class Lane:
    """A value and its interval on an axis; `kind` is how it is drawn, `at` is None where it is not known."""

    kind: str
    name: str
    value: str
    interval: str | None
    at: str | None
    span: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Forest:
    """Some values on one axis, one below the other, above a band of what chance gives."""

    title: str
    axis: Axis
    lanes: Sequence[Lane]
    band: tuple[str, str] | None = None


def axis(
    values: Iterable[float], digits: int, *, is_flipped: bool = False, bounds: tuple[float, float] = (-inf, inf)
) -> Axis:
    """Return an axis that holds these values, with a margin.

    Args:
        digits: that values are told with: an axis is never so short that it shows differences that they do not.
    """
    finite = [value for value in values if isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    lacking = max(LEAST_UNITS * 10.0**-digits - (high - low), abs(high) * 1e-9 if low == high else 0.0, 0.0)
    low, high = max(low - lacking / 2, min(low, bounds[0])), min(high + lacking / 2, max(high, bounds[1]))
    return Axis(low - MARGIN * (high - low), high + MARGIN * (high - low), is_flipped, bounds)


def ends(*estimates: Estimate | None) -> Iterable[float]:
    """Yield what an axis has to hold for estimates."""
    for estimate in estimates:
        if estimate is not None and estimate.value is not None:
            yield estimate.value
            yield from estimate.interval or ()


def lane(kind: str, name: str, estimate: Estimate | None, scale: Axis, digits: int) -> Lane:
    """Place an estimate on an axis."""
    if estimate is None or estimate.value is None or not isfinite(estimate.value):
        return Lane(kind, name, "unknown", None, None, None)
    span = scale.span(estimate.interval) if estimate.interval and all(map(isfinite, estimate.interval)) else None
    told = interval(estimate, digits)
    return Lane(kind, name, number(estimate.value, digits), told, scale.at(estimate.value), span)


def _step(least: float) -> tuple[float, int]:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not below `least`, and the digits it needs."""
    power = floor(log10(least))
    digit, power = next(
        (digit, p) for p in (power, power + 1) for digit in _DIGITS if digit * 10.0**p >= least * (1 - 1e-9)
    )
    return digit * 10.0**power, max(0, -power)
