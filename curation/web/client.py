"""The part of `Web` that lives on the event loop: one answer at a time, by all the rules."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
import tenacity
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from curation.errors import ItemError
from curation.sources import Fetched
from curation.store import Home
from curation.web import Download, Surroundings, guard
from curation.web.dates import date, retry_after_s
from curation.web.download import download
from curation.web.hosts import AT_ONCE, Host, Hosts, Trouble, quiet_s
from curation.web.manners import Manners, refuse_opt_outs
from curation.web.reading import page

T = TypeVar("T")

ATTEMPTS = 4
MAX_REDIRECTS = 5
CONNECTIONS = 64
DNS_S = 300  # for which a resolved name is kept
REDIRECTS = {301, 302, 303, 307, 308}

REFUSALS = {
    401: "login_required",
    402: "login_required",
    404: "gone",
    407: "login_required",
    410: "gone",
    451: "not_available",
}
TROUBLES = {408: "timed_out", 425: "server_error", 429: "rate_limited"}


class Client:
    """Asks the web; made and used on one event loop only."""

    def __init__(self, user_agent: str, allowed_hosts: frozenset[str], surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.hosts = Hosts(allowed_hosts, surroundings)
        self._allowed_hosts = allowed_hosts
        self._manners = Manners(self, surroundings.clock)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._resolver = guard.PublicResolver(surroundings.resolver or ThreadedResolver(), allowed_hosts)
        limits = surroundings.limits
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._resolver, limit=0, ttl_dns_cache=DNS_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A body that is smaller on the way than here is asked for by nobody, so it is a mistake or a bomb.
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(sock_connect=limits.connect_s, sock_read=limits.silence_s),
            trust_env=False,  # a proxy would be asked to resolve names, and would not look where they lead
        )

    @classmethod
    async def create(cls, user_agent: str, allowed_hosts: frozenset[str], surroundings: Surroundings) -> "Client":
        return cls(user_agent, allowed_hosts, surroundings)

    async def close(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._session.close()

    async def download_all(
        self, requests: Sequence[Download], home: Home, put: Callable[[tuple[int, Fetched | ItemError]], None]
    ) -> None:
        """Give each index and what became of its request to `put`; no host makes another wait."""
        by_host: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            host = request.address.split("/", 3)[:3][-1]  # only to share out the work: nothing is judged here
            by_host.setdefault(host, []).append(index)

        async def work(indexes: Iterator[int]) -> None:
            for index in indexes:
                try:
                    put((index, await download(self, requests[index], home)))
                except ItemError as error:
                    put((index, ItemError(error.reason, error.detail)))  # without the frames that it went through

        workers = [
            asyncio.create_task(work(left))
            for indexes in by_host.values()
            for left in [iter(indexes)] * min(AT_ONCE, len(indexes))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def set_rates(self, rates_hz: Mapping[str, float]) -> None:
        self.hosts.set_rates(rates_hz)

    async def admit(self, host: str) -> asyncio.Event | None:
        """Wait for a host's turn, as `Host.admit`."""
        return await self.hosts.get(host).admit()

    def leave(self, host: str, trial: asyncio.Event | None) -> None:
        self.hosts.get(host).leave(trial)

    def told(self, host: str, status: int | None, retry_after_s: float | None) -> None:
        self.hosts.get(host).told(status, retry_after_s)

    async def get(self, address: str, max_bytes: int) -> bytes:
        """Return a small page.

        Raises:
            ItemError: it cannot be had.
        """

        async def attempt() -> bytes:
            async with self.answer(address) as response:
                if response.status != 200:
                    raise ItemError("changed_site", f"HTTP {response.status}")
                return await page(response, self.surroundings, max_bytes)

        return await self.tried(attempt)

    async def permit(self, address: str) -> None:
        """Return if an address may be asked for, as far as can be known before.

        Raises:
            ItemError: it may not.
        """
        url = guard.checked(address, self._allowed_hosts)
        try:
            await self._resolver.resolve(url.raw_host or "", url.port or 0, socket.AF_UNSPEC)
        except OSError as error:
            raise ItemError("unreachable", f"{url.host}: no address is known") from error
        await self._manners.permit(url)

    async def tried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what one of a few attempts returns.

        Raises:
            ItemError: none can pass, or none did.
        """
        try:
            return await work()  # most pass at once, and to set up further attempts costs more than a small file
        except Trouble as error:
            trouble = error
        try:
            async for attempt in tenacity.AsyncRetrying(
                stop=tenacity.stop_after_attempt(ATTEMPTS),
                wait=tenacity.wait_exponential(1, max=30) + tenacity.wait_random(0, 1),
                retry=tenacity.retry_if_exception(_is_worth_another_attempt),
                sleep=self.surroundings.sleep,
                reraise=True,
            ):
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise trouble
                    try:
                        return await work()
                    except Trouble as error:
                        trouble = error
                        raise
        except Trouble as error:
            raise ItemError(error.reason, error.detail) from error
        except ItemError as error:
            if error.reason == "host_paused":  # by this very trouble
                raise ItemError(trouble.reason, trouble.detail) from error
            raise
        raise AssertionError("retrying ends by a result or an error")

    @asynccontextmanager
    async def answer(
        self,
        address: str,
        headers: dict[str, str] | None = None,
        *,
        is_mannered: bool = True,
        is_kept: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the answer of an address, after its redirects; its status is one of success, or 304, or 416.

        Args:
            is_mannered: robots.txt and opt-outs are looked at; only they themselves are asked for without.
            is_kept: the body is to stay, so each answer on the way to it may opt out of that.

        Raises:
            ItemError: there is none, and will be none.
            Trouble: there may be one at another attempt.
        """
        target: str | URL = address
        for _ in range(MAX_REDIRECTS + 1):
            url = guard.checked(target, self._allowed_hosts)
            if is_mannered:
                await self._manners.permit(url)
            host = self.hosts.of(url)
            async with host.slots, host.turn(), self._slots, self._exchange(url, headers, host) as response:
                if is_kept:
                    refuse_opt_outs(response.headers)
                if response.status not in REDIRECTS:
                    yield response
                    return
                target = _redirected(response)
        raise ItemError("too_many_redirects", f"more than {MAX_REDIRECTS}")

    @asynccontextmanager
    async def _exchange(
        self, url: URL, headers: dict[str, str] | None, host: Host
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give one answer, and count for or against the host what becomes of it."""
        limits = self.surroundings.limits
        try:
            try:
                async with asyncio.timeout(limits.connect_s + limits.silence_s) as deadline:
                    async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                        deadline.reschedule(asyncio.get_running_loop().time() + limits.total_s)
                        _judge(response)
                        yield response
            except (TimeoutError, aiohttp.ClientError) as error:
                raise _trouble(error, url) from error
        except Trouble as trouble:
            host.failed(trouble, url)
            raise
        except ItemError as error:
            if error.reason != "address_refused":  # its name leads elsewhere: nobody answered
                host.succeeded()
            raise
        else:
            host.succeeded()


def _is_worth_another_attempt(error: BaseException) -> bool:
    return isinstance(error, Trouble) and error.is_worth_waiting


def _trouble(error: Exception, url: URL) -> Trouble:
    """Return what a failed exchange is called, without what differs from one time to the next."""
    if isinstance(error, TimeoutError):  # aiohttp's are of this class too
        return Trouble("timed_out", f"{url.host} was too slow")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Trouble("incomplete", "the body was cut off")
    if isinstance(error, aiohttp.ClientResponseError):
        return Trouble("server_error", f"{url.host} does not speak HTTP")
    why = error.strerror if isinstance(error, aiohttp.ClientOSError) else None
    return Trouble("unreachable", f"{url.host}: {why or type(error).__name__}")


def _judge(response: aiohttp.ClientResponse) -> None:
    """Raise what a status says, if it says that there is nothing to read."""
    status = response.status
    if status in REDIRECTS or status in (200, 206, 304, 416):
        return
    if status >= 500 or status in TROUBLES:
        reason = TROUBLES.get(status, "server_error")
        now = date(response.headers.get("Date", "")) or datetime.now(UTC)
        asked_s = retry_after_s(response.headers.get("Retry-After", ""), now)
        raise Trouble(reason, f"HTTP {status}", quiet_s(status, asked_s))
    if status >= 400:
        raise ItemError(REFUSALS.get(status, "forbidden"), f"HTTP {status}")
    raise ItemError("changed_site", f"HTTP {status}")


def _redirected(response: aiohttp.ClientResponse) -> URL:
    location = response.headers.get("Location")
    if location is None:
        raise ItemError("changed_site", f"HTTP {response.status} without an address")
    try:
        return response.url.join(URL(location))
    except ValueError:
        raise ItemError("address_refused", f"HTTP {response.status} to what is no address") from None
