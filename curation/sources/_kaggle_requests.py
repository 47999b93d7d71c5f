"""How Kaggle and its storage host are asked: each in its turn, where the public internet is, and never for ever."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import requests
from kagglehub.clients import get_user_agent
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from curation.errors import ItemError
from curation.web import Limits, Web
from curation.web.dates import date, retry_after_s
from curation.web.guard import checked, is_allowed, is_public
from curation.web.hosts import name_of

MAX_ANSWER_BYTES = 8 << 20
MAX_REDIRECTS = 5
PIECE_BYTES = 1 << 18
LIMITS = Limits()


def behave(session: requests.Session, web: Web) -> None:
    """Let a session ask as all of artune does."""
    session.headers.update({"User-Agent": f"{get_user_agent()} {web.user_agent}", "Accept-Encoding": "identity"})
    session.max_redirects = MAX_REDIRECTS
    # No proxy, whatever the environment says: addresses are checked where the connection is made. No .netrc either.
    session.trust_env = False
    adapter = _Polite(web)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


class _Polite(HTTPAdapter):
    """Takes its turn at every host, those of redirects too, and connects only to the public internet."""

    def __init__(self, web: Web) -> None:
        self._web = web
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        # Beside requests' own list of authorities count those that this machine trusts, as in `curation.web`.
        super().init_poolmanager(connections, maxsize, block, ssl_context=ssl.create_default_context(), **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._web.settings.allowed_hosts)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        url = checked(request.url or "", self._web.settings.allowed_hosts)
        host = name_of(url)
        patience = (LIMITS.connect_s, LIMITS.silence_s)  # Kaggle's client has none: it would wait for ever
        with self._web.turn(host):
            try:
                response = super().send(request, True, patience, verify, cert, proxies)
            except requests.RequestException:
                self._web.told(host, None)
                raise
            now = date(response.headers.get("Date", "")) or datetime.now(UTC)
            quiet_s = retry_after_s(response.headers.get("Retry-After", ""), now)
            self._web.told(host, response.status_code, quiet_s)
        is_file = stream and response.ok and not response.is_redirect
        if not is_file or "json" in response.headers.get("Content-Type", ""):
            response.raw = BytesIO(_short(response, host))
        return response


def _short(response: requests.Response, host: str) -> bytes:
    answer = b""
    with response:
        for piece in pieces(response):
            answer += piece
            if len(answer) > MAX_ANSWER_BYTES:
                raise ItemError("changed_site", f"{host}: more than {MAX_ANSWER_BYTES:,} bytes; expected fewer")
    return answer


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield a body, unless it comes so slowly that it may never end."""
    size_bytes, since_s = 0, time.monotonic()
    while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
        yield piece
        size_bytes += len(piece)
        took_s = time.monotonic() - since_s
        if took_s > LIMITS.grace_s and size_bytes < took_s * LIMITS.min_bytes_per_s:
            raise ItemError("timed_out", f"{size_bytes:,} bytes in {took_s:.0f} s")


def _pools(allowed_hosts: frozenset[str]) -> dict[str, type[HTTPConnectionPool]]:
    """Return connection pools that look at where they are connected before a byte is sent.

    Looking at a name beforehand is not enough: it may lead elsewhere the next time.
    """

    class Guard:
        host: str
        port: int

        def _new_conn(self) -> socket.socket:
            connection: socket.socket = super()._new_conn()  # type: ignore[misc]
            peer = connection.getpeername()[0]
            if not is_allowed(self.host, self.port, allowed_hosts) and not is_public(peer):
                connection.close()
                raise ItemError("address_refused", f"{self.host} leads to {peer}, which is no public address")
            return connection

    class Http(Guard, HTTPConnection):
        pass

    class Https(Guard, HTTPSConnection):
        pass

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}
