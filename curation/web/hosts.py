"""How often a host is asked, and when it is left alone: a token bucket and a circuit breaker for each.

All of it runs on one event loop, so nothing is locked.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiolimiter import AsyncLimiter
from yarl import URL

from curation.errors import ItemError, TransientError
from curation.web import Surroundings

logger = logging.getLogger(__name__)

DEFAULT_RATE_HZ = 2.0
ALLOWED_RATE_HZ = 10_000.0  # of a host that the operator calls its own
BURST_S = 0.1  # a bucket holds what may be asked in this time, at least one request
AT_ONCE = 8  # requests to one host that are under way
FAILURES_TO_OPEN = 5  # addresses in a row: one that always fails says nothing of its host
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 60 * 60.0
LONGEST_WAIT_S = 60.0  # whoever has to wait longer is sent away
LONGEST_QUIET_S = 7 * 24 * 60 * 60.0  # that a Retry-After is believed
QUIET_S = 10.0  # after a 429 that does not say how long


class Trouble(TransientError):
    """One attempt failed, another may pass.

    Args:
        reason: a parked one, if no other passes.
        retry_after_s: for how long the host asked to be left alone.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def is_worth_waiting(self) -> bool:
        return (self.retry_after_s or 0) <= LONGEST_WAIT_S


@dataclass(slots=True)
class Bucket:
    """The tokens of a host, or of all hosts that share a rate."""

    rate_hz: float
    limiter: AsyncLimiter

    @staticmethod
    def of(rate_hz: float) -> "Bucket":
        size = max(1.0, rate_hz * BURST_S)
        return Bucket(rate_hz, AsyncLimiter(size, size / rate_hz))


class Host:
    """One host: who may ask it now."""

    def __init__(self, name: str, bucket: Callable[[], Bucket], surroundings: Surroundings) -> None:
        self.name = name
        self.slots = asyncio.Semaphore(AT_ONCE)
        self._bucket = bucket
        self._clock = surroundings.clock
        self._sleep = surroundings.sleep
        self._until = -math.inf  # it is left alone until then
        self._why = ""
        self._is_open = False  # the breaker's: it failed, and the next request is a trial
        self._pauses = 0  # in a row
        self._failed: set[object] = set()  # addresses, since something was answered
        self._trial: asyncio.Event | None = None

    async def admit(self) -> asyncio.Event | None:
        """Return when it is one's turn; after a pause with what all others wait for: how this trial ends.

        Raises:
            ItemError: "host_paused".
        """
        while True:
            if self._trial is not None:
                try:
                    # Bounded: who holds the trial may itself be among those who wait for its end.
                    await asyncio.wait_for(self._trial.wait(), LONGEST_WAIT_S)
                except TimeoutError as error:
                    raise ItemError("host_paused", self._why) from error
            elif (left_s := self._until - self._clock()) > 0:
                if self._is_open or left_s > LONGEST_WAIT_S:
                    raise ItemError("host_paused", self._why)
                await self._sleep(left_s)
            elif self._is_open:
                trial = self._trial = asyncio.Event()
                with ExitStack() as undo:
                    undo.callback(self.leave, trial)  # whoever is cancelled while it waits gives the trial up
                    await self._bucket().limiter.acquire()
                    undo.pop_all()
                return trial
            else:
                before = self._until
                await self._bucket().limiter.acquire()
                if self._until == before and not self._is_open:
                    return None

    def leave(self, trial: asyncio.Event | None) -> None:
        """End a turn."""
        if trial is not None and trial is self._trial:
            self._end_trial()

    def _end_trial(self) -> None:
        if self._trial is not None:
            self._trial.set()
            self._trial = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a turn.

        Raises:
            ItemError: "host_paused".
        """
        trial = await self.admit()
        try:
            yield
        finally:
            self.leave(trial)

    def succeeded(self) -> None:
        """Count an answer for the host."""
        if self._is_open:
            logger.info("%s answers again", self.name)
        self._failed.clear()
        self._is_open = False
        self._pauses = 0
        self._end_trial()  # another client may hold its turn for long

    def failed(self, trouble: Trouble, address: object) -> None:
        """Count a failure against the host."""
        if trouble.retry_after_s is not None:
            self._be_quiet(trouble.retry_after_s, f"{self.name} asked for {trouble.retry_after_s:.0f} s of quiet")
        self._failed.add(address)
        if self._is_open:
            if self._until <= self._clock():  # the trial failed, not one that was under way when the breaker opened
                self.pause(trouble.detail)
        elif len(self._failed) >= FAILURES_TO_OPEN:
            self.pause(trouble.detail)

    def pause(self, last: str) -> None:
        """Open the breaker."""
        self._is_open = True
        self._end_trial()
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self._pauses, 10), LONGEST_PAUSE_S)
        self._pauses += 1
        self._be_quiet(pause_s, f"{self.name} keeps failing ({last}): it is asked again after {pause_s:.0f} s")

    def told(self, status: int | None, retry_after_s: float | None) -> None:
        """Count what another client heard."""
        if status is None:
            self.failed(Trouble("unreachable", "no answer", retry_after_s), object())
        elif status == 429 or status >= 500:
            reason = "rate_limited" if status == 429 else "server_error"
            self.failed(Trouble(reason, f"HTTP {status}", quiet_s(status, retry_after_s)), object())
        else:
            self.succeeded()

    def _be_quiet(self, seconds: float, why: str) -> None:
        until = self._clock() + min(seconds, LONGEST_QUIET_S)
        if until > self._until:
            self._until, self._why = until, why
            if seconds > LONGEST_WAIT_S or self._is_open:
                again = datetime.now(UTC) + timedelta(seconds=min(seconds, LONGEST_QUIET_S))
                logger.warning("%s: not before %s", why, again.isoformat(sep=" ", timespec="seconds"))


def quiet_s(status: int, retry_after_s: float | None) -> float | None:
    """Return for how long an answer asks to be left alone."""
    return QUIET_S if status == 429 and retry_after_s is None else retry_after_s


class Hosts:
    """All hosts that a client has to do with."""

    def __init__(self, allowed_hosts: frozenset[str], surroundings: Surroundings) -> None:
        self._allowed_hosts = allowed_hosts
        self._surroundings = surroundings
        self._hosts: dict[str, Host] = {}
        self._rates_hz: dict[str, float] = {}
        self._slowest_hz: dict[str, float] = {}  # by a crawl delay
        self._buckets: dict[str, Bucket] = {}
        self._bucket_of: dict[str, Bucket] = {}  # as found by the rates that hold now

    def get(self, name: str) -> Host:
        name = name.lower()
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts.setdefault(name, Host(name, lambda: self._bucket(name), self._surroundings))
        return host

    def of(self, url: URL) -> Host:
        return self.get(name_of(url))

    def set_rates(self, rates_hz: Mapping[str, float]) -> None:
        """Two sources that ask one host share the lower rate."""
        for name, rate_hz in rates_hz.items():
            self._rates_hz[name] = min(rate_hz, self._rates_hz.get(name, math.inf))
        self._bucket_of.clear()

    def slow_down(self, name: str, delay_s: float) -> None:
        """Obey a crawl delay."""
        if delay_s > 0:
            key, _ = self._rate(name)
            self._slowest_hz[key] = min(1 / delay_s, self._slowest_hz.get(key, math.inf))
            self._bucket_of.clear()

    def rate_hz(self, name: str) -> float:
        """Return how many times a second a host is asked at most."""
        key, rate_hz = self._rate(name.lower())
        return min(rate_hz, self._slowest_hz.get(key, math.inf))

    def _bucket(self, name: str) -> Bucket:
        bucket = self._bucket_of.get(name)
        if bucket is None:
            key, rate_hz = self._rate(name)[0], self.rate_hz(name)
            bucket = self._buckets.get(key)
            if bucket is None or bucket.rate_hz != rate_hz:
                bucket = self._buckets[key] = Bucket.of(rate_hz)
            self._bucket_of[name] = bucket
        return bucket

    def _rate(self, name: str) -> tuple[str, float]:
        """Return the rate of a host and under which name it was given: hosts of one suffix share a bucket."""
        bare, _, port = name.rpartition(":")
        bare = bare if port.isdecimal() else name
        below = f".{bare}"
        suffixes = [below[at:] for at, character in enumerate(below) if character == "."]
        for key in (name, bare, *suffixes):
            if key in self._rates_hz:
                return key, self._rates_hz[key]
        is_allowed = name in self._allowed_hosts or bare in self._allowed_hosts
        return name, ALLOWED_RATE_HZ if is_allowed else DEFAULT_RATE_HZ


def name_of(url: URL) -> str:
    """Return a host as rates, pauses and messages name it."""
    host = url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
