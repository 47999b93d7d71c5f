"""The flow `rehydrate`: what a publication only refers to, fetched again, thin around curation.rehydrating."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from rich.console import Console

from curation import rehydrating
from curation.rehydrating import Means
from curation.rehydrating.result import COLUMNS, Rehydrated
from curation.store import Home
from flows import settings
from flows.ingest import AT_ONCE, now, title
from flows.progress import Bars, bars
from flows.publishing import STOPPED_REHYDRATING
from flows.tasks import ended, in_prefect, let_modules_speak, markdown, plain, threads, told

SOURCES_AT_ONCE = 4  # of the web: each has threads of its own, so that none waits for another

T = TypeVar("T")


@flow(name="rehydrate")
def rehydrate_release(
    home: Path, where: str, revision: str | None, named: list[str], quota_bytes: int | None, may_lack: bool = False
) -> Rehydrated | State[Any]:
    """Fetch what a publication refers to, write its release again, and publish the yield as an artifact.

    Args:
        home: the work folder.
        where: owner/name on the Hub, a folder or an address of storage.
        revision: of it; the last version if None.
        named: sources that have a place, each with it: folder:PATH.
        quota_bytes: blobs take this many bytes at most.
        may_lack: somebody said yes to a release without what may be had later.

    Returns:
        what came of it; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> Rehydrated:
        with bars(Console(stderr=True)) as shown:
            return rehydrating.rehydrate(
                Home(home),
                where,
                _means(shown),
                revision=revision,
                named=named,
                quota_bytes=quota_bytes,
                may_lack=may_lack,
            )

    done = told(work, STOPPED_REHYDRATING)
    if not isinstance(done, State):
        text = markdown([name.removeprefix(">") for name in COLUMNS], done.rows())
        create_markdown_artifact(text, key="yield", description=f"The yield of {done.publication.name}")
    return done


def _means(shown: Bars) -> Means:
    """Return what the flow works with: a source of the web is asked by few threads, all else is done by all workers."""
    asking = in_prefect(shown, title, AT_ONCE)
    working = in_prefect(shown, at_once=settings.from_environment().workers)

    def each(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
        return (asking if stage == "fetch" else working)(work, batches, stage)

    return Means(settings.web, each, now)


def run(
    home: Path, where: str, *, revision: str | None, named: list[str], quota_bytes: int | None, may_lack: bool
) -> Rehydrated:
    """Run the flow on this machine's threads.

    Raises:
        ConfigurationError: what it was told cannot be used.
        TransientError: the world was busy: the same call goes on from there.
    """
    workers = max(settings.from_environment().workers, AT_ONCE * SOURCES_AT_ONCE)
    name = plain(f"rehydrate {where}" + (f" {revision}" if revision else ""))
    ready = rehydrate_release.with_options(flow_run_name=name, task_runner=threads(workers))
    return ended(ready(home, where, revision, named, quota_bytes, may_lack, return_state=True))
