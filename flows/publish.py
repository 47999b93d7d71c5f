"""The flow `publish`: from a release to what others load, thin around curation.publishing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from rich.console import Console

from curation import releases
from curation.batches import Each
from curation.markdown import escaped
from curation.publishing import proof, publication, records
from curation.publishing.outcome import Outcome
from curation.publishing.records import Record
from curation.store import Home
from flows.progress import bars
from flows.publishing import STOPPED
from flows.tasks import ended, in_prefect, let_modules_speak, markdown, plain, threads, told

EVENT = "artune.dataset.published"


@flow(name="publish")
def publish_release(home: Path, where: str, number: int, private: bool = False) -> Outcome | State[Any]:
    """Publish a release, load it back, tell the world by an event, and leave the counts as an artifact.

    Args:
        home: the work folder.
        where: owner/name on the Hub, a folder or an address of storage.
        number: of the release.
        private: a repository that is not there yet is for its owner only.

    Returns:
        what was done; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> Outcome:
        with bars(Console(stderr=True)) as shown:
            return _published(Home(home), where, number, private, in_prefect(shown))

    done = told(work, STOPPED)
    if not isinstance(done, State):
        create_markdown_artifact(_markdown(done), key="publication", description=f"{where} {done.version}")
    return done


def _published(home: Home, where: str, number: int, private: bool, each: Each) -> Outcome:
    """Publish, keep that it was, prove it, and only then tell it; nothing is deleted from the folder meanwhile."""
    with home.in_use():
        return _proved(home, where, number, private, each)


def _proved(home: Home, where: str, number: int, private: bool, each: Each) -> Outcome:
    release = releases.get(home, number)
    outcome = publication.publish(home, release, where, each, private=private)
    record = publication.record(outcome)
    records.write(home, record)
    proof.check(home, release, outcome, each)
    _tell(record, outcome)
    records.write(home, replace(record, verified=True))  # the last: a run that was killed before is made up for
    return outcome


def _tell(record: Record, outcome: Outcome) -> None:
    """Emit the event that what follows a publication waits for: a deployment's trigger, say."""
    manifest = outcome.manifest
    emit_event(
        EVENT,
        resource={"prefect.resource.id": f"artune.dataset.{record.where}", "prefect.resource.name": record.where},
        payload={
            "repo": record.where,
            "endpoint": record.endpoint,
            "revision": record.version,
            "commit": record.commit,
            "release": record.release,
            "data_set": record.data_set,
            "rules_digest": manifest.rules_digest,
            "counts": {
                "embedded": outcome.embedded,
                "referenced": outcome.referenced,
                "excluded": outcome.excluded,
            },
        },
    )


def _markdown(outcome: Outcome) -> str:
    rows = (
        ("Pairs with media", f"{outcome.embedded:,}"),
        ("Pairs as references only", f"{outcome.referenced:,}"),
        ("Pairs not published", f"{outcome.excluded:,}"),
        ("Files sent", f"{len(outcome.sent_files):,}"),
        ("MB sent", f"{outcome.sent_bytes / 1e6:,.1f}"),
        ("Files deleted", f"{len(outcome.deleted):,}"),
        ("Commit", outcome.commit or "none"),
    )
    return f"# {escaped(outcome.where)} {outcome.version}\n\n{markdown(('What', 'Count'), rows)}"


def run(home: Path, where: str, number: int, *, private: bool) -> Outcome:
    """Run the flow on one thread, for one shard after the other goes through disk and memory.

    Raises:
        ConfigurationError: a person has to mend something, or what was published is not what should be there.
        TransientError: the world was busy: the same call goes on from there.
    """
    name = plain(f"publish release {number} to {where}")
    ready = publish_release.with_options(flow_run_name=name, task_runner=threads(1))
    return ended(ready(home, where, number, private, return_state=True))
