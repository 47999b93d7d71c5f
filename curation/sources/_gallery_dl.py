"""Lists of sites that gallery-dl knows, each read from one run of the program, row by row.

gallery-dl stands under the GPL, so it is started as a program and never imported. It asks for nothing but the pages of
the list: the rows come from its metadata postprocessor, because `--dump-json` neither streams nor fails. What the site
answered is read from `--print-traffic`: whatever the wording of a message, the status and Retry-After are the site's.
It asks through a `Gate` and has no other way out.
"""

import importlib.util
import json
import os
import re
import select
import sys
import tempfile
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from curation.errors import ItemError
from curation.sources import Need, Tools
from curation.sources._metadata import as_text
from curation.web import dates
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.sources._gallery_gate import Gate
    from curation.web import Web

PROGRAM = (sys.executable, "-u", "-P", "-m", "gallery_dl")  # -u: it prints each line when it knows it
ADVICE = "pip install 'artune[sources]'"

RETRIES = 3
FIRST_RETRY_S = 5.0  # doubled by each further one
RETRY_AFTER_429_S = 60.0
TIMEOUT_S = 30.0
# Longer than any wait above: a site that sends one byte a minute holds no worker for ever.
MAX_SILENCE_S = 300.0
MAX_LINE_BYTES = 4 << 20  # a row of the richest pins has some 50 KiB
# A site that gives its pages again and again has no end; nor has one that always names a next page, and it is empty.
MAX_KNOWN_ROWS = 1_000  # in a row
MAX_BARREN_REQUESTS = 200  # in a row; an artist without works takes two
MAX_REMEMBERED_ROWS = 100_000

_ASKED = re.compile(r"send: b['\"]GET (http://[^/\s]+)?(/\S*) HTTP/[\d.]+\\r\\nHost: ([^\\]+)")
_TO_THE_GATE = ("send: b'CONNECT ", 'send: b"CONNECT ')  # not to the site
_REPLY = re.compile(r"reply: ['\"]HTTP/[\d.]+ (\d{3})")
_HEADER = re.compile(r"header: ([\w-]+): (.*)")
_MESSAGE = re.compile(r"\[(?P<by>[\w-]+)\]\[(?P<level>error|warning)\] (?P<text>.*)")
_PART_LOST = "Error when extracting"  # the one warning after which something is missing
_LOGIN = re.compile(r"/(?:log-?in|sign-?in|accounts?|auth)\b", re.IGNORECASE)

_OF_STATUS = {
    401: "login_required",
    402: "login_required",
    407: "login_required",
    404: "gone",
    410: "gone",
    429: "rate_limited",
    451: "not_available",
}
_LIST_GOES_ON = frozenset({"gone", "changed_site", "not_available"})  # with its next part, after one that failed so

_reading: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # of one site one list at a time


@dataclass(slots=True)
class _Reply:
    """What the site answered last; status None: nothing."""

    status: int | None = None
    retry_after_s: float | None = None
    wants_login: bool = False


def needs() -> tuple[Need, ...]:
    """Return the program."""
    return (Need("gallery-dl", importlib.util.find_spec("gallery_dl") is not None, advice=ADVICE),)


def rows(extractor: str, address: str, event: str, fields: Sequence[str], tools: Tools) -> Iterator[dict[str, object]]:
    """Yield what gallery-dl tells of each item of a list, lazily: whoever has enough closes the iterator.

    Args:
        extractor: the module of gallery-dl that is to read it.
        address: of the list.
        event: when an item is told: `prepare` for each file, `post` for what holds files.
        fields: those that are told, where an item has them.

    Raises:
        ItemError: the list cannot be had, or not all of it; what was yielded before stands.
        ConfigurationError: gallery-dl is missing.
    """
    if not all(need.ready for need in needs()):
        raise ConfigurationError(f"{extractor} is read by gallery-dl, which is not installed: {ADVICE}")
    from curation.sources._gallery_gate import Gate  # the client stands behind it, and whoever reads no list pays not

    host, web = urlsplit(address).netloc, tools.web
    with _reading[host], web.turn(host), tempfile.TemporaryDirectory() as folder, Gate(address, web.settings) as gate:
        command = _command(extractor, address, event, fields, web.rate_hz(host), web.user_agent, gate.url)
        # It writes nothing; if it ever did, then into this folder. What the environment holds is none of its business.
        with Popen(command, cwd=folder, env={}, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT) as process:
            try:
                yield from _read(process, _Listener(extractor, address, web, gate))
            finally:
                process.kill()  # of no effect on one that has ended


def value(row: object, *path: str) -> object:
    """Return what stands in a row below these names, None where the row is not of that form."""
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def text(row: object, *path: str) -> str | None:
    """Return the clean text or number that stands in a row below these names, None if there is none."""
    try:
        return as_text(value(row, *path))
    except ValueError:
        return None


def address(row: object, *path: str) -> str:
    """Return the address of a file that stands in a row below these names, "" if there is none.

    Raises:
        ItemError: it would be another one if it were made clean.
    """
    written = value(row, *path)
    if written in (None, ""):
        return ""
    if not isinstance(written, str) or written != text(row, *path):
        raise ItemError("changed_site", f"the address of the picture is none: {written!r:.200}")
    return written


def _command(
    extractor: str, address: str, event: str, fields: Sequence[str], rate_hz: float, user_agent: str, proxy: str
) -> list[str]:
    """Return the run of gallery-dl that prints a list and, as a person's configuration has no say, nothing else."""
    teller = {
        "name": "metadata",
        "mode": "jsonl",
        "filename": "-",
        "event": event,
        "include": list(fields),
        "ascii": True,
    }
    options = {
        "extractor.modules": [extractor],
        "postprocessors": [teller],
        "download": False,
        "skip": False,
        "output.mode": "null",
        "cache.file": None,
        "base-directory": ".",
        "directory": [],
        "filename": "item",
        "sleep-request": 1 / rate_hz,
        "sleep-retries": f"exp={FIRST_RETRY_S}",
        "sleep-429": RETRY_AFTER_429_S,
        "retries": RETRIES,
        "timeout": TIMEOUT_S,
        "proxy": proxy,
        "proxy-env": False,  # nor what ~/.netrc says
        "videos": False,  # Pinterest: of each pin the picture
        "stories": False,
    }
    switches = ["--config-ignore", "--no-input", "--no-colors", "--warning", "--print-traffic"]
    settings = [part for key, value in options.items() for part in ("--option", f"{key}={json.dumps(value)}")]
    return [*PROGRAM, *switches, "--user-agent", user_agent, *settings, "--", address]


def _read(process: Popen[bytes], listener: "_Listener") -> Iterator[dict[str, object]]:
    assert process.stdout
    try:
        for line in _lines(process.stdout):
            if line.startswith("{"):
                row = json.loads(line)
                listener.progress.told(text(row, "id"))
                yield row
            elif not listener.goes_on(line):
                break
    finally:
        listener.tell()
    if listener.failure:
        raise listener.failure
    if code := process.wait():
        raise ConfigurationError(f"gallery-dl ended with code {code} at {listener.address}: {listener.last:.300}")


class _Progress:
    """Whether a list still tells what it has not told before: some have no end otherwise."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[int, None] = OrderedDict()
        self._known_rows = 0
        self._requests = 0

    def told(self, row_id: str | None) -> None:
        """Take in a row."""
        key = hash(row_id)
        if key not in self._remembered:
            self._known_rows = self._requests = 0
            if len(self._remembered) == MAX_REMEMBERED_ROWS:
                self._remembered.popitem(last=False)
        elif (known := self._known_rows + 1) > MAX_KNOWN_ROWS:
            raise ItemError("changed_site", f"it repeats itself: {MAX_KNOWN_ROWS:,} rows in a row were told before")
        else:
            self._known_rows = known
        self._remembered[key] = None
        self._remembered.move_to_end(key)

    def asked(self) -> None:
        """Take in a request."""
        self._requests += 1
        if self._requests > MAX_BARREN_REQUESTS:
            raise ItemError("changed_site", f"it has no end: {MAX_BARREN_REQUESTS} requests in a row gave nothing new")


class _Listener:
    """Makes of what a site and gallery-dl say to each other why a list, or a part of it, cannot be had."""

    def __init__(self, extractor: str, address: str, web: "Web", gate: "Gate") -> None:
        self.extractor, self.address, self.web, self.gate = extractor, address, web, gate
        self.progress = _Progress()
        self.reply: _Reply | None = None
        self.failure: ItemError | None = None
        self.last = ""

    def goes_on(self, line: str) -> bool:
        """Take in a line; return whether gallery-dl may ask for more."""
        self.last = line or self.last
        if line.startswith(_TO_THE_GATE):
            return True
        if line.startswith("send: "):
            self.tell()
            self.reply = _Reply(wants_login=self.reply is not None and self.reply.wants_login)
            if found := _ASKED.match(line):  # what may be asked first is known before; of the rest, one may be too many
                self.progress.asked()
                self.web.permit(f"{found[1] or f'https://{found[3]}'}{found[2]}")
        elif self.reply and (found := _REPLY.match(line)):
            self.reply.status = int(found[1])
        elif self.reply and (found := _HEADER.match(line)):
            return self._obeys(self.reply, found[1].lower(), found[2])
        elif (found := _MESSAGE.match(line)) and found["by"] == self.extractor:
            return self._survives(found["level"] == "error", found["text"])
        return True

    def tell(self) -> None:
        """Tell the client that all share what the site answered last."""
        if self.reply:
            self.web.told(urlsplit(self.address).netloc, self.reply.status, self.reply.retry_after_s)

    def _obeys(self, reply: _Reply, name: str, text: str) -> bool:
        """Take in a header: gallery-dl itself would wait no longer than it always does, and follow any redirect."""
        if name == "retry-after" and reply.status and reply.status >= 400:
            reply.retry_after_s = dates.retry_after_s(text, datetime.now(UTC))
            if (reply.retry_after_s or 0) > (RETRY_AFTER_429_S if reply.status == 429 else FIRST_RETRY_S):
                self.failure = ItemError(_reason(reply), f"HTTP {reply.status} with Retry-After: {text}")
                return False
        elif name == "location" and reply.status and 300 <= reply.status < 400:
            try:
                target = urljoin(self.address, text)
            except ValueError:
                raise ItemError("address_refused", "a redirect to what is no web address") from None
            reply.wants_login = bool(_LOGIN.search(urlsplit(target).path))
            self.gate.judged(target)  # which refuses it, too: this is only sooner
        return True

    def _survives(self, is_error: bool, message: str) -> bool:
        """Take in an error or warning: after some, the rest of the list can still be had."""
        if self.gate.refusal:
            raise self.gate.refusal
        is_lost = is_error or _PART_LOST in message
        is_old = self.reply is None or (self.reply.status is not None and self.reply.status < 300)
        if is_old and (message.startswith("HttpError") or not is_lost):
            self.tell()
            self.reply = _Reply()  # the site could not even be asked: what it answered last was about a page before
        if not is_lost:
            return True
        failure = ItemError(_reason(self.reply or _Reply(), message), message.partition(". Please run gallery-dl")[0])
        goes_on = failure.reason in _LIST_GOES_ON
        if not (self.failure and goes_on):
            self.failure = failure
        return goes_on


def _reason(reply: _Reply, message: str = "") -> str:
    status = reply.status
    if reply.wants_login:
        return "login_required"
    if message.startswith("ChallengeError"):
        return "forbidden"  # it lets only browsers in
    if status is None:
        return "timed_out" if "timed out" in message else "unreachable"
    if status >= 400:
        return _OF_STATUS.get(status, "forbidden" if status < 500 else "server_error")
    return "changed_site" if status < 300 else "too_many_redirects"


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield what the program prints, line by line.

    Raises:
        ItemError: it prints nothing for too long, or more in one line than any answer holds.
    """
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    begun = b""
    while poll.poll(MAX_SILENCE_S * 1000):
        piece = os.read(stream.fileno(), 1 << 16)
        if not piece:
            return
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if len(begun) > MAX_LINE_BYTES:
            raise ItemError("changed_site", f"one item of the list has more than {MAX_LINE_BYTES:,} bytes")
    raise ItemError("timed_out", f"no answer for {MAX_SILENCE_S:.0f} s")
