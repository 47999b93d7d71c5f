"""Zip archives, read member by member: nothing is unpacked by name, and no member is believed.

The directory is read by zipfile. Members are read here, strictly: the format leaves room for members that say one thing
in the directory and another where they lie, overlap, or grow without end.
"""

import os
import posixpath
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from curation.errors import ItemError
from curation.sources._metadata import CLEAN

CHUNK_BYTES = 1 << 20
MAX_NAME_CHARS = 1_000
# Pictures and recordings are compressed already: what grows by more than this ratio is blank, or an attack.
MAX_RATIO, RATIO_FREE_BYTES = 100, 16 << 20

# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7: signature, version, flags, method, time, date,
# CRC, compressed size, size, length of the name, length of the extra field
HEADER = struct.Struct("<4s5H3L2H")
SIGNATURE = b"PK\3\4"
ENCRYPTED, SIZES_FOLLOW, UTF_8 = 0x1, 0x8, 0x800  # flags
IN_ZIP64 = 0xFFFFFFFF  # the size stands in the extra field
NOT_A_MEMBER = "//"  # in no safe name, so an id with it belongs to no other member
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(f"[{''.join(map(re.escape, map(chr, CLEAN)))}]")


@dataclass(frozen=True, slots=True)
class Member:
    """One member that is no directory.

    Attributes:
        name: its path within the archive in composed Unicode; of an unsafe one a description. Unique in the archive.
        raw_name: as it stands in the archive.
        crc: of the content, as the directory says it; the following likewise.
        refusal: why it must not be read.
    """

    name: str
    raw_name: bytes
    offset: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    method: int
    refusal: ItemError | None = None

    @property
    def state(self) -> str:
        """What changes when its content does."""
        return f"{self.crc:08x}-{self.size_bytes}"


class Archive:
    """An open zip archive; its members may be read by several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open it and read its directory.

        Raises:
            ItemError: "damaged_member" if it is no whole zip archive, "incomplete" if it was just removed.
        """
        try:
            info = path.stat()
            self.members = _members(path, info.st_mtime_ns, info.st_size)
            self._file = path.open("rb")
        except FileNotFoundError as error:  # for a newer one, between two looks at the folder
            raise ItemError("incomplete", f"{path.name} is gone") from error

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def read(self, member: Member, max_bytes: int) -> bytes:
        """Return the content of a small member.

        Raises:
            ItemError: "too_many_bytes" or what `chunks` raises.
        """
        if member.size_bytes > max_bytes:
            raise ItemError("too_many_bytes", f"{member.size_bytes:,} bytes; at most {max_bytes:,} were expected")
        return b"".join(self.chunks(member))

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the content in pieces of bounded size, never more than the directory says.

        Raises:
            ItemError: its refusal, or "damaged_member"; perhaps only after the last piece.
        """
        if member.refusal:
            raise ItemError(member.refusal.reason, member.refusal.detail)
        crc = size_bytes = 0
        for piece in self._inflated(member):
            size_bytes += len(piece)
            if size_bytes > member.size_bytes:
                raise _damaged(f"more than the {member.size_bytes:,} bytes that the directory says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size_bytes != member.size_bytes:
            raise _damaged(f"{size_bytes:,} bytes; the directory says {member.size_bytes:,}")
        if crc != member.crc:
            raise _damaged(f"CRC {crc:08x}; the directory says {member.crc:08x}")

    def _inflated(self, member: Member) -> Iterator[bytes]:
        if member.method == zipfile.ZIP_STORED:
            yield from self._stored(member)
            return
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for piece in self._stored(member):
                while piece and not inflater.eof:
                    if grown := inflater.decompress(piece, CHUNK_BYTES):
                        yield grown
                    piece = inflater.unconsumed_tail
                if piece or inflater.unused_data:
                    raise _damaged("something follows the end of its compressed data")
            while not inflater.eof and (grown := inflater.decompress(b"", CHUNK_BYTES)):
                yield grown
        except zlib.error as error:
            raise _damaged(f"it cannot be decompressed: {error}") from error
        if not inflater.eof:
            raise _damaged("its compressed data have no end")

    def _stored(self, member: Member) -> Iterator[bytes]:
        """Yield what lies in the archive, once the member's own header says what the directory says."""
        at, left = self._start(member), member.compressed_bytes
        while left:
            piece = self._at(at, min(left, CHUNK_BYTES))
            yield piece
            at, left = at + len(piece), left - len(piece)

    def _start(self, member: Member) -> int:
        header = HEADER.unpack(self._at(member.offset, HEADER.size))
        signature, _, flags, method, _, _, crc, compressed_bytes, size_bytes, name_bytes, extra_bytes = header
        if signature != SIGNATURE:
            raise _damaged(f"no member begins at byte {member.offset:,}")
        start = member.offset + HEADER.size
        said: dict[str, tuple[object, object]] = {
            "name": (self._at(start, name_bytes), member.raw_name),
            "method": (method, member.method),
            "encryption": (flags & ENCRYPTED, 0),
        }
        if not flags & SIZES_FOLLOW:
            said["CRC"] = crc, member.crc
            said["compressed size"] = compressed_bytes, member.compressed_bytes
            said["size"] = size_bytes, member.size_bytes
        for what, (here, there) in said.items():
            if here not in (there, IN_ZIP64):
                raise _damaged(f"{what}: its header says {here!r:.100}, the directory {there!r:.100}")
        return start + int(name_bytes) + int(extra_bytes)

    def _at(self, offset: int, size_bytes: int) -> bytes:
        data = os.pread(self._file.fileno(), size_bytes, offset)
        if len(data) < size_bytes:
            raise _damaged(f"the archive ends at byte {offset + len(data):,}, within the member")
        return data


@lru_cache(maxsize=4)  # batches of one archive come one after the other; a big directory takes a second to read
def _members(path: Path, mtime_ns: int, size_bytes: int) -> tuple[Member, ...]:
    """Return the members of an archive in the order of its directory; the other arguments tell its states apart."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise ItemError("damaged_member", f"{path.name} is no whole zip archive: {error}") from error
    overlapping = _overlapping(infos, end)
    names: dict[str, int] = {}  # with the number of the last member that bears it
    members = []
    for info in infos:
        if info.orig_filename.endswith("/"):  # a directory
            continue
        raw_name = info.orig_filename.encode("utf-8" if info.flag_bits & UTF_8 else "cp437")
        name, refusal = _name(raw_name, info.orig_filename)
        refusal = refusal or _refusal(info, overlapping, end)
        if name in names:
            refusal = refusal or ItemError("duplicate_id", "another member of the archive has the same name")
            name = _free(name, names)
        names[name] = 1
        sizes = info.compress_size, info.file_size
        members.append(Member(name, raw_name, info.header_offset, info.CRC, *sizes, info.compress_type, refusal))
    return tuple(members)


def _overlapping(infos: list[zipfile.ZipInfo], end: int) -> set[int]:
    """Return where members begin that reach into what follows: so a few bytes can be read over and over."""
    spans = sorted((info.header_offset, HEADER.size + len(info.orig_filename) + info.compress_size) for info in infos)
    return {start for (start, size), (next_start, _) in pairwise([*spans, (end, 0)]) if start + size > next_start}


def _refusal(info: zipfile.ZipInfo, overlapping: set[int], end: int) -> ItemError | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return ItemError("unknown_type", "a link or device; expected a file")
    if info.flag_bits & ENCRYPTED:
        return _damaged("encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return _damaged(f"compressed by method {info.compress_type}; expected 0 (stored) or 8 (deflated)")
    if not 0 <= info.header_offset < end:
        return _damaged(f"it is to begin at byte {info.header_offset:,}; members lie before byte {end:,}")
    if info.header_offset in overlapping:
        return _damaged("it overlaps with another member")
    if info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
        return _damaged(f"{info.compress_size:,} bytes that would grow to {info.file_size:,}")
    return None


def _name(raw_name: bytes, decoded: str) -> tuple[str, ItemError | None]:
    """Return a member's name, or a description of it and why it cannot be used.

    Args:
        decoded: as zipfile reads it: without a flag as code page 437, though most programs write UTF-8.
    """
    try:
        text = raw_name.decode()
    except UnicodeDecodeError:
        text = decoded
    text = unicodedata.normalize("NFC", text)
    path = posixpath.normpath(text)
    wrong = (
        "no name" if path == "." else
        "absolute" if path.startswith("/") or DRIVE.match(path) else
        "leads upwards" if ".." in text.split("/") else
        "holds a backslash" if "\\" in text else
        "holds control characters" if CONTROL.search(text) else
        f"longer than {MAX_NAME_CHARS:,} characters" if len(text) > MAX_NAME_CHARS else
        ""
    )  # fmt: skip
    if not wrong:
        return path, None
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:MAX_NAME_CHARS])
    return shown, ItemError("unsafe_name", f"{shown!r:.200}: {wrong}")


def _free(name: str, names: dict[str, int]) -> str:
    while True:
        names[name] += 1
        if (free := f"{name}{NOT_A_MEMBER}{names[name]}") not in names:
            return free


def _damaged(detail: str) -> ItemError:
    return ItemError("damaged_member", detail)
