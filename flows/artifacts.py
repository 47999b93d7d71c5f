"""What the flows leave for an operator to read in Prefect's UI, as Markdown and links."""

import logging
from collections.abc import Iterator, Sequence

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from curation import card, changes, releases
from curation.changes import LabelChange
from curation.errors import REASONS
from curation.ingest import Ingested
from curation.markdown import escaped, shortened, table
from curation.memory import SPLITS
from curation.releases import Release
from curation.store import Home

logger = logging.getLogger(__name__)

REPORT = "report/index.html"
WAYS_SHOWN = 10


def address(home: Home, release: Release, name: str) -> str:
    """Return where a file of a release lies, as a browser or a client of the storage takes it."""
    path = release.folder / name
    return str(path) if home.is_remote else path.as_uri()


def release(home: Home, made: Release, warning: str = "") -> None:
    """Leave what a release is, what was left out and why, and what is new in it; and a link to its report.

    Args:
        warning: Markdown that comes first.
    """
    where = address(home, made, REPORT)
    text = "\n\n".join(
        [
            f"# {escaped(_title(made))}",
            f"{warning}Report: `{where}`",
            card.summary(made.folder, releases.rule_set_of(made)),
            "## What changed",
            *_changed(home, made),
        ]
    )
    logger.info("%s", _sentence(made))
    create_markdown_artifact(text, key="release", description=_title(made))
    create_link_artifact(where, key="release-report", link_text=where, description=f"Report of {_title(made)}")


def _title(made: Release) -> str:
    return f"Release {made.number} of {made.manifest['rule_set']['name']}"


def _sentence(made: Release) -> str:
    pairs, rejections = made.manifest["pairs"], made.manifest["rejections"]
    splits = ", ".join(f"{split} {count:,}" for split, count in pairs.items())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejections.items())
    return f"{_title(made)}: {sum(pairs.values()):,} pairs ({splits}); left out: {reasons or 'nothing'}."


def _changed(home: Home, made: Release) -> Iterator[str]:
    """Yield what is not as it was in the release before, in paragraphs."""
    number = made.manifest["parent"]
    if number is None:
        yield "It is the first release of this data set."
        return
    found = changes.between(releases.get(home, number), made)
    pairs = found.pairs
    yield f"Beside release {number}: {pairs.kept:,} pairs stay, {pairs.new:,} came, {pairs.ended:,} went."
    labels = [one for one in changes.labels(found, made.manifest["labels"]) if one.is_touched]
    if labels:
        yield table(["Label", "Pairs", *SPLITS, "Pictures", "Clips"], map(_cells, labels))
    ways, count = changes.transitions(found, WAYS_SHOWN, 1, 0)
    if ways:
        cells = ([f"{way.count:,}", way.side, *map(escaped, way.words)] for way in ways)
        yield table(["Units", "Side", "From", "To"], cells)
    if count > len(ways):
        yield f"These are the {len(ways)} most frequent of {count} ways."


def _cells(label: LabelChange) -> list[str]:
    splits = (_arrow(label.before[split], label.after[split]) for split in SPLITS)
    sides = (label.pictures, label.clips)
    flows = (f"+{side.gained + side.moved_in:,} -{side.lost + side.moved_out:,}" for side in sides)
    return [escaped(label.name), _arrow(label.pairs_before, label.pairs_after), *splits, *flows]


def _arrow(before: int, after: int) -> str:
    return f"{after:,}" if before == after else f"{before:,} → {after:,}"


def ingested(table_of_sources: str, done: Sequence[Ingested], warning: str = "") -> None:
    """Leave what came of each source, what its rejections mean, and the lists that broke off."""
    parts = [f"# Ingest\n\n{warning}{table_of_sources}"]
    refused = [(one, {**one.refused, **one.ended.failed}) for one in done]
    if any(reasons for _, reasons in refused):
        rows = (
            [one.source, reason, f"{count:,}", _meaning(reason)]
            for one, reasons in refused
            for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        )
        parts.append("## Refused\n\n" + table(["Source", "Reason", "Items", "Meaning"], rows))
    if any(one.failures for one in done):
        rows = (
            [one.source, shortened(name), error.reason, shortened(error.detail)]
            for one in done
            for name, error in sorted(one.failures.items())
        )
        parts.append("## Lists that broke off\n\n" + table(["Source", "List", "Reason", "Detail"], rows))
    stopped = sorted({one.ended.stopped for one in done if one.ended.stopped})
    parts += [f"Stopped early: {escaped(why)}" for why in stopped]
    for one, reasons in refused:
        told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        logger.info(
            "%s: %d lists, %d items found, %d fetched; refused: %s",
            one.source,
            one.lists,
            one.found,
            one.ended.fetched,
            told or "none",
        )
    create_markdown_artifact("\n\n".join(parts), key="ingest", description="What came of each source")


def _meaning(reason: str) -> str:
    return escaped(REASONS[reason][1])
