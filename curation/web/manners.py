"""What a site allows: robots.txt (RFC 9309), and its reservation of rights (W3C TDMRep, X-Robots-Tag)."""

import asyncio
import codecs
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multidict import CIMultiDictProxy
from protego import Protego
from yarl import URL

from curation.errors import PARKED, ItemError
from curation.web.hosts import name_of
from curation.web.reading import page

if TYPE_CHECKING:
    from curation.web.client import Client

PRODUCT = "artune"  # what robots.txt calls us
MAX_ROBOTS_BYTES = 500 * 1024  # RFC 9309, 2.5: the least that must be read
KEPT_S = 24 * 60 * 60.0  # RFC 9309, 2.4: not to be kept for longer
LONGEST_DELAY_S = 60 * 60.0

# https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag; noai and noimageai are DeviantArt's.
OPT_OUTS = {"noai", "noimageai", "noindex", "none"}
VALUED = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
CRAWLER = re.compile(r"([a-z0-9_*.-]*[a-z_*][a-z0-9_*.-]*)(?:/[a-z0-9.]*)?")  # with its version


@dataclass(frozen=True, slots=True)
class Rules:
    """What an origin says of its addresses, and until when that is believed."""

    robots: Protego
    reserved: Protego
    until: float


class Manners:
    """The rules of every origin, asked for once."""

    def __init__(self, client: "Client", clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._rules: dict[URL, asyncio.Task[Rules]] = {}

    async def permit(self, url: URL) -> None:
        """Return if the site lets artune ask for an address.

        Raises:
            ItemError: "robots_disallowed" or "opted_out"; a parked reason while its rules cannot be had.
        """
        rules = await self._of(url.origin())
        if not rules.robots.can_fetch(str(url), PRODUCT):
            raise ItemError("robots_disallowed", f"robots.txt of {url.host} does not allow {url.raw_path}")
        if not rules.reserved.can_fetch(str(url), PRODUCT):
            raise ItemError("opted_out", f"tdmrep.json of {url.host} reserves {url.raw_path}")

    async def _of(self, origin: URL) -> Rules:
        asking = self._rules.get(origin)
        if asking is None or (asking.done() and (_has_failed(asking) or asking.result().until <= self._clock())):
            asking = self._rules[origin] = asyncio.create_task(self._ask(origin))
        # Many wait for it: that one of them is cancelled must not end it.
        return await asyncio.shield(asking)

    async def _ask(self, origin: URL) -> Rules:
        hosts = self._client.hosts
        try:
            robots = Protego.parse(await self._text(origin / "robots.txt"))
            delay_s = robots.crawl_delay(PRODUCT) or 0.0
            if rate := robots.request_rate(PRODUCT):
                delay_s = max(delay_s, rate.seconds / rate.requests)
            hosts.slow_down(name_of(origin), min(delay_s, LONGEST_DELAY_S))
            reserved = reservations(await self._text(origin / ".well-known" / "tdmrep.json", silent="server_error"))
        except ItemError as error:
            # RFC 9309, 2.3.1.4: while it cannot be known what is allowed, nothing is.
            if error.reason in PARKED and error.reason != "host_paused":
                hosts.of(origin).pause(f"robots.txt: {error.detail}")
            raise ItemError(error.reason, f"robots.txt: {error.detail}") from error
        return Rules(robots, reserved, self._clock() + KEPT_S)

    async def _text(self, url: URL, silent: str = "") -> str:
        """Return a page of rules, an empty one if the site says that there is none.

        Args:
            silent: a reason that says this too, although it is parked.

        Raises:
            ItemError: it cannot be known now.
        """

        async def attempt() -> str:
            async with self._client.answer(str(url), is_mannered=False) as response:
                try:
                    text = await page(response, self._client.surroundings, MAX_ROBOTS_BYTES, is_cut=True)
                except ItemError as error:  # what cannot be read may forbid everything
                    raise ItemError("unreachable", error.detail) from error
                is_wide = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                return text.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")

        try:
            return await self._client.tried(attempt)
        except ItemError as error:
            if error.reason == "address_refused" or error.reason in PARKED - {silent}:
                raise
            return ""  # RFC 9309, 2.3.1.3: whoever refuses to show rules sets none


def _has_failed(asking: "asyncio.Task[Rules]") -> bool:
    return asking.cancelled() or asking.exception() is not None


def reservations(text: str) -> Protego:
    """Return what a tdmrep.json reserves, in the language of robots.txt: its patterns are the same."""
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError):
        rules = []
    lines = []
    for rule in rules if isinstance(rules, list) else []:
        location = rule.get("location") if isinstance(rule, dict) else None
        if isinstance(location, str) and location.isprintable():
            lines.append(f"{'Disallow' if _reserves(rule.get('tdm-reservation')) else 'Allow'}: {location}")
    return Protego.parse("\n".join(["User-agent: *", *lines] if lines else []))


def _reserves(value: object) -> bool:
    """Tell whether one of the values that stand there, with parameters or without, is 1."""
    return any(part.partition(";")[0].strip() == "1" for part in str(value).split(","))


def refuse_opt_outs(headers: CIMultiDictProxy[str]) -> None:
    """Return if an answer's headers do not forbid to use it.

    Raises:
        ItemError: "opted_out".
    """
    if any(map(_reserves, headers.getall("TDM-Reservation", ()))):
        raise ItemError("opted_out", "tdm-reservation: 1")
    for value in headers.getall("X-Robots-Tag", ()):
        crawler = "*"  # for whom the rest of the line is meant
        for part in re.split("[,;]", value.lower()):
            name, colon, rest = (text.strip() for text in part.partition(":"))
            if colon and name not in VALUED and (named := CRAWLER.fullmatch(name)):
                crawler, name = named[1], rest
            if name in OPT_OUTS and crawler in ("*", PRODUCT):
                raise ItemError("opted_out", f"X-Robots-Tag: {name}")
