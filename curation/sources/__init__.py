"""Sources, one file each, found by name.

A local source yields with `entries(location)` what lies on this machine. A web source yields with `found(query, tools)`
what one list of a site holds; `artune ingest` fetches it, and a build then reads what was fetched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from curation.errors import ItemError
from curation.store import Home
from rules import drop_ins
from rules.collecting import Query
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.web import Web

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


@dataclass(frozen=True, slots=True)
class Found:
    """One item in a list of a web source, before it is fetched.

    Attributes:
        source_id: its id at the source, the same in whatever list it stands.
        address: where its media are: an http or https address, or what the source's own `fetched` understands.
        facts: what the list says of it; `facts.url` is the page that a person opens.
        state: changes when the media at the address changed; empty where the source does not say.
        about: provenance beside the facts, as JSON values: uploader, board, origin, chapters, ...
        refusal: why it cannot be fetched.
    """

    source_id: str
    address: str
    facts: Facts = field(default_factory=Facts)
    state: str = ""
    about: Mapping[str, object] = field(default_factory=dict)
    refusal: ItemError | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched into the blobs.

    Attributes:
        modality: image or music, by content.
        sha256: of the blob.
        size_bytes: of the blob.
        etag: as the server said it; `last_modified` likewise.
        facts: what only the fetch told: set fields replace those of the list, tags are added.
        about: the same, beside the facts.
    """

    modality: str
    sha256: str
    size_bytes: int
    etag: str | None = None
    last_modified: str | None = None
    facts: Facts | None = None
    about: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a web source uses: a program, a package of an extra, a credential.

    Attributes:
        what: as a person would call it.
        ready: whether it is there.
        required: nothing can be had without it.
        advice: how to get it.
    """

    what: str
    ready: bool
    required: bool = True
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a web source works with.

    Attributes:
        home: the work folder; blobs go into it.
        web: the polite client that all workers share. Whoever asks a site by another program or library takes its
            turn there too.
        location: what stands behind the name, as in `kaggle:ARCHIVES`; mostly empty.
    """

    home: Home
    web: "Web"
    location: str = ""


class WebSource(Protocol):
    """What a module of this folder offers that lists a site.

    A module may have more:
        fetched(items, tools): where plain http is not enough. It yields the index of an item and what became of it, in
            any order, as soon as it is known: Iterator[tuple[int, Fetched | ItemError]]. An item that comes from a
            publication has no state, and its address and id are whatever its publisher wrote.
        BATCH_ITEMS: how many items a batch has, where the usual number would take too long.
        LISTS_ADD_UP = True: only all lists together tell what an item is, so a limit leaves none early.
    """

    HOMEPAGE: str
    LICENSE: str
    TERMS: str  # in a sentence or two: whose terms hold, and what the media may be used for
    RATES: Mapping[str, float]  # host -> requests per second that it is asked at most

    def needs(self) -> Sequence[Need]:
        """Return what it needs; asks no site."""
        ...

    def check(self, query: Query) -> None:
        """Raise ValueError with the forms that are expected, if there can be no such list."""
        ...

    def found(self, query: Query, tools: Tools) -> Iterator[Found]:
        """Yield what a list holds, in its order, lazily: whoever has enough closes the iterator.

        Raises:
            ItemError: the list cannot be had.
            TransientError: not now.
            ConfigurationError: something that the source needs is missing.
        """
        ...


class Source(Protocol):
    """What a module of this folder offers that lists this machine."""

    HOMEPAGE: str
    LICENSE: str

    def entries(self, location: str) -> Iterator[Entry]:
        """Yield every item in any order; raise ConfigurationError if the location cannot be used."""
        ...


def names() -> list[str]:
    """Return the names of all sources."""
    return drop_ins.names(__path__)


def get(name: str) -> Source:
    """Import a source by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    return cast(Source, drop_ins.get(__name__, __path__, name, "source"))


def is_web(module: Source | WebSource) -> bool:
    """Say whether a source lists a site."""
    return hasattr(module, "found")


def get_web(name: str) -> WebSource:
    """Import a web source by its name.

    Raises:
        ConfigurationError: there is none of that name, or it lists this machine.
    """
    module = get(name)
    if not is_web(module):
        raise ConfigurationError(f"{name} lists this machine: `artune build --source {name}` collects it")
    return cast(WebSource, module)
