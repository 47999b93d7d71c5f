"""The flow `publish`: from a release to what others load, thin around curation.publishing."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed
from pydantic import Field
from rich.console import Console

from curation import card, changes, releases
from curation.batches import Each
from curation.markdown import escaped
from curation.publishing import lawful, places, proof, publication, records
from curation.publishing.outcome import Outcome
from curation.publishing.records import Record
from curation.releases import Release, rule_set_of
from curation.store import Home, digest
from flows import asking, assets, events, run_names
from flows.progress import bars
from flows.publishing import STOPPED
from flows.tasks import ended, in_prefect, let_modules_speak, markdown, threads, told
from flows.terminal import home_of
from rules.errors import ConfigurationError

ALREADY = "Already published"  # the state of a run that had nothing to do
NOTHING = "Nothing to publish"  # likewise, of one by schedule: no release yet, or a curator knows of it


# One thread: one shard after the other goes through disk and memory.
@flow(name="publish", flow_run_name=run_names.publish, task_runner=threads(1))
def publish_release(
    where: Annotated[str, Field(min_length=1)],
    number: Annotated[int | None, Field(ge=1)] = None,
    home: str | None = None,
    private: bool = False,
    ask: bool = False,
    data_set: str | None = None,
) -> Outcome | State[Any]:
    """Publish a release, load it back, tell the world by an event, and leave the counts as an artifact.

    Args:
        where: owner/name on the Hub, a folder or an address of storage.
        number: of the release; the last one if None.
        home: the work folder; ARTUNE_HOME of the machine that runs it if None.
        private: a repository that is not there yet is for its owner only.
        ask: wait until a curator says yes; only a run of a deployment can.
        data_set: the last release is the last one of this.

    Returns:
        what was done; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> Outcome | State[Any]:
        place, whole = home_of(home), places.whole(where)
        release = _chosen(place, number, data_set)
        if release is None:
            return Completed(name=NOTHING, message=f"{place.root} has no release yet")
        there = publication.check(place, release, whole)
        if there and publication.is_verified(place, there):
            told = f"release {release.number} is {there.version} of {there.where}"
            return Completed(name=ALREADY, message=told, data=there)
        if ask:
            key = f"publish-{release.number}"
            refused = events.remembered(place, f"refused-{release.number}-{digest(whole)[:8]}")
            is_known = (number is None and refused.exists()) or _is_asked(release)
            if asking.answer(key) is None and is_known:
                why = f"a curator was asked about release {release.number} already"
                return Completed(name=NOTHING, message=f"{why}; after a no, a run with its number asks again")
            if not asking.says_yes(_question(place, release, whole), key):
                refused.parent.mkdir(parents=True, exist_ok=True)
                refused.write_text(f"release {release.number} was refused for {whole}\n", encoding="utf-8")
                return Cancelled(name=asking.REFUSED, message=f"a curator refused release {release.number}")
        with bars(Console(stderr=True)) as shown:
            return _published(place, whole, release.number, private, in_prefect(shown))

    done = told(work, STOPPED)
    if not isinstance(done, State):
        create_markdown_artifact(_markdown(done), key="publication", description=f"{where} {done.version}")
    return done


def _chosen(home: Home, number: int | None, data_set: str | None) -> Release | None:
    """Return what to publish; None where a schedule looks before there is any release."""
    found = releases.latest(home, data_set) if number is None else releases.get(home, number)
    if found is None and not events.is_deployed():
        raise ConfigurationError(f"{home.root} has no release yet; `artune build` makes one")
    return found


def _is_asked(release: Release) -> bool:
    """Say whether another run waits for a curator's word on a release."""
    return any(parameters.get("number") in (None, release.number) for parameters in asking.waiting())


def _question(home: Home, release: Release, where: str) -> str:
    """Return what a curator reads who decides: what would go out, its labels, and what is lost against the parent."""
    chosen = lawful.choose(home, release)
    rows = [
        ("Pairs with media", f"{len(chosen.embedded):,}"),
        ("Pairs as references only", f"{len(chosen.referenced):,}"),
        ("Pairs not published", f"{len(chosen.excluded):,}"),
    ]
    parent = release.manifest["parent"]
    if parent is not None:
        pairs = changes.between(releases.get(home, parent), release).pairs
        what = (f"Kept from release {parent}", f"New since release {parent}", f"Lost since release {parent}")
        rows += zip(what, (f"{count:,}" for count in (pairs.kept, pairs.new, pairs.ended)), strict=True)
    about = card.summary(release.folder, rule_set_of(release))
    title = f"# Publish release {release.number} to {escaped(where)}?"
    return f"{title}\n\n{markdown(('What', 'Count'), rows)}\n{about}"


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
    assets.publication(home, record, outcome)
    _tell(record, outcome)
    records.write(home, replace(record, verified=True))  # the last: a run that was killed before is made up for
    return outcome


def _tell(record: Record, outcome: Outcome) -> None:
    """Emit the event that what follows a publication waits for: a deployment's trigger, say."""
    manifest = outcome.manifest
    events.tell(
        events.DATASET_PUBLISHED,
        "dataset",
        record.where,
        {
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
    manifest = outcome.manifest
    rows = (
        ("Release", f"{manifest.release} of {manifest.data_set}"),
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
    """Run the flow.

    Raises:
        ConfigurationError: a person has to mend something, or what was published is not what should be there.
        TransientError: the world was busy: the same call goes on from there.
    """
    return ended(publish_release(where, number, str(home), private, return_state=True))
