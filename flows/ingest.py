"""The flows `ingest` and `retry`: from what a rule set asks the web for to items, thin around curation.ingest."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field
from rich.console import Console

import rules
from curation import collect, ingest
from curation.errors import PARKED
from curation.fetching import FetchBatch
from curation.ingest import Ingested, Means
from curation.lists import ListBatch
from curation.store import Home, digest
from flows import artifacts, events, rejection_limit, run_names, settings
from flows.collecting import STOPPED
from flows.progress import bars
from flows.tasks import Title, ended, in_prefect, let_modules_speak, markdown, threads, told
from flows.terminal import DEFAULT_RULES, home_of, last_build

AT_ONCE = 2  # batches of each source: it is asked slowly anyway, and none waits for another
DEFAULT_NAMED = ["wikiart"]
DEFAULT_REASONS = sorted(PARKED)
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


@flow(name="ingest", flow_run_name=run_names.ingest)
def ingest_media(
    home: str | None = None,
    named: Annotated[list[str], Field(min_length=1)] = DEFAULT_NAMED,
    rules_name: str = DEFAULT_RULES,
    labels: list[str] = [],  # noqa: B006 - Prefect shows it in a form, and nobody changes it
    limit: Annotated[int | None, Field(ge=1)] = None,
    quota_bytes: Annotated[int | None, Field(ge=1)] = None,
) -> list[Ingested] | State[Any]:
    """List what a rule set asks sources for, fetch what is new, and publish the counts as an artifact.

    Args:
        home: the work folder; ARTUNE_HOME of the machine that runs it if None.
        named: sources, each a name, or a name and a place: wikiart, kaggle:ARCHIVES.
        rules_name: a rule set's name, or a folder with one.
        labels: only lists that are to fill these; all if there is none.
        limit: items of each source to fetch at most.
        quota_bytes: blobs take this many bytes at most.
    """

    def work() -> tuple[list[Ingested], str]:
        place, rule_set = home_of(home), rules.load(rules_name)
        with means() as ready:
            done = ingest.ingest(place, named, rule_set, ready, labels=labels, limit=limit, quota_bytes=quota_bytes)
        return done, _told(place, rule_set.name, named, done)

    return _published(work)


@flow(name="retry", flow_run_name=run_names.retry)
def retry_media(
    home: str | None = None,
    named: Annotated[list[str], Field(min_length=1)] = DEFAULT_NAMED,
    reasons: Annotated[list[str], Field(min_length=1)] = DEFAULT_REASONS,
    quota_bytes: Annotated[int | None, Field(ge=1)] = None,
) -> list[Ingested] | State[Any]:
    """Fetch again what ended for one of these reasons, and publish the counts as an artifact.

    Args:
        home: the work folder; ARTUNE_HOME of the machine that runs it if None.
        named: sources, each a name, or a name and a place.
        reasons: of rejections; without others those of the moment, as a busy server.
        quota_bytes: blobs take this many bytes at most.
    """

    def work() -> tuple[list[Ingested], str]:
        place = home_of(home)
        with means() as ready:
            done = ingest.retry(place, named, ready, reasons=reasons, quota_bytes=quota_bytes)
        return done, _told(place, rules.load(last_build(place)[1]).name, named, done)

    return _published(work)


def _told(home: Home, data_set: str, named: Sequence[str], done: Sequence[Ingested]) -> str:
    """Tell what came of it to all who wait for it; return what an operator should read of it, as Markdown."""
    _tell(home, data_set, named, done)
    return rejection_limit.judge(rejection_limit.fetched(done), str(home.root), data_set)


def _tell(home: Home, data_set: str, named: Sequence[str], done: Sequence[Ingested]) -> None:
    """Emit the event that a build waits for, if there are rows that it does not know."""

    def told() -> None:
        events.tell(
            events.ITEMS_CHANGED,
            "home",
            data_set,
            {
                "home": str(home.root),
                "sources": list(named),
                "rules": data_set,
                "fetched": sum(one.ended.fetched for one in done),
                "refused": sum(sum(one.ended.failed.values()) for one in done),
            },
            {events.HOME_LABEL: str(home.root)},
        )

    if events.is_deployed():
        tables = [sorted(path.name for path in home.items(collect.split_location(name)[0]).glob("*")) for name in named]
        if any(tables):
            events.tell_once(events.remembered(home, f"items-{data_set}"), digest(tables), told)
    elif any(one.ended.count for one in done):
        told()


def _published(work: Callable[[], tuple[list[Ingested], str]]) -> list[Ingested] | State[Any]:
    outcome = told(work, STOPPED)
    if isinstance(outcome, State):
        return outcome
    done, warning = outcome
    artifacts.ingested(markdown(COLUMNS, rows(done)), done, warning)
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
    ready = ingest_media.with_options(task_runner=threads(AT_ONCE * len(named)))
    return ended(ready(str(home), named, rules_name, labels, limit, quota_bytes, return_state=True))


def run_retry(home: Path, named: list[str], *, reasons: list[str], quota_bytes: int | None) -> list[Ingested]:
    """Run the flow `retry` on this machine's threads; raises as `run`."""
    ready = retry_media.with_options(task_runner=threads(AT_ONCE * len(named)))
    return ended(ready(str(home), named, reasons, quota_bytes, return_state=True))
