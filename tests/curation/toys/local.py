"""A source that lists this machine."""

from collections.abc import Iterator

from curation.sources import Entry

HOMEPAGE = ""
LICENSE = "unknown"


def entries(location: str) -> Iterator[Entry]:
    return iter(())
