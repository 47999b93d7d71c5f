"""A web source without a web: what its lists and its media are stands in WORLD."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from curation import media_types
from curation.errors import ItemError
from curation.sources import Fetched, Found, Need, Tools
from rules.collecting import Query

HOMEPAGE = "https://toy.example"
LICENSE = "CC0-1.0"
TERMS = "made for tests"
RATES: dict[str, float] = {}


@dataclass
class World:
    """What the source holds, and what was asked of it.

    Attributes:
        lists: by the text of a query: what it yields; an error is raised where it stands.
        media: gives the bytes at an address, or what became of it; raises what a source may raise.
    """

    lists: dict[str, Sequence[Found | Exception]] = field(default_factory=dict)
    media: Callable[[str], bytes | Fetched | ItemError] = lambda address: address.encode()
    listed: list[str] = field(default_factory=list)  # the id of everything that was yielded
    asked: list[str] = field(default_factory=list)  # every address
    needed: list[Need] = field(default_factory=list)


WORLD = World()


def needs() -> Sequence[Need]:
    return WORLD.needed


def check(query: Query) -> None:
    if query.kind != "search":
        raise ValueError("expected search: TEXT")


def found(query: Query, tools: Tools) -> Iterator[Found]:
    for each in WORLD.lists[query.text]:
        if isinstance(each, Exception):
            raise each
        WORLD.listed.append(each.source_id)
        yield each


def fetched(items: Sequence[Found], tools: Tools) -> Iterator[tuple[int, Fetched | ItemError]]:
    for index, item in enumerate(items):
        WORLD.asked.append(item.address)
        gave = WORLD.media(item.address)
        if isinstance(gave, bytes):
            sha256, size_bytes = tools.home.put_blob([gave], 1 << 20)
            gave = Fetched(media_types.modality(gave) or "image", sha256, size_bytes)
        yield index, gave


def sha256_of(address: str) -> str:
    """Return the sha256 of what the world holds at an address, if nobody changed that."""
    return hashlib.sha256(address.encode()).hexdigest()
