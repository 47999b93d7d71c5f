"""One polite client for all that artune asks of the web: slowly, by the sites' rules, and never into a private network.

Whoever only names its settings or hands it on does not pay for what it is made of: that is imported by the first `Web`.
"""

import asyncio
import atexit
import os
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from curation.errors import ItemError
from curation.media_types import Modality
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from curation.sources import Fetched
    from curation.store import Home

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How a process asks the web; a batch carries it, and every worker of a process shares one client made of it.

    Attributes:
        contact: a mail or web address at which sites reach the operator; part of the User-Agent.
        allowed_hosts: `host` or `host:port` that may be private or loopback, and are asked as fast as they answer:
            for tests and for servers of one's own.
    """

    contact: str
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch.

    Attributes:
        address: where it is.
        page: the page that it stands on, sent as Referer.
        known: what was fetched from there before: it comes back unchanged if the server says that nothing changed.
        modality: what it must be; either if None.
    """

    address: str
    page: str = ""
    known: "Fetched | None" = None
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the web may take.

    Attributes:
        connect_s: for a connection.
        silence_s: until an answer's headers are complete, then between two pieces of its body.
        total_s: for an answer as a whole.
        grace_s: a body is given this long before `min_bytes_per_s` counts; that is its mean since it began.
    """

    connect_s: float = 20
    silence_s: float = 30
    total_s: float = 2 * 60 * 60
    grace_s: float = 30
    min_bytes_per_s: float = 4096


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a client finds around it; tests give their own.

    Attributes:
        clock: seconds that only ever grow.
        sleep: waits for so many of them.
        resolver: of names, the system's if None.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    resolver: "AbstractResolver | None" = None
    limits: Limits = field(default_factory=Limits)


class Web:
    """A client with a token bucket, a back-off and a circuit breaker for each host.

    All of it lives on one event loop in a thread of its own, so that any number of threads share it without a lock.
    """

    def __init__(self, settings: WebSettings, surroundings: Surroundings | None = None) -> None:
        from importlib.metadata import version

        from curation.web.client import Client

        contact = settings.contact.strip()
        if not contact or not contact.isascii() or not contact.isprintable():
            raise ConfigurationError(f"contact {contact!r}: expected a mail or web address at which sites reach you")
        self.settings = settings
        self.user_agent = f"artune/{version('artune')} (+{contact})"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="artune-web", daemon=True)
        self._thread.start()
        self._client = self._run(Client.create(self.user_agent, settings.allowed_hosts, surroundings or Surroundings()))

    def download_all(self, requests: Sequence[Download], home: "Home") -> Iterator[tuple[int, "Fetched | ItemError"]]:
        """Fetch files into the blobs; yield the index of each and what became of it, as soon as it is known.

        Nothing is fetched before the first is asked for; whoever closes the iterator ends what is under way.
        """
        done: queue.SimpleQueue[tuple[int, Fetched | ItemError] | None] = queue.SimpleQueue()
        running = asyncio.run_coroutine_threadsafe(self._client.download_all(requests, home, done.put), self._loop)
        running.add_done_callback(lambda _: done.put(None))
        try:
            while result := done.get():
                yield result
            running.result()  # a bug over there is a bug here
        finally:
            running.cancel()

    def get(self, address: str, *, max_bytes: int) -> bytes:
        """Return a small page.

        Raises:
            ItemError: it cannot be had; with a parked reason if it can be had later.
        """
        return self._run(self._client.get(address, max_bytes))

    def permit(self, address: str) -> None:
        """Return if an address may be fetched by another client.

        Raises:
            ItemError: it leads where artune does not go, or the site does not allow it.
        """
        self._run(self._client.permit(address))

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Wait for this host's turn: for a request by another client, which then says by `told` what it heard.

        Raises:
            ItemError: "host_paused".
        """
        trial = self._run(self._client.admit(host))
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._client.leave, host, trial)

    def told(self, host: str, status: int | None, retry_after_s: float | None = None) -> None:
        """Count what another client heard from a host; status None is no answer."""
        self._loop.call_soon_threadsafe(self._client.told, host, status, retry_after_s)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Ask hosts at most so many times a second: `www.example.org`, or `.example.org` for all below it together."""
        self._run(self._client.set_rates(rates))

    def rate_hz(self, host: str) -> float:
        """Return how often a host may be asked: for another client that keeps time by itself."""
        return self._client.hosts.rate_hz(host)

    def close(self) -> None:
        """End what is under way."""
        if not self._thread.is_alive():  # in a forked process
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        finally:
            running.cancel()


_shared: dict[tuple[int, WebSettings], Web] = {}
_sharing = threading.Lock()


def of(settings: WebSettings) -> Web:
    """Return the client of this process for these settings."""
    with _sharing:
        key = os.getpid(), settings  # a forked process has no thread that would run its parent's client
        if key not in _shared:
            _shared[key] = Web(settings)
            atexit.register(_shared[key].close)
        return _shared[key]
