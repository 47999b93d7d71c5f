"""Publishing into folders and buckets in a test, and looking at what is there."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import fsspec

from curation.batches import Each
from curation.publishing import folders
from curation.publishing.outcome import Outcome
from tests.curation.publishing.conftest import Editions
from tests.curation.publishing.to_hub import pickled


def held(where: str) -> dict[str, bytes]:
    """Return everything at a place."""
    files, root = fsspec.core.url_to_fs(where)
    return {path[len(root) + 1 :]: files.cat_file(path) for path in files.find(root)}


def publish(editions: Editions, which: str, where: str) -> Outcome:
    return folders.publish(editions.home, getattr(editions, which), where, pickled)


class Killed(Exception):
    pass


def killed_after(calls: int) -> Each:
    """Return an Each that dies before a step, or after it and before anybody hears of it."""
    counted = itertools.count()

    def each(work: Callable[[Any], Any], batches: Sequence[Any], stage: str) -> list[Any]:
        if next(counted) == calls:
            raise Killed
        found = pickled(work, batches, stage)
        if next(counted) == calls:
            raise Killed
        return found

    return each
