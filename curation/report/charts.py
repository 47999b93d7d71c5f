"""The geometry of the two charts: how far a bar goes, and the grooves of the record."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation.report.figures import LabelFigures

# Goals share the axis with the pairs only where the largest label reaches this part of its goal: below, every bar
# would be a hairline, and the page says instead that the goals lie beyond the axis.
GOALS_FIT_FROM = 1 / 8
MAX_TICKS = 5

OUTER_GROOVE, INNER_GROOVE = 141.0, 62.0


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of pairs from 0 to `top`."""

    top: int
    ticks: tuple[int, ...]
    has_goals: bool

    def percent(self, count: float) -> str:
        """Return how far along the axis a number lies, in percent for CSS."""
        return f"{100 * min(count / self.top, 1):.2f}"


@dataclass(frozen=True, slots=True)
class Groove:
    """A ring of the record: its radius and width, and what of it is lit in percent."""

    radius: str
    width: str
    lit: str


def axis(labels: Sequence[LabelFigures]) -> Axis:
    """Return an axis that holds every label's pairs, and the goals where that leaves the pairs visible."""
    pairs = max((label.pairs for label in labels), default=0)
    goal = max((label.goal for label in labels), default=0)
    has_goals = pairs >= goal * GOALS_FIT_FROM
    top = max(pairs, goal if has_goals else 0, 1)
    step = next(
        digit * 10**power for power in range(12) for digit in (1, 2, 5) if digit * 10**power * (MAX_TICKS - 1) >= top
    )
    return Axis(top, tuple(range(0, top + 1, step)), has_goals)


def grooves(labels: Sequence[LabelFigures], scale: Axis) -> list[Groove]:
    """Return a groove for each label, from the rim inwards; lit like its bar, three quarters of a turn at most."""
    pitch = (OUTER_GROOVE - INNER_GROOVE) / max(len(labels), 1)
    return [
        Groove(
            radius=f"{OUTER_GROOVE - (place + 0.5) * pitch:.3f}",
            width=f"{min(pitch * 0.52, 5.0):.3f}",
            lit=f"{75 * label.pairs / scale.top:.2f}",
        )
        for place, label in enumerate(labels)
    ]
