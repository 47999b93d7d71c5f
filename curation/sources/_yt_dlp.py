"""yt-dlp with artune's manners: only YouTube's hosts, each request in its turn, and no way around a refusal."""

import functools
import io
import logging
import socket
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tenacity
import yt_dlp.globals
from multidict import CIMultiDict, CIMultiDictProxy
from yt_dlp import YoutubeDL
from yt_dlp.extractor.youtube import YoutubeIE, YoutubeSearchIE, YoutubeTabIE
from yt_dlp.networking import Request, RequestDirector, Response
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError

from curation.errors import ItemError
from curation.sources._yt_dlp_refusals import ERRORS, no_answer, refusal, said
from curation.sources._yt_dlp_requests import MAX_PAGE_BYTES, CheckedRH, Refused
from curation.web import Web, guard
from curation.web.dates import date, retry_after_s
from curation.web.hosts import Trouble
from curation.web.manners import refuse_opt_outs

log = logging.getLogger(__name__)

MEDIA = "googlevideo.com"
HOSTS = ("youtube.com", MEDIA)  # and what is below them: pages and their API, recordings
WATCH = "/watch"
LOGIN_HOST = "accounts.google.com"
CAPTCHA_HOST = "www.google.com"  # where /sorry/ asks for a proof that a person is there

TRIES = 3  # of a request that the server failed, and of a piece of a file
RETRYING = tenacity.Retrying(
    stop=tenacity.stop_after_attempt(TRIES),
    wait=tenacity.wait_exponential(2, max=30) + tenacity.wait_random(0, 1),
    retry=tenacity.retry_if_exception_type(Trouble),
    reraise=True,
)
# YouTube lifts what it calls a rate limit of a session within an hour:
# https://github.com/yt-dlp/yt-dlp/wiki/Extractors#this-content-isnt-available-try-again-later
BOT_CHECK_PAUSE_S = 3600.0

PARAMETERS = {
    "format": "bestaudio[protocol!*=m3u8][protocol!*=dash]",  # one file over http: as stored there, never muxed here
    "noplaylist": True,
    "fixup": "never",
    "cachedir": False,
    "proxy": "",  # none, whatever the environment says: addresses are checked where the connection is made
    "geo_bypass": False,
    "extractor_retries": 0,  # `urlopen` tries again
    "retries": 3,  # of a body that was cut off; each goes on where the last one ended
    "socket_timeout": 20,
    "continuedl": True,
    "updatetime": False,
    "quiet": True,
    "noprogress": True,
    "no_color": True,
}


class Youtube(YoutubeIE):  # type: ignore[misc]
    """yt-dlp's extractor of one video, without what it does to get past an age check."""

    @classmethod
    def ie_key(cls) -> str:
        return "Youtube"

    @staticmethod
    def _get_checkok_params() -> dict[str, bool]:
        return {}  # yt-dlp says here that a person of age had agreed to see it

    @staticmethod
    def _is_agegated(player_response: object) -> bool:
        if YoutubeIE._is_agegated(player_response):  # yt-dlp would ask again as a page that embeds the video
            raise ItemError("login_required", "YouTube shows it only to who is signed in and of age")
        return False


class Client(YoutubeDL):  # type: ignore[misc]
    """One yt-dlp for a list or a batch: it keeps what it learned of YouTube's player."""

    def __init__(self, web: Web) -> None:
        yt_dlp.globals.plugin_dirs.value = []  # what else is installed on this machine must not change what is asked
        self.web = web
        self._ranges: Counter[str] = Counter()  # of the file that is being downloaded
        parameters = PARAMETERS | {"http_headers": {"User-Agent": web.user_agent}, "logger": _Log()}
        super().__init__(parameters, auto_init=False)
        for extractor in (Youtube(), YoutubeSearchIE(), YoutubeTabIE()):
            self.add_info_extractor(extractor)

    def entries(self, address: str) -> Iterator[dict[str, Any]]:
        """Yield what a list holds, asking for the next page when it is needed.

        Raises:
            ItemError: YouTube refuses the list, or there is none.
        """
        try:
            found = self.extract_info(address, download=False, process=False)
            if found.get("_type") == "url":  # a channel that goes by another address now
                found = self.extract_info(found["url"], download=False, process=False)
            for entry in found.get("entries") or ():
                if entry and entry.get("ie_key") == Youtube.ie_key():
                    yield entry
        except ERRORS as error:
            raise self._refusal(error) from None

    def info(self, address: str) -> dict[str, Any]:
        """Return what YouTube says of one video, with the best audio stream chosen.

        Raises:
            ItemError: YouTube does not give it.
        """
        try:
            info: dict[str, Any] = self.extract_info(address, download=False)
        except ERRORS as error:
            raise self._refusal(error) from None
        return info

    def save(self, info: dict[str, Any], path: Path, max_bytes: int, max_seconds: float) -> None:
        """Download the chosen stream to a path, going on where an earlier try ended.

        Raises:
            ItemError: YouTube does not give it, it is larger than it may be, or too slow.
        """
        ends = time.monotonic() + max_seconds

        def watch(progress: dict[str, Any]) -> None:
            if (progress.get("downloaded_bytes") or 0) > max_bytes:
                raise ItemError("too_many_bytes", f"more than {max_bytes:,} bytes")
            if progress["status"] == "downloading" and time.monotonic() > ends:
                raise ItemError("timed_out", f"not there after {max_seconds:.0f} seconds; what came is kept")

        self._progress_hooks = [watch]
        self._ranges.clear()
        try:
            is_there, _ = self.dl(str(path), info)
        except ERRORS as error:
            raise self._refusal(error) from None
        if not is_there:
            raise ItemError("incomplete", "no bytes came")

    def urlopen(self, request: Request | str) -> Response:
        """Send a request when it is its host's turn, and again if the server failed.

        Raises:
            ItemError: it must not be sent, or the host wants to be left alone.
        """
        request = Request(request) if isinstance(request, str) else request
        host = self._check(request.url)
        request.url = _without_claims(request.url)
        if span := request.headers.get("Range"):
            # yt-dlp asks for the next piece of a file for ever, whether something comes or not.
            start = span.partition("-")[0]
            self._ranges[start] += 1
            if self._ranges[start] > TRIES:
                raise ItemError("incomplete", f"{host} sends no more of it")
        try:
            response = RETRYING(self._send, host, request)
        except Refused as error:
            raise error.error from None
        except Trouble as trouble:
            raise ItemError(trouble.reason, trouble.detail) from None
        if host.endswith(MEDIA) or urllib.parse.urlsplit(request.url).path == WATCH:
            refuse_opt_outs(CIMultiDictProxy(CIMultiDict(response.headers.items())))
        return response

    def _send(self, host: str, request: Request) -> Response:
        """Send a request once; Trouble if another try may pass."""
        with self.web.turn(host):
            try:
                response = super().urlopen(request)
                if "Range" not in request.headers:
                    response = _whole(response)
            except HTTPError as error:
                self.web.told(host, error.status, _retry_after_s(error))
                if error.status == 429:
                    raise ItemError("rate_limited", f"{host} asked to be left alone") from None
                if error.status >= 500:
                    raise Trouble("server_error", f"{host} answered {error.status}") from None
                raise
            except TransportError as error:
                self.web.told(host, None)
                raise Trouble(*no_answer(host, error)) from None
            self.web.told(host, response.status)
        return response

    @functools.cached_property
    def _request_director(self) -> RequestDirector:
        return self.build_request_director([functools.partial(CheckedRH, check=self._check, connect=self._connect)])

    def _check(self, address: str) -> str:
        """Return the host of an address that yt-dlp may ask.

        Raises:
            ItemError: it may not.
        """
        url = guard.checked(address, self.web.settings.allowed_hosts)
        host = url.host or ""
        if host == LOGIN_HOST:
            raise ItemError("login_required", "YouTube leads to its login")
        if host == CAPTCHA_HOST:
            raise self._bot_check("YouTube asks for a proof that a person is there")
        is_youtube = any(host == known or host.endswith(f".{known}") for known in HOSTS)
        if not (is_youtube and url.scheme == "https") and not self._is_allowed(host, url.port):
            raise ItemError("address_refused", f"{host}: expected YouTube, by https")
        return host

    def _is_allowed(self, host: str, port: int | None) -> bool:
        return guard.is_allowed(host, port, self.web.settings.allowed_hosts)

    def _connect(self, address: tuple[str, int], timeout: float, source_address: None = None) -> socket.socket:
        """Connect to just what was checked: a name cannot be public for the check and private afterwards."""
        host, port = address
        failure = OSError(f"{host} has no address")
        for *_, (ip, *_) in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not guard.is_public(str(ip)) and not self._is_allowed(host, port):
                raise Refused(ItemError("address_refused", f"{host} leads to {ip}, which is no public address"))
            try:
                return socket.create_connection((str(ip), port), timeout)
            except OSError as error:
                failure = error
        raise failure

    def _refusal(self, error: BaseException) -> ItemError:
        """Return what an error of yt-dlp means; one that YouTube means for all that is asked counts against it."""
        why = refusal(error)
        return self._bot_check(why.detail) if why.reason == "rate_limited" else why

    def _bot_check(self, detail: str) -> ItemError:
        self.web.told("www.youtube.com", 429, BOT_CHECK_PAUSE_S)
        return ItemError("rate_limited", detail)


class _Log:
    """What yt-dlp says, without the addresses: they are signed."""

    def debug(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        log.debug("%s", said(text))

    error = warning


def _whole(response: Response) -> Response:
    """Read a page, or fail now: yt-dlp would go on without a page that was cut off, and so without its license."""
    with response:
        page = response.read(MAX_PAGE_BYTES + 1)
    if len(page) > MAX_PAGE_BYTES:
        raise ItemError("too_many_bytes", f"a page has more than {MAX_PAGE_BYTES:,} bytes")
    promised = response.get_header("Content-Length")
    if promised and not response.get_header("Content-Encoding") and len(page) < int(promised):
        raise IncompleteRead(len(page), int(promised))
    return Response(io.BytesIO(page), response.url, dict(response.headers.items()), response.status)


def _without_claims(address: str) -> str:
    """Take out of the address of a page that whoever asks had confirmed an age: nobody did."""
    parts = urllib.parse.urlsplit(address)
    if parts.path != WATCH:
        return address
    asked = [pair for pair in urllib.parse.parse_qsl(parts.query) if pair[0] not in ("bpctr", "has_verified")]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(asked)))


def _retry_after_s(error: HTTPError) -> float | None:
    now = date(error.response.get_header("Date") or "") or datetime.now(UTC)
    return retry_after_s(error.response.get_header("Retry-After") or "", now)
