"""A release published, whatever the place: the Hub, or a folder or bucket."""

from dataclasses import replace
from pathlib import Path

from huggingface_hub import constants

from curation.batches import Each
from curation.publishing import folders, hub, records
from curation.publishing.outcome import Outcome
from curation.publishing.places import is_hub
from curation.publishing.records import Record
from curation.releases import Release
from curation.store import Home


def check(home: Home, release: Release, where: str) -> Outcome | None:
    """Return what a publication would say if it is there already, None if there is something to do; sends nothing.

    Raises:
        ConfigurationError: `publish` would refuse it.
        TransientError: the place is busy.
    """
    return hub.check(home, release, where) if is_hub(where) else folders.check(home, release, where)


def publish(home: Home, release: Release, where: str, each: Each, *, private: bool) -> Outcome:
    """Publish a release; run again, it goes on from where it was.

    Args:
        where: owner/name, a folder or an address of storage.
        private: a repository that is not there yet is for its owner only.

    Raises:
        ConfigurationError: a person has to mend something.
        TransientError: the place is busy: the same call goes on from there.
    """
    if is_hub(where):
        return hub.publish(home, release, where, each, private=private)
    return folders.publish(home, release, where, each)


def dry_run(home: Home, release: Release, where: str, each: Each) -> Outcome:
    """Return what `publish` would do; sends nothing. Raises as it."""
    return hub.dry_run(home, release, where, each) if is_hub(where) else folders.dry_run(home, release, where, each)


def record(outcome: Outcome) -> Record:
    """Return what the work folder keeps of a publication."""
    endpoint = constants.ENDPOINT if is_hub(outcome.where) else None
    manifest = outcome.manifest
    return Record(outcome.where, endpoint, manifest.data_set, manifest.release, outcome.version, outcome.commit)


def is_verified(home: Home, outcome: Outcome) -> bool:
    """Say whether a publication was loaded back and found to be what had been sent."""
    wanted = replace(record(outcome), verified=True)
    return wanted in (replace(one, without=()) for one in records.read(home))


def homepage(outcome: Outcome) -> str:
    """Return the address at which a person looks at a publication."""
    if is_hub(outcome.where):
        return f"{constants.ENDPOINT}/datasets/{outcome.where}/tree/{outcome.version}"
    return outcome.location if "://" in outcome.location else Path(outcome.location).as_uri()
