"""The flows `ingest` and `retry`: from what a rule set asks the web for to items, thin around curation.ingest."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from rich.console import Console

import rules
from curation import ingest
from curation.fetching import FetchBatch
from curation.ingest import Ingested, Means
from curation.lists import ListBatch
from curation.store import Home
from flows import settings
from flows.collecting import STOPPED
from flows.progress import bars
from flows.tasks import Title, ended, in_prefect, let_modules_speak, markdown, plain, threads, told

AT_ONCE = 2  # batches of each source: it is asked slowly anyway, and none waits for another
COLUMNS = ("Source", "Lists", "Found", "New", "MB", "Refused", "Waiting")


def title(batch: ListBatch | FetchBatch) -> Title:
    """Return what an operator calls a batch."""
    if isinstance(batch, ListBatch):
        return Title(batch.source, batch.query.name)
    return Title(batch.source, f"{len(batch.wanted)} items from {batch.wanted['source_id'][0]}")


@contextmanager
def means() -> Iterator[Means]:
    """Give what an ingest in a flow works with, and draw its bars."""
    let_modules_speak()
    with bars(Console(stderr=True)) as shown:
        yield Means(settings.web(), in_prefect(shown, title, AT_ONCE), now)


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


@flow(name="ingest")
def ingest_media(
    home: Path, named: list[str], rules_name: str, labels: list[str], limit: int | None, quota_bytes: int | None
) -> list[Ingested] | State[Any]:
    """List what a rule set asks sources for, fetch what is new, and publish the counts as an artifact.

    Args:
        home: the work folder.
        named: sources, each a name, or a name and a place: wikiart, kaggle:ARCHIVES.
        rules_name: a rule set's name, or a folder with one.
        labels: only lists that are to fill these; all if there is none.
        limit: items of each source to fetch at most.
        quota_bytes: blobs take this many bytes at most.
    """

    def work() -> list[Ingested]:
        with means() as ready:
            return ingest.ingest(
                Home(home), named, rules.load(rules_name), ready, labels=labels, limit=limit, quota_bytes=quota_bytes
            )

    return _published(work)


@flow(name="retry")
def retry_media(
    home: Path, named: list[str], reasons: list[str], quota_bytes: int | None
) -> list[Ingested] | State[Any]:
    """Fetch again what ended for one of these reasons, and publish the counts as an artifact."""

    def work() -> list[Ingested]:
        with means() as ready:
            return ingest.retry(Home(home), named, ready, reasons=reasons, quota_bytes=quota_bytes)

    return _published(work)


def _published(work: Callable[[], list[Ingested]]) -> list[Ingested] | State[Any]:
    done = told(work, STOPPED)
    if not isinstance(done, State):
        create_markdown_artifact(markdown(COLUMNS, rows(done)), key="ingest", description="What came of each source")
    return done


def rows(done: Sequence[Ingested]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of COLUMNS for each source."""
    for one in done:
        refused = {**one.refused, **one.ended.failed}
        yield (
            one.source,
            f"{one.lists:,}" + (f", {len(one.failures):,} failed" if one.failures else ""),
            f"{one.found:,}",
            f"{one.ended.fetched:,}",
            f"{one.ended.size_bytes / 1e6:,.1f}",
            ", ".join(f"{reason} {count:,}" for reason, count in sorted(refused.items())),
            f"{one.waiting:,}",
        )


def run(
    home: Path,
    named: list[str],
    rules_name: str,
    *,
    labels: list[str],
    limit: int | None,
    quota_bytes: int | None,
) -> list[Ingested]:
    """Run the flow `ingest` on this machine's threads.

    Raises:
        ConfigurationError: what it was told cannot be used.
    """
    what = f"ingest {', '.join(named)} with {rules_name}"
    ready = ingest_media.with_options(flow_run_name=plain(what), task_runner=threads(AT_ONCE * len(named)))
    return ended(ready(home, named, rules_name, labels, limit, quota_bytes, return_state=True))


def run_retry(home: Path, named: list[str], *, reasons: list[str], quota_bytes: int | None) -> list[Ingested]:
    """Run the flow `retry` on this machine's threads; raises as `run`."""
    what = f"retry {', '.join(named)}"
    ready = retry_media.with_options(flow_run_name=plain(what), task_runner=threads(AT_ONCE * len(named)))
    return ended(ready(home, named, reasons, quota_bytes, return_state=True))
