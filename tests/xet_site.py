"""A Xet storage on loopback: it counts what the Hub's own client sends there, keeps it and puts files together again.

with XetSite(folder) as xet:
    ...                              # a Hub on loopback answers `xet-write-token` with xet.access()
    xet.received["xorbs"]            # bytes that came
    b"".join(xet.content(sha256))    # of a file that was sent

The protocol: https://huggingface.co/docs/xet. A file is cut into chunks by its content; those that are new travel in
xorbs, then a shard says which chunks of which xorbs make up the file. Hashes in URLs are four numbers in hexadecimal.
"""

import hashlib
import json
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.sites import Answer, Asked, Site

ACCESS_TOKEN = "xet-5ec2e7"
NEVER = 2**40  # seconds since 1970: a token that outlives every test

ENTRY_BYTES = 48  # of everything in a shard: a hash and four numbers
HEADER = b"HFRepoMetaData\0" + bytes([85, 105, 103, 69, 106, 123, 129, 87, 131, 165, 189, 217, 92, 205, 209, 74, 169])
END = b"\xff" * 32 + bytes(16)  # closes each of the two sections
VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30  # flags of a file
FOOTER_OF_XORB = b"XETBLOB"
STORED, LZ4, GROUPED_LZ4 = 0, 1, 2  # how a chunk is compressed


@dataclass(frozen=True)
class Piece:
    """A run of chunks of a xorb."""

    xorb: str
    size_bytes: int
    first: int
    end: int


class XetSite:
    """Answers as the Hub's Xet storage does, and refuses what would not make up the file that was promised."""

    def __init__(self, folder: Path) -> None:
        """Start with nothing stored.

        Args:
            folder: where the xorbs go, each a file named by its hash.
        """
        self.received: Counter[str] = Counter()  # bytes by kind: xorbs, shards
        self.found_elsewhere = 0  # questions for a chunk that somebody else had sent
        self._folder = folder
        self._files: dict[str, list[Piece]] = {}
        self._chunk_offsets: dict[str, list[int]] = {}  # of each xorb
        self._known: dict[str, bytes] = {}  # the part of a shard that lists xorbs, by each chunk in them
        self._lock = threading.Lock()
        self._site = Site(otherwise=self._answer)
        self.url = self._site.url

    def __enter__(self) -> "XetSite":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._site.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._site.__exit__()

    def access(self) -> Answer:
        """Give what a Hub answers to `xet-write-token`."""
        said = {"accessToken": ACCESS_TOKEN, "casUrl": self.url, "exp": NEVER}
        headers = {
            "X-Xet-Access-Token": ACCESS_TOKEN,
            "X-Xet-Cas-Url": self.url,
            "X-Xet-Token-Expiration": str(NEVER),
        }
        return _said(said, more=headers)

    def size_bytes(self, sha256: str) -> int | None:
        """Return the size of a file, or None if nobody sent it."""
        pieces = self._files.get(sha256)
        return None if pieces is None else sum(piece.size_bytes for piece in pieces)

    def content(self, sha256: str) -> Iterator[bytes]:
        """Yield the chunks of a file.

        Raises:
            ValueError: after the last chunk, if they are not what the hash says.
        """
        digest = hashlib.sha256()
        for piece in self._files[sha256]:
            for chunk in self._chunks(piece):
                digest.update(chunk)
                yield chunk
        if digest.hexdigest() != sha256:
            raise ValueError(f"the chunks of {sha256} make up {digest.hexdigest()}")

    def _chunks(self, piece: Piece) -> Iterator[bytes]:
        offsets = self._chunk_offsets[piece.xorb]
        with (self._folder / piece.xorb).open("rb") as file:
            file.seek(offsets[piece.first])
            for _ in range(piece.first, piece.end):
                stored_bytes, scheme, size_bytes = _chunk_header(file.read(8))
                yield _unpacked(file.read(stored_bytes), scheme, size_bytes)

    def _answer(self, asked: Asked) -> Answer:
        self._site.requests.clear()  # bodies of up to 64 MB each
        if asked.headers.get("authorization") != f"Bearer {ACCESS_TOKEN}":
            return _said({"error": "no access"}, 401)
        with self._lock:
            match asked.method, asked.path.split("/")[1:]:
                case "POST", ["v1", "xorbs", "default", name]:
                    return self._take_xorb(name, asked.body)
                case "POST", ["v2", "shards"]:
                    return self._take_shard(asked.body)
                case "GET", ["v1", "chunks", _, name]:
                    return self._others_with(name)
        return _said({"error": "not here"}, 404)  # grants to upload elsewhere, telemetry

    def _take_xorb(self, name: str, body: bytes) -> Answer:
        self.received["xorbs"] += len(body)
        is_new = name not in self._chunk_offsets
        if is_new:
            (self._folder / name).write_bytes(body)
            self._chunk_offsets[name] = _chunk_offsets(body)
        return _said({"was_inserted": is_new})

    def _take_shard(self, body: bytes) -> Answer:
        self.received["shards"] += len(body)
        if not body.startswith(HEADER):
            return _said({"error": "not a shard"}, 400)
        entries = _entries(body)
        files, xorbs = dict(_files(entries)), _xorbs(entries)
        wanted = {piece.xorb for pieces in files.values() for piece in pieces}
        if missing := wanted - set(self._chunk_offsets):
            return _said({"error": f"xorbs that nobody sent: {sorted(missing)}"}, 400)
        self._files |= files
        self._known |= dict.fromkeys(xorbs.chunks, xorbs.listing)
        return 200, {"Content-Type": "application/x-ndjson"}, b'{"type":"result"}\n'

    def _others_with(self, chunk: str) -> Answer:
        """Answer with the xorbs that came together with a chunk, so that a client may refer to what is in them."""
        listing = self._known.get(chunk)
        if listing is None:
            return _said({"error": "no such chunk"}, 404)
        self.found_elsewhere += 1
        return 200, {"Content-Type": "application/octet-stream"}, _shard_of(listing)


def _said(said: Mapping[str, object], status: int = 200, more: Mapping[str, str] | None = None) -> Answer:
    return status, {"Content-Type": "application/json", **(more or {})}, json.dumps(said).encode()


def _name(hash_bytes: bytes) -> str:
    return "".join(f"{part:016x}" for part in struct.unpack("<4Q", hash_bytes))


def _entries(shard: bytes) -> Iterator[tuple[bytes, int, int, int, int]]:
    for start in range(ENTRY_BYTES, len(shard) - ENTRY_BYTES + 1, ENTRY_BYTES):
        yield struct.unpack_from("<32s4I", shard, start)


def _files(entries: Iterator[tuple[bytes, int, int, int, int]]) -> Iterator[tuple[str, list[Piece]]]:
    """Yield sha256 and pieces of every file that a shard lists in its first section."""
    for head, flags, count, *_ in entries:
        if head == END[:32]:
            return
        rows = [next(entries) for _ in range(count)]
        pieces = [Piece(_name(xorb), size_bytes, first, end) for xorb, _, size_bytes, first, end in rows]
        for _ in range(count if flags & VERIFIED else 0):
            next(entries)
        assert flags & WITH_SHA256, "huggingface_hub names files by their sha256"
        yield _name(next(entries)[0]), pieces


@dataclass(frozen=True)
class _Xorbs:
    chunks: list[str]
    listing: bytes  # as it stands in the shard


def _xorbs(entries: Iterator[tuple[bytes, int, int, int, int]]) -> _Xorbs:
    """Read the second section of a shard."""
    chunks, listing = [], b""
    for entry in entries:
        if entry[0] == END[:32]:
            break
        rows = [next(entries) for _ in range(entry[2])]
        chunks += [_name(row[0]) for row in rows]
        listing += b"".join(struct.pack("<32s4I", *row) for row in (entry, *rows))
    return _Xorbs(chunks, listing)


def _shard_of(listing: bytes) -> bytes:
    """Return a shard without files and without lookup tables, which a reader can do without."""
    xorbs_at = 2 * ENTRY_BYTES
    end = xorbs_at + len(listing) + len(END)
    places = (ENTRY_BYTES, xorbs_at, end, 0, end, 0, end, 0)
    no_key, made, expires, spare = bytes(32), 0, 2**64 - 1, (0,) * 9
    footer = struct.pack("<9Q32s2Q9QQ", 1, *places, no_key, made, expires, *spare, end)
    return HEADER + struct.pack("<2Q", 2, len(footer)) + END + listing + END + footer


def _chunk_header(header: bytes) -> tuple[int, int, int]:
    """Return stored size, compression and size of a chunk."""
    return int.from_bytes(header[1:4], "little"), header[4], int.from_bytes(header[5:8], "little")


def _chunk_offsets(xorb: bytes) -> list[int]:
    offsets, at = [], 0
    while at < len(xorb) and not xorb.startswith(FOOTER_OF_XORB, at):
        offsets.append(at)
        at += 8 + _chunk_header(xorb[at : at + 8])[0]
    return offsets


def _unpacked(stored: bytes, scheme: int, size_bytes: int) -> bytes:
    if scheme == STORED:
        return stored
    content: bytes = pa.Codec("lz4").decompress(stored, size_bytes, asbytes=True)
    return content if scheme == LZ4 else _ungrouped(content)


def _ungrouped(content: bytes) -> bytes:
    """Return bytes in their order, of which every fourth one lies beside the next."""
    whole, start = np.empty(len(content), np.uint8), 0
    for first in range(4):
        group = whole[first::4]
        group[:] = np.frombuffer(content, np.uint8, len(group), start)
        start += len(group)
    return whole.tobytes()
