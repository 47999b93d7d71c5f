"""HTTP as a Hub speaks it: bodies that are never whole in memory, parts of files, and connections that break."""

import contextlib
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault, Faults, Request
from tests.hub.storage import BLOCK_BYTES


class Refusal(Exception):
    """An answer that is an error, in the words and with the headers by which clients know it."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> "Answer":
        headers = {"X-Error-Message": self.message.encode("ascii", "replace").decode(), **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return as_json({"error": self.message}, self.status, **headers)


class CutOff(ConnectionError):
    """The connection is gone, or is to go."""


@dataclass(frozen=True)
class Part:
    """Bytes of a file."""

    path: Path
    start: int
    size_bytes: int


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Part = b""

    @property
    def size_bytes(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.body.size_bytes


def as_json(said: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **headers}, json.dumps(said).encode())


class Body:
    """What comes with a request: of a length, or in chunks."""

    def __init__(self, file: BinaryIO, headers: Mapping[str, str], request: Request) -> None:
        self._file, self._request = file, request
        self._is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._left = int(headers.get("content-length") or 0)
        self.cut_after: int | None = None  # bytes

    def blocks(self) -> Iterator[bytes]:
        """Give what is left of it.

        Raises:
            CutOff: the client hung up, or the body is to be cut here.
        """
        while self._more():
            wanted = min(self._left, BLOCK_BYTES)
            if self.cut_after is not None:
                wanted = min(wanted, self.cut_after - self._request.received_bytes)
                if wanted <= 0:
                    raise CutOff
            block = self._file.read(wanted)
            if not block:
                raise CutOff
            self._left -= len(block)
            self._request.received_bytes += len(block)
            if self._is_chunked and not self._left:
                self._file.readline()
            yield block

    def _more(self) -> bool:
        if self._is_chunked and not self._left:
            line = self._file.readline()
            if not line:
                raise CutOff
            self._left = int(line.split(b";")[0], 16)
            if not self._left:
                self._is_chunked = False
                self._file.readline()
        return self._left > 0

    def read(self) -> bytes:
        return b"".join(self.blocks())

    def json(self) -> dict[str, Any]:
        try:
            said = json.loads(self.read() or b"{}")
        except ValueError:
            raise Refusal(400, "Invalid JSON") from None
        return said if isinstance(said, dict) else {}

    def lines(self) -> Iterator[bytes]:
        rest = b""
        for block in self.blocks():
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def drain(self) -> None:
        for _ in self.blocks():
            pass


@dataclass(frozen=True)
class Call:
    """A request that is being answered."""

    method: str
    path: str  # still quoted
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]  # names in lower case
    body: Body
    request: Request

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def says(self, name: str) -> bool:
        return self.query.get(name, ["false"])[0].lower() in ("true", "1", "")


def ranged(call: Call, path: Path, headers: Mapping[str, str]) -> Answer:
    """Give a file, or the part of it that is asked for."""
    size = path.stat().st_size
    headers = {"Accept-Ranges": "bytes", **headers}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))
    if not asked or asked[0] == "bytes=-":
        return Answer(200, headers, Part(path, 0, size))
    if asked[1]:
        start, end = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    else:
        start, end = max(size - int(asked[2]), 0), size - 1
    if start > end:
        return Answer(416, {**headers, "Content-Range": f"bytes */{size}"})
    return Answer(206, {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}, Part(path, start, end - start + 1))


class Server(ThreadingHTTPServer):
    """Answers on a socket that is bound already.

    Args:
        answer: gives what is answered to a call, or raises Refusal.
        begin: is told of each request as it comes.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, bound: socket.socket, faults: Faults, begin: Callable[[Request], None], answer: Callable[[Call], Answer]
    ) -> None:
        super().__init__(bound.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.faults, self.begin, self.answer = faults, begin, answer
        self.server_activate()

    def handle_error(self, *args: object) -> None:
        if not isinstance(sys.exception(), OSError):  # a client may hang up
            super().handle_error(*args)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _handle(self) -> None:
        call = self._call()
        self.server.begin(call.request)
        try:
            self._serve(call, self.server.faults.take(call.request))
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _handle

    def log_message(self, *_: object) -> None:
        pass

    def _call(self) -> Call:
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        names = frozenset(headers)
        request = Request(self.command, unquote(split.path), split.query, names, "authorization" in names)
        query = parse_qs(split.query, keep_blank_values=True)
        return Call(self.command, split.path, query, headers, Body(self.rfile, headers, request), request)

    def _serve(self, call: Call, faults: list[Fault]) -> None:
        for fault in faults:
            if not fault.done:
                fault.call(call.request)
        fault = next((fault for fault in faults if not fault.harmless), None)
        if fault and not fault.done and fault.after_bytes is None:
            answer = self._failure(call, fault)
        else:
            if fault and call.method in ("PUT", "POST"):
                call.body.cut_after = fault.after_bytes
            answer = self._answer(call)
            call.body.drain()
            for each in faults:
                if each.done:
                    each.call(call.request)
            if fault and fault.done:
                answer = self._failure(call, fault)
        self._send(call, answer, fault.after_bytes if fault and call.method == "GET" else None)

    def _answer(self, call: Call) -> Answer:
        try:
            return self.server.answer(call)
        except Refusal as refusal:
            return refusal.answer()

    def _failure(self, call: Call, fault: Fault) -> Answer:
        if fault.status is None:
            raise CutOff
        call.body.drain()
        headers = {"Retry-After": "0"} if fault.status == 429 else {}
        answer = Refusal(fault.status, fault.message).answer()
        return Answer(answer.status, {**answer.headers, **headers, **fault.headers}, answer.body)

    def _send(self, call: Call, answer: Answer, cut_after: int | None) -> None:
        """Write an answer, or only so many bytes of its body."""
        call.request.status = answer.status
        self.send_response(answer.status)
        self.send_header("Content-Length", str(answer.size_bytes))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if call.method == "HEAD":
            return
        size = answer.size_bytes if cut_after is None else min(cut_after, answer.size_bytes)
        with contextlib.ExitStack() as stack:
            if isinstance(answer.body, bytes):
                self.wfile.write(answer.body[:size])
            elif size:
                file = stack.enter_context(answer.body.path.open("rb"))
                self.connection.sendfile(file, answer.body.start, size)
        call.request.sent_bytes = size
        if size < answer.size_bytes:
            raise CutOff
