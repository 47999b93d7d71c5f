"""Publishing in a test, as another process would do it: what a step gets goes through pickle."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from curation.publishing import hub
from curation.publishing.outcome import Outcome
from curation.releases import Release
from curation.store import Home


def pickled(work: Callable[[Any], Any], batches: Sequence[Any], stage: str) -> list[Any]:
    """Run a step as an Each."""
    return [work(pickle.loads(pickle.dumps(batch))) for batch in batches]


def publish(home: Home, release: Release, repo_id: str, *, private: bool = False) -> Outcome:
    return hub.publish(home, release, repo_id, pickled, private=private)


def dry_run(home: Home, release: Release, repo_id: str) -> Outcome:
    return hub.dry_run(home, release, repo_id, pickled)
