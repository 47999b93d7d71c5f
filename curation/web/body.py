"""Where the bytes of one download go: into memory while they are few, then to disk, where a later attempt goes on."""

import asyncio
import fcntl
import hashlib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import aiohttp
from multidict import CIMultiDictProxy

from curation.media_types import HEAD_BYTES
from curation.store import Home
from curation.web.dates import date

HELD_BYTES = 1 << 20  # in memory; what is lost by a kill
STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')  # RFC 9110, 8.8.3
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII)
NOTE = re.compile(rf"({STRONG_TAG.pattern}|{HTTP_DATE.pattern})\n(\d{{1,18}}|)", re.ASCII)  # validator, total_bytes
RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
# RFC 9110, 8.8.2.2: a second; RFC 7232 said a minute, and servers are older than that.
SETTLED = timedelta(minutes=1)


class Body:
    """One download's bytes.

    Attributes:
        size_bytes: how many there are, those of an earlier attempt too.
        total_bytes: how many there must be, None if the server does not say.
        head: the first of them.
    """

    def __init__(self, home: Home, address: str) -> None:
        self._home = home
        name = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()
        self._kept = f"{home.local}/partial/{name}"  # as text: for most downloads it is looked for and never made
        self._note = f"{self._kept}.validator"
        self._file: BinaryIO | None = None
        self._path: Path | None = None  # of the file
        self._forget()

    def _forget(self) -> None:
        self._held = bytearray()
        self._sha = hashlib.sha256()
        self._headers: CIMultiDictProxy[str] | None = None
        self._validator = ""  # of what an earlier attempt left
        self.size_bytes = 0
        self.total_bytes: int | None = None
        self.head = b""

    def resume(self) -> dict[str, str]:
        """Return the headers that ask for the rest of what an earlier attempt left, none if it left nothing."""
        if not os.path.exists(self._note) or not self._lock():  # noqa: PTH110
            return {}
        assert self._file is not None
        size_bytes = os.fstat(self._file.fileno()).st_size
        note = NOTE.fullmatch(Path(self._note).read_text(errors="replace"))
        if not size_bytes or not note:
            self.discard()
            return {}
        self._validator = note[1]
        self.total_bytes = int(note[2]) if note[2] else None
        return {"Range": f"bytes={size_bytes}-", "If-Range": self._validator}

    async def begin(self, response: aiohttp.ClientResponse) -> bool:
        """Take an answer's headers; False if it is no part that fits to what is there."""
        if response.status != 206:
            if self._file:
                self.discard()
            self._headers = response.headers
            self.total_bytes = response.content_length
            return True
        span = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if self._file is None or span is None or not _is_same(self._validator, response.headers):
            return False
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        if span[3] != "*":
            if self.total_bytes not in (None, int(span[3])):
                return False
            self.total_bytes = int(span[3])
        if int(span[1]) != self.size_bytes:
            return False
        self._sha = await asyncio.to_thread(self._read_again)
        return True

    def _read_again(self) -> "hashlib._Hash":
        with Path(self._kept).open("rb") as file:
            self.head = file.read(HEAD_BYTES)
            file.seek(0)
            return hashlib.file_digest(file, "sha256")

    def add(self, piece: bytes) -> None:
        self.size_bytes += len(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        if self._file:
            self._write(piece)
            return
        self._held += piece
        if len(self._held) > HELD_BYTES:
            if not self._open_kept():
                self._path = self._home.temporary()
                self._file = self._path.open("wb")
            self._write_held()

    def _write(self, piece: bytes | bytearray) -> None:
        assert self._file is not None
        self._sha.update(piece)
        self._file.write(piece)

    def _write_held(self) -> None:
        self._write(self._held)
        self._held = bytearray()

    def _open_kept(self) -> bool:
        """Open the file that a later attempt goes on from; False if none could."""
        validator = _validator(self._headers) if self._headers else ""
        if not validator:
            return False
        Path(self._kept).parent.mkdir(parents=True, exist_ok=True)
        if not self._lock():
            return False
        assert self._file is not None
        self._file.truncate(0)  # first: a note must never stand beside the bytes of another state
        with self._home.replacing(Path(self._note)) as temporary:
            temporary.write_text(f"{validator}\n{'' if self.total_bytes is None else self.total_bytes}")
        return True

    def _lock(self) -> bool:
        """Open the kept file for this download alone; False if another one of the same address has it."""
        path = Path(self._kept)
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may just have made it a blob: that must not grow any more.
            is_mine = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_mine = False
        if not is_mine:
            file.close()
            return False
        self._file, self._path = file, path
        return True

    def keep(self) -> None:
        """Leave what is there to a later attempt, if one can go on from it."""
        if self._file is None and self._held and self._open_kept():
            self._write_held()
        self.close()

    def discard(self) -> None:
        """Leave nothing."""
        if self._file and self._path:
            self._path.unlink(missing_ok=True)
            if str(self._path) == self._kept:
                Path(self._note).unlink(missing_ok=True)
        self.close()

    async def adopt(self) -> tuple[str, int]:
        """Make it a blob; return its sha256 and size.

        Raises:
            ItemError: "empty_file" or "removed".
        """
        if self._home.is_remote:  # other downloads go on while it is sent
            return await asyncio.to_thread(self._adopt)
        return self._adopt()

    def _adopt(self) -> tuple[str, int]:
        if self._file is None or self._path is None:
            return self._home.put_blob([bytes(self._held)], self.size_bytes)
        self._file.flush()
        sha256 = self._sha.hexdigest()
        self._home.adopt_blob(self._path, sha256)
        if str(self._path) == self._kept:
            Path(self._note).unlink(missing_ok=True)
        return sha256, self.size_bytes

    def close(self) -> None:
        """Let go of what is there; a file that no attempt can go on from is removed."""
        if self._file and self._path:
            self._file.close()
            if str(self._path) != self._kept:
                self._path.unlink(missing_ok=True)
        self._file = self._path = None
        self._forget()


def _is_same(validator: str, headers: CIMultiDictProxy[str]) -> bool:
    """Tell whether an answer is of the state that its bytes were kept of; a server may ignore If-Range."""
    if STRONG_TAG.fullmatch(validator):
        return headers.get("ETag") == validator
    return headers.get("Last-Modified", validator) == validator


def _validator(headers: CIMultiDictProxy[str]) -> str:
    """Return what a later request for the rest can name, "" if nothing is sure enough."""
    if headers.get("Accept-Ranges", "").strip().lower() == "none":
        return ""
    tag = headers.get("ETag", "")
    if STRONG_TAG.fullmatch(tag):
        return tag
    modified = headers.get("Last-Modified", "")
    then, now = date(modified), date(headers.get("Date", ""))
    is_settled = HTTP_DATE.fullmatch(modified) and then and now and now - then >= SETTLED
    return modified if is_settled else ""
