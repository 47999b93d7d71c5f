"""The report of an evaluation: one HTML page with every number, and a stated choice of images and clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from curation.report import page
from curation.report.previews import PREVIEW_S
from evaluation.report import curves, standing
from evaluation.report.catalog import WAVE_BARS, WAVE_HEIGHT, catalog
from evaluation.report.scales import Axis, Forest, lane
from evaluation.report.shown import NEAREST_SHOWN, Shown
from evaluation.result import PAGE, Estimate, LeftOut, Memorization, Result
from evaluation.telling.verdict import verdict
from evaluation.telling.wording import number, p_value

__all__ = ["Shown", "write_report"]

LEFT_OUT_SHOWN = 4  # of each reason
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Missing:
    """Items that were left out for one reason, and the first of them."""

    stage: str
    reason: str
    count: int
    examples: Sequence[LeftOut]


def write_report(result: Result, shown: Shown, out: Path) -> None:
    """Write the page: self-contained, and the same bytes for the same result.

    Args:
        out: the folder that holds evaluation.json.
    """
    memorization = result.memorization
    values = {
        "result": result,
        "verdict": verdict(result),
        "hero": standing.hero(result),
        "groups": standing.groups(result),
        "references": standing.REFERENCES,
        "by_label": list(standing.by_label(result)),
        "probe": standing.probe,
        "catalog": catalog(result, shown),
        "charts": curves.charts(result, shown.metrics, shown.history),
        "likeness": _likeness(memorization) if memorization else None,
        "left_out": _left_out(result.left_out),
        "wave": (2 * WAVE_BARS, WAVE_HEIGHT),
        "preview_s": PREVIEW_S,
        "nearest_shown": NEAREST_SHOWN,
    }
    text = page.render(values, _HERE / "evaluation.html.j2", filters={"number": number, "p_value": p_value})
    page.write((out / PAGE).parent, text)


def _likeness(found: Memorization) -> Forest:
    """Return the spread of how like training images the images are, above that of real images."""
    every = (*found.likeness_quantiles, *found.real_likeness_quantiles, found.copy_likeness)
    low, high = min((*every, 0.0)), max((*every, 1.0))
    scale = Axis(low, high)
    sides = (("subject", "Generated", found.likeness_quantiles), ("partner", "Real", found.real_likeness_quantiles))
    lanes = [lane(kind, name, _spread(found.quantiles, values), scale, 3) for kind, name, values in sides]
    return Forest("Cosine with the nearest training image", scale, lanes, scale.span((found.copy_likeness, high)))


def _spread(quantiles: Sequence[float], values: Sequence[float]) -> Estimate:
    """Return the value at the middle quantile, from the first to the last."""
    middle = min(zip(quantiles, values, strict=True), key=lambda pair: abs(pair[0] - 0.5))
    return Estimate(value=middle[1], interval=(values[0], values[-1]), n=len(values))


def _left_out(items: Sequence[LeftOut]) -> list[Missing]:
    ordered = sorted(items, key=lambda item: (item.stage, item.reason, item.pair_id))
    found = []
    for (stage, reason), group in groupby(ordered, key=lambda item: (item.stage, item.reason)):
        of_reason = list(group)
        found.append(Missing(stage, reason, len(of_reason), of_reason[:LEFT_OUT_SHOWN]))
    return found
