"""The report of a release: one HTML page with every count, and a stated sample to look at and to listen to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from curation.errors import REASONS
from curation.releases import PublishedRules
from curation.report import charts, figures, page, samples
from curation.report.figures import LabelFigures, ReasonCount
from curation.report.previews import LARGE, PREVIEW_S, SMALL, Preview, Size, Thumbnail, preview, thumbnail
from curation.report.samples import Candidate, Pair, Rejection


@dataclass(frozen=True, slots=True)
class Heard:
    """A pair to look at and to listen to."""

    pair: Pair
    picture: Thumbnail
    preview: Preview


@dataclass(frozen=True, slots=True)
class Seen:
    """A pair whose picture is shown."""

    pair: Pair
    picture: Thumbnail


@dataclass(frozen=True, slots=True)
class Plate:
    """The part of the report about one label."""

    figures: LabelFigures
    heard: Sequence[Heard]
    seen: Sequence[Seen]
    near_misses: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, how often it was given, to what, and the first examples."""

    reason: str
    meaning: str
    count: int
    units: Sequence[tuple[str, int]]
    examples: Sequence[Rejection]


def write_report(release: Path, rule_set: PublishedRules, out: Path, number: int) -> None:
    """Write `out/index.html`: self-contained, and the same bytes for the same release.

    Args:
        release: the folder of the release, with data, metadata and its tables.
        rule_set: the rule set that the release was built with.
        out: the folder of the report; made if it is not there.
        number: of the release.
    """
    with figures.connect(release, rule_set) as connection:
        labels = figures.labels(connection, rule_set)
        shown = samples.allowance(sum(1 for label in labels if label.pairs))
        heard, seen = samples.pairs(connection, shown)
        near_misses = samples.near_misses(connection)
        ambiguous, near = (samples.candidates(connection, kind) for kind in ("ambiguous", "near_miss"))
        scale = charts.axis(labels)
        values = {
            "number": number,
            "rule_set": rule_set,
            "totals": figures.totals(connection),
            "labels": labels,
            "splits": figures.splits(connection, rule_set),
            "axis": scale,
            "grooves": charts.grooves(labels, scale),
            "shown": shown,
            "shares": [
                (what, side, figures.shares(connection, side, what))
                for what in ("license", "source")
                for side in ("image", "music")
            ],
            "stages": _stages(figures.rejections(connection), samples.rejections(connection)),
            "examples_per_reason": samples.REJECTIONS_PER_REASON,
            "preview_s": PREVIEW_S,
            "ambiguous": ambiguous,
            "near": near,
            "checks": figures.leak_checks(connection),
        }
    plates = _plates(release, labels, heard, seen, near_misses)
    known = _thumbnails(release, (item.pair_id for item in ambiguous[1] if item.pair_id), SMALL)
    page.write(out, page.render(values | {"plates": plates, "thumbnails": known}))


def _plates(
    release: Path,
    labels: Sequence[LabelFigures],
    heard: Sequence[Pair],
    seen: Sequence[Pair],
    near_misses: dict[str, list[Candidate]],
) -> list[Plate]:
    """Join the figures of each label with the media of its sampled pairs."""
    large = _thumbnails(release, (pair.pair_id for pair in heard), LARGE)
    small = _thumbnails(release, (pair.pair_id for pair in seen), SMALL)
    previews = {
        pair_id: preview(clip) for pair_id, clip in samples.media(release, "audio", (pair.pair_id for pair in heard))
    }
    return [
        Plate(
            label,
            [Heard(p, large[p.pair_id], previews[p.pair_id]) for p in heard if p.label == label.number],
            [Seen(p, small[p.pair_id]) for p in seen if p.label == label.number],
            near_misses.get(label.name, []),
        )
        for label in labels
    ]


def _thumbnails(release: Path, pair_ids: Iterable[str], size: Size) -> dict[str, Thumbnail]:
    return {pair_id: thumbnail(picture, size) for pair_id, picture in samples.media(release, "image", pair_ids)}


def _stages(
    counts: Sequence[ReasonCount], examples: dict[str, list[Rejection]]
) -> Sequence[tuple[str, Sequence[Refusal]]]:
    """Join the counts of each stage and reason, which come by unit, with its examples."""
    stages = []
    for stage, of_stage in groupby(counts, key=lambda count: count.stage):
        refusals = []
        for reason, of_reason in groupby(of_stage, key=lambda count: count.reason):
            units = [(count.unit, count.count) for count in of_reason]
            total = sum(number for _, number in units)
            refusals.append(Refusal(reason, REASONS[reason][1], total, units, examples[reason]))
        stages.append((stage, refusals))
    return stages
