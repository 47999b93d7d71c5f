"""Numbers as people read them."""

from collections.abc import Iterable

from evaluation.result import Estimate, Figure, NetworkFacts

STAND_IN = "stand-in: "  # begins the name of a network that stands in for another
MOST_DIGITS = 4  # more than a measure usually has


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
    """Return how many digits to show: more than usual where these do not tell the ends of its interval apart."""
    shown = figure.digits
    if figure.estimate is None or figure.estimate.interval is None or len(set(figure.estimate.interval)) == 1:
        return shown
    while shown < figure.digits + MOST_DIGITS and len({number(end, shown) for end in figure.estimate.interval}) == 1:
        shown += 1
    return shown


def made_by(networks: Iterable[NetworkFacts]) -> str:
    """Return what ends the title of a measure that other networks than its reference's made the features of."""
    return f" by {' and '.join(facts.name.removeprefix(STAND_IN) for facts in networks)}"
