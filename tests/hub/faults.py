"""What goes wrong on a Hub on purpose, and the record of what travelled to it and from it."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

MESSAGES = {
    401: "Invalid credentials in Authorization header",
    403: "Forbidden: you must use a write token to upload to a repository.",
    404: "Repository not found",
    409: "Conflict: another operation is in progress",
    412: "A commit has happened since. Please refresh and try again.",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests: you have reached your 'api' rate limit.",
}
BUSY = "Internal Error - We're working hard to fix this as soon as possible!"


@dataclass
class Request:
    """One request, as it is remembered: no value of a header, no token."""

    method: str
    path: str  # unquoted
    query: str
    header_names: frozenset[str]  # in lower case
    has_token: bool
    user: str | None = None  # whose token it is
    received_bytes: int = 0  # of its body, as far as it was read
    sent_bytes: int = 0  # of the answer's body
    status: int | None = None  # None: not answered (yet), or the connection was cut before

    @property
    def kind(self) -> str:
        """What for: lfs, commits (bodies that carry content), downloads, or api."""
        if self.path.startswith("/lfs/") and self.method == "PUT":
            return "lfs"
        if self.path.startswith("/cdn/") or "/resolve/" in self.path:
            return "downloads"
        return "commits" if self.method == "POST" and re.search("^/api/[^/]+/[^/]+/[^/]+/commit/", self.path) else "api"


class Traffic:
    """Requests in their order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def of(self, method: str, pattern: str = "") -> list[Request]:
        """Give those of a method (`*`: any) whose path has the pattern (a regular expression) in it."""
        return [each for each in self.requests if _fits(each, method, pattern)]

    @property
    def received(self) -> Counter[str]:
        """Bytes of bodies that came in, by `Request.kind`."""
        return self._sum(lambda request: request.received_bytes)

    @property
    def sent(self) -> Counter[str]:
        return self._sum(lambda request: request.sent_bytes)

    @property
    def received_bytes(self) -> int:
        return self.received.total()

    @property
    def sent_bytes(self) -> int:
        return self.sent.total()

    @property
    def uploads(self) -> list[Request]:
        """Large files, or parts of them, that were taken."""
        return [each for each in self.of("PUT", "^/lfs/") if each.status == 200]

    def _sum(self, size_bytes: Callable[[Request], int]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for request in self.requests:
            counted[request.kind] += size_bytes(request)
        return counted


@dataclass
class Fault:
    """What happens to the requests of a method (`*`: any) whose unquoted path has `pattern` in it.

    Args:
        status: of the answer; None: the connection is cut and there is none.
        times: to so many of them it happens.
        skip: so many pass before.
        headers: of the answer.
        after_bytes: cut when so many bytes of the request's body came (GET: of the answer's body went).
        done: what was asked is done before: the answer to it is what gets lost.
        do: is called before it happens (with `done`: when what was asked is done).
        harmless: only `do` happens, and then what was asked.
    """

    method: str
    pattern: str
    status: int | None = None
    times: int = 1
    skip: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    after_bytes: int | None = None
    done: bool = False
    do: Callable[[Request], None] | None = None
    harmless: bool = False
    hits: int = field(default=0, init=False)  # so often it happened

    @property
    def message(self) -> str:
        return MESSAGES.get(self.status or 0, BUSY)

    def call(self, request: Request) -> None:
        if self.do:
            self.do(request)


class Held:
    """Requests that hang until they are let go."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._let_go = threading.Event()

    def __call__(self, _: Request) -> None:
        self.arrived.set()
        self._let_go.wait()

    def let_go(self) -> None:
        self._let_go.set()


class Faults:
    """Those that are still to happen; several threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._all.append(fault)
        return fault

    def take(self, request: Request) -> list[Fault]:
        """Give what happens to this request now: callbacks, and at most one that is not harmless."""
        taken: list[Fault] = []
        with self._lock:
            for fault in self._all:
                if not _fits(request, fault.method, fault.pattern) or fault.hits >= fault.times:
                    continue
                if not fault.harmless and any(not other.harmless for other in taken):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                taken.append(fault)
        return taken

    @contextmanager
    def hold(self, method: str, pattern: str) -> Iterator[Held]:
        """Let requests hang until the block is left or `let_go` is called; `arrived` is set when one came."""
        held = Held()
        fault = self.add(Fault(method, pattern, times=10**6, do=held, harmless=True))
        try:
            yield held
        finally:
            fault.times = 0
            held.let_go()

    def clear(self) -> None:
        with self._lock:
            held = [fault.do for fault in self._all if isinstance(fault.do, Held)]
            self._all.clear()
        for each in held:
            each.let_go()


def _fits(request: Request, method: str, pattern: str) -> bool:
    return method in ("*", request.method) and re.search(pattern, request.path) is not None
