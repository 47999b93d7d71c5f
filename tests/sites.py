"""Sites on loopback that answer as the web does, and as it should not.

with Site({"/a.jpg": jpeg}) as site:
    web = site.web()          # a client that may ask it, as fast as it answers, and that never waits for long
    ...
    assert [asked.path for asked in site.media_requests] == ["/a.jpg"]
"""

import asyncio
import contextlib
import gzip
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from curation.web import Surroundings, Web, WebSettings

RULE_PATHS = {"/robots.txt", "/.well-known/tdmrep.json"}  # what every client asks of a site before all else


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    target: str  # path and query
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    handler: BaseHTTPRequestHandler | None = field(default=None, repr=False)  # for those who write to the socket

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


Answer = tuple[int, Mapping[str, str], bytes]
Handler = Callable[[Asked], Answer | bytes | None]  # None: it has written what it wanted to the socket
Route = Handler | Answer | bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        if not isinstance(sys.exception(), OSError):  # a client may hang up
            super().handle_error(*_)  # type: ignore[arg-type]


class Site:
    """A web server of this test: what `routes` says of a path, else what `otherwise` says, else 404."""

    def __init__(self, routes: Mapping[str, Route] | None = None, otherwise: Handler | None = None) -> None:
        self.routes: dict[str, Route] = dict(routes or {})
        self.otherwise = otherwise
        self.requests: list[Asked] = []
        site = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                    self,
                )
                site.requests.append(asked)
                with contextlib.suppress(ConnectionError):
                    site.answer(asked)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._webs: list[Web] = []
        self.port = self._server.server_port
        self.host = f"127.0.0.1:{self.port}"  # as allowed_hosts and Web name it
        self.url = f"http://{self.host}"

    def __enter__(self) -> "Site":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for web in self._webs:
            web.close()
        self._server.shutdown()
        self._server.server_close()

    def encrypt(self, folder: Path) -> None:
        """Speak TLS from now on, with a certificate that nobody vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
        pem = folder / "site.pem"
        pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def media_requests(self) -> list[Asked]:
        """What was asked beside robots.txt and the like."""
        return [asked for asked in self.requests if asked.path not in RULE_PATHS]

    @property
    def settings(self) -> WebSettings:
        return WebSettings("tester@example.org", frozenset({self.host}))

    def web(self, *others: "Site", haste: "Haste | None" = None, **surroundings: object) -> Web:
        """Give a client that may ask this site and the others; it is closed with this site."""
        haste = haste or Haste()
        allowed = frozenset({self.host, *(site.host for site in others)})
        web = Web(
            WebSettings("tester@example.org", allowed),
            Surroundings(haste.now, haste.sleep, **surroundings),  # type: ignore[arg-type]
        )
        self._webs.append(web)
        return web

    def answer(self, asked: Asked) -> None:
        route = self.routes.get(asked.path, self.otherwise or (404, {}, b"not here"))
        answer = route(asked) if callable(route) else route
        if answer is not None:
            send(asked, *(answer if isinstance(answer, tuple) else (200, {}, answer)))


def send(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Write an answer; headers replace those that it would have by itself."""
    handler = asked.handler
    assert handler is not None
    names = {name.lower() for name in headers}
    handler.send_response(status)
    if not names & {"content-length", "transfer-encoding"} and status != 304:
        handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if asked.method != "HEAD":
        handler.wfile.write(body)


class Haste:
    """A clock that a test turns, and a sleep that turns it: nothing waits, and `slept` tells for how long it would."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.slept: list[float] = []
        self.was_read = threading.Event()

    def now(self) -> float:
        self.was_read.set()
        return time.monotonic() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead_s += seconds
        await asyncio.sleep(0)


class Names(AbstractResolver):
    """Resolves every name to the next of these answers; the last holds from then on. Without any no name exists.

    Args:
        answers: an address each, or several with a space between two.
    """

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not self._answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in answer.split()
        ]

    async def close(self) -> None:
        pass


# Faults. Each gives a route.


def redirect(to: str, status: int = 302) -> Answer:
    return status, {"Location": to}, b""


def in_turn(*routes: Route) -> Handler:
    """Answer by the first at first, and so on; the last holds from then on."""
    left = list(routes)
    lock = threading.Lock()

    def handle(asked: Asked) -> Answer | bytes | None:
        with lock:
            route = left.pop(0) if len(left) > 1 else left[0]
        return route(asked) if callable(route) else route

    return handle


def busy(retry_after: str = "", status: int = 429) -> Answer:
    return status, ({"Retry-After": retry_after} if retry_after else {}), b"busy"


def ranged(body: bytes, validator: str = '"1"', cut_at: Callable[[Asked], int | None] = lambda asked: None) -> Handler:
    """Give a file in parts to whoever asks for them by Range and If-Range.

    Args:
        validator: its ETag, or when it was last modified.
        cut_at: after so many bytes of an answer's body the connection breaks, unless it is None.
    """

    def handle(asked: Asked) -> Answer | bytes | None:
        span = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        start = int(span[1]) if span and asked.headers.get("if-range", validator) == validator else 0
        name = "ETag" if validator.endswith('"') else "Last-Modified"
        headers = {name: validator, "Accept-Ranges": "bytes"}
        if start >= len(body):
            return 416, headers | {"Content-Range": f"bytes */{len(body)}"}, b""
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        answer = (206 if start else 200), headers, body[start:]
        after = cut_at(asked)
        return answer if after is None else cut(answer, after)(asked)

    return handle


def cut(route: Route, after: int, haste: Haste | None = None, **headers: str) -> Handler:
    """Give a route's answer and break off after some of its body.

    Args:
        haste: break off when the client has read some of it, not before.
        headers: of the answer, beside the route's.
    """

    def handle(asked: Asked) -> None:
        answer = route(asked) if callable(route) else route
        status, others, body = answer if isinstance(answer, tuple) else (200, {}, answer or b"")
        if haste:
            haste.was_read.clear()
        send(asked, status, {"Content-Length": str(len(body)), **others, **headers}, body[:after])
        if haste:
            haste.was_read.wait(1)
        break_off(asked)

    return handle


def break_off(asked: Asked) -> None:
    assert asked.handler is not None
    asked.handler.close_connection = True


def drip(piece: bytes, count: int, haste: Haste, each_s: float) -> Handler:
    """Send a body in pieces; the client sees so many seconds between two of them."""

    def handle(asked: Asked) -> None:
        send(asked, 200, {"Content-Length": str(len(piece) * count)}, b"")
        assert asked.handler is not None
        for _ in range(count):
            haste.was_read.clear()
            asked.handler.wfile.write(piece)
            haste.was_read.wait(1)  # the client looks at its clock with each piece; one that hung up does not
            haste.ahead_s += each_s
        break_off(asked)

    return handle


def gzip_bomb(size_bytes: int) -> Answer:
    return 200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(size_bytes))
