"""Whether so much of what was newly tried was rejected that a person should look: a broken site, a wrong folder."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from prefect.artifacts import create_markdown_artifact

from curation.batches import Each
from curation.collect import collect_batch
from curation.errors import REASONS, TransientError
from curation.ingest import Ingested
from curation.markdown import escaped
from curation.measure import measure_batch
from flows import events, settings
from flows.tasks import markdown
from rules.errors import ConfigurationError

MIN_TRIED = 20  # items: of fewer, some bad ones say nothing yet
KEY = "too-many-rejections"  # of the artifact
# What is left out later is no fault of sources or media: rules and sizes decide it.
STAGES = frozenset({"collect", "fetch", "measure"})

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tried:
    """What one stage of a run tried that was never tried before.

    Attributes:
        stage: what an operator calls it: collect, measure images, fetch wikiart.
        count: items.
        rejected: of these, by reason.
    """

    stage: str
    count: int
    rejected: Mapping[str, int]

    @property
    def rejections(self) -> int:
        """How many were rejected."""
        return sum(self.rejected.values())

    def exceeds(self, limit: float) -> bool:
        """Say whether more than this share was rejected, of enough items to tell."""
        return self.count >= MIN_TRIED and self.rejections / self.count > limit

    def sentence(self, limit: float) -> str:
        """Tell it."""
        most = ", ".join(f"{reason} {count:,}" for reason, count in Counter(self.rejected).most_common(3))
        return (
            f"{self.stage}: {self.rejections:,} of {self.count:,} newly tried items were rejected, more than the "
            f"{limit:.0%} of ARTUNE_MAX_REJECTED_SHARE ({most})."
        )


class Watch:
    """Counts what a build tries.

    Attributes:
        warning: Markdown that tells of too many rejections; nothing if all is well.
    """

    def __init__(self) -> None:
        self.warning = ""
        self._outcomes: dict[str, Counter[str | None]] = {}

    def counting(self, each: Each) -> Each:
        """Return an Each that runs batches like another one, and counts how those end that collect and measure."""

        def counted(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
            results = each(work, batches, stage)
            if work in (collect_batch, measure_batch):
                self._count(stage, zip(batches, results, strict=True))
            return results

        return counted

    def _count(self, stage: str, ended: Iterable[tuple[Any, Any]]) -> None:
        outcomes: Counter[str | None] = Counter()
        for batch, of_batch in ended:
            if not getattr(batch, "again", False):
                outcomes.update(of_batch)
        self._outcomes[stage] = self._outcomes.get(stage, Counter()) + outcomes
        if outcomes:
            logger.info("%s: %d items, %d of them rejected", stage, outcomes.total(), outcomes.total() - outcomes[None])

    @contextmanager
    def judged(self, home: str, name: str) -> Iterator[None]:
        """Judge what was counted once the block ends, also where it refuses: too few pairs may come of rejections.

        Args:
            home: as of `judge`, and `name` likewise.
        """
        try:
            yield
        except (ConfigurationError, TransientError):
            self.warning = judge(self.tried(), home, name)
            raise
        self.warning = judge(self.tried(), home, name)

    def tried(self) -> list[Tried]:
        """Return what was counted until now."""
        return [_tried(stage, outcomes[None], outcomes) for stage, outcomes in self._outcomes.items()]


def _tried(stage: str, kept: int, outcomes: Mapping[str | None, int] | Mapping[str, int]) -> Tried:
    rejected = {reason: count for reason, count in outcomes.items() if reason and REASONS[reason][0] in STAGES}
    return Tried(stage, kept + sum(rejected.values()), rejected)


def fetched(done: Sequence[Ingested]) -> list[Tried]:
    """Return what an ingest tried of each source."""
    return [_tried(f"fetch {one.source}", one.ended.fetched, dict(one.ended.failed)) for one in done]


def judge(tried: Sequence[Tried], home: str, name: str) -> str:
    """Tell of stages that rejected more than the limit: by a warning, an artifact and one event.

    Args:
        home: the work folder.
        name: of the rule set or, after a retry, of the sources.

    Returns:
        Markdown that says it; nothing if all is well.
    """
    limit = settings.max_rejected_share()
    over = sorted((one for one in tried if one.exceeds(limit)), key=lambda one: -one.rejections / one.count)
    if not over:
        return ""
    for one in over:
        logger.warning("%s", one.sentence(limit))  # seen in Prefect's UI, and on a terminal
    text = "\n\n".join(f"**{escaped(one.sentence(limit))}**" for one in over)
    create_markdown_artifact(f"# Too many rejections\n\n{text}\n\n{reasons_table(over)}", key=KEY)
    worst = over[0]
    payload = {"home": home, **_plain(worst), "limit": limit, "stages": [_plain(one) for one in over]}
    events.tell(events.REJECTIONS_EXCEEDED, "home", name, payload)
    return f"{text}\n\nThe artifact `{KEY}` says what each reason means; nothing was undone.\n\n"


def _plain(one: Tried) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "tried": one.count,
        "rejected": one.rejections,
        "share": round(one.rejections / one.count, 4),
        "reasons": dict(one.rejected),
    }


def reasons_table(tried: Sequence[Tried]) -> str:
    """Return a table of the reasons of each stage with their meaning, as Markdown."""
    rows = [
        (one.stage, reason, f"{count:,}", REASONS[reason][1])
        for one in tried
        for reason, count in sorted(one.rejected.items(), key=lambda item: (-item[1], item[0]))
    ]
    return markdown(("Stage", "Reason", "Items", "Meaning"), rows)
