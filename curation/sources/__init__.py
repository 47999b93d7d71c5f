"""Sources, one file each, found by name: `entries(location)` yields what can be had, before anything is fetched."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from curation.errors import ItemError
from rules.errors import ConfigurationError

UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source says of an item. All of it is text from outside: data, never a path, never markup."""

    url: str = ""
    title: str | None = None
    creator: str | None = None
    year: int | None = None  # the earliest of a range
    license: str = UNKNOWN_LICENSE
    attribution: str | None = None
    tags: tuple[tuple[str, str], ...] = ()  # (kind, value) in the source's own spelling


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed item: `version` changes when the file or the facts do; `refusal` says why it cannot be fetched."""

    source_id: str
    version: str
    path: Path | None = None
    facts: Facts = field(default_factory=Facts)
    refusal: ItemError | None = None


class Source(Protocol):
    """What every module of this folder offers."""

    HOMEPAGE: str
    LICENSE: str

    def entries(self, location: str) -> Iterator[Entry]:
        """Yield every item in any order; raise ConfigurationError if the location cannot be used."""
        ...


def names() -> list[str]:
    """Return the names of all sources."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if not name.startswith("_"))  # what sources share begins with _


def get(name: str) -> Source:
    """Import a source by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in names():
        raise ConfigurationError(f"no source is called {name!r}; there are {', '.join(names())}")
    return cast(Source, importlib.import_module(f"{__name__}.{name}"))
