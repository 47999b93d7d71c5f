"""Numbers as people read them."""

from collections.abc import Iterable

from evaluation.result import Estimate, Figure, NetworkFacts

STAND_IN = "stand-in: "  # begins the name of a network that stands in for another
MOST_DIGITS = 4  # more than a measure usually has
LEAST_UNITS = 5  # of the last digit that is told: the least length of an interval


def number(value: float, digits: int) -> str:
    """Return a number for people, with a true minus; never a zero with a sign."""
    text = f"{value:,.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if any(digit in text for digit in "123456789") else text.lstrip("-")


def with_interval(estimate: Estimate | None, digits: int) -> str:
    """Return a value and its interval: 50.15 (49.99 to 50.31)."""
    if estimate is None or estimate.value is None:
        return "unknown"
    return f"{number(estimate.value, digits)} ({interval(estimate, digits) or 'no interval'})"


def interval(estimate: Estimate, digits: int) -> str | None:
    """Return the interval of a value: 49.99 to 50.31."""
    if estimate.interval is None:
        return None
    low, high = (number(end, digits) for end in estimate.interval)
    return f"{low} to {high}"


def p_value(value: float) -> str:
    """Return a p-value with three digits, and never as 0."""
    return f"{value:.3f}" if value >= 0.0005 else "below 0.001"


def digits(figure: Figure) -> int:
    """Return how many digits to show of a figure: more than usual where its interval is too short for these."""
    return digits_of(figure.estimate.interval if figure.estimate else None, figure.digits)


def digits_of(interval: tuple[float, float] | None, usual: int) -> int:
    """Return with how many digits an interval is some units of the last one long: 50.00 (50.00 to 50.01) hides it."""
    if interval is None or interval[0] == interval[1]:
        return usual
    length = abs(interval[1] - interval[0]) * (1 + 1e-9)
    return next(
        (shown for shown in range(usual, usual + MOST_DIGITS) if length >= LEAST_UNITS * 10.0**-shown),
        usual + MOST_DIGITS,
    )


def made_by(networks: Iterable[NetworkFacts]) -> str:
    """Return what ends the title of a measure that other networks than its reference's made the features of."""
    return f" by {' and '.join(facts.name.removeprefix(STAND_IN) for facts in networks)}"
