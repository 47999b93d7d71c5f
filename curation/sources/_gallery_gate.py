"""The way out for gallery-dl: a proxy on loopback that lets it ask nothing but public addresses of one site.

gallery-dl looks names up and follows redirects by itself, faster than anybody could judge what it prints. So it has no
other way to the web than this one, which connects to just the addresses that it has judged.
"""

import contextlib
import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from yarl import URL

from curation.errors import ItemError
from curation.web import WebSettings, guard

MAX_CONNECTIONS = 16  # gallery-dl asks over one at a time
MAX_ADDRESSES = 4  # of one name are tried
CONNECT_S = 10.0
IDLE_S = 120.0  # longer than it waits between two requests


class Gate(ThreadingHTTPServer):
    """A proxy for one run of gallery-dl.

    Args:
        address: of the list.

    Attributes:
        url: where it is.
        refusal: the first thing that was asked and may not be.
    """

    daemon_threads = True

    def __init__(self, address: str, settings: WebSettings) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.site = guard.checked(address, settings.allowed_hosts).host or ""
        self.allowed_hosts = settings.allowed_hosts
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.refusal: ItemError | None = None
        self._places = threading.Semaphore(MAX_CONNECTIONS)

    def __enter__(self) -> "Gate":
        threading.Thread(target=self.serve_forever, args=(0.1,), name="artune-gate", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def judged(self, address: str) -> URL:
        """Return an address that may be asked; where its name leads is looked at when it is connected to.

        Raises:
            ItemError: "address_refused".
        """
        url = guard.checked(address, self.allowed_hosts)
        if not f".{url.host}".endswith(f".{self.site.removeprefix('www.')}"):
            raise ItemError("address_refused", f"{url.host} is no host of {self.site}, whose list it is")
        return url

    def connect(self, address: str) -> socket.socket:
        """Return a connection to where an address leads, if it may be asked.

        Raises:
            ItemError: "address_refused".
            OSError: there is none, or it cannot be reached.
        """
        url = self.judged(address)
        host, port = url.raw_host or "", url.port or 0
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # of a name that there cannot be
            raise OSError(str(error)) from None
        places = list(dict.fromkeys(str(place[0]) for *_, place in found))
        may_be_private = guard.is_allowed(host, port, self.allowed_hosts)
        public = [place for place in places if may_be_private or guard.is_public(place)]
        if places and not public:
            raise ItemError("address_refused", f"{host} leads to {min(places)}, which is no public address")
        for place in public[:MAX_ADDRESSES]:
            with contextlib.suppress(OSError):
                return socket.create_connection((place, port), CONNECT_S)
        raise OSError(f"{host} cannot be reached")

    def verify_request(self, *_: object) -> bool:
        """Take a place, if there is one left."""
        return self._places.acquire(blocking=False)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, *_: object) -> None:
        """Say nothing: gallery-dl tells what it could not have."""


class _Request(BaseHTTPRequestHandler):
    server: Gate
    timeout = IDLE_S

    def do_CONNECT(self) -> None:
        self._pass(f"https://{self.path}", None)

    def do_GET(self) -> None:  # without encryption: each on a connection of its own, so that none leads elsewhere
        target = urlsplit(self.path)._replace(scheme="", netloc="").geturl() or "/"
        kept = [f"{name}: {text}" for name, text in self.headers.items() if not name.lower().endswith("connection")]
        self._pass(self.path, "\r\n".join([f"GET {target} HTTP/1.1", *kept, "Connection: close", "", ""]))

    def _pass(self, address: str, request: str | None) -> None:
        """Pass on what both sides say, until one ends."""
        try:
            there = self.server.connect(address)
        except ItemError as error:
            self.server.refusal = self.server.refusal or error
            return self.send_error(403, explain=error.detail)
        except OSError:
            return self.send_error(502)
        with there:
            there.settimeout(IDLE_S)
            if request is None:
                self.send_response_only(200)
                self.end_headers()
            else:
                there.sendall(request.encode("latin-1"))
                # Many servers close without saying so; a client would take that connection for its next request.
                self.wfile.write(there.recv(8).replace(b"HTTP/1.1", b"HTTP/1.0"))
            other = {self.connection: there, there: self.connection}
            with selectors.DefaultSelector() as both:
                for one in other:
                    both.register(one, selectors.EVENT_READ, other[one])
                while ready := both.select(IDLE_S):
                    for key, _ in ready:
                        if not (piece := key.fileobj.recv(1 << 16)):  # type: ignore[union-attr]
                            return None
                        key.data.sendall(piece)
        return None

    def log_message(self, *_: object) -> None:
        pass
