"""Zip archives: honest ones, and ones that say one thing here and another there."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)  # without the time of day
    return data.getvalue()


def record(name: bytes, content: bytes, **said: int) -> dict[str, Any]:
    """Describe a stored member; `said` is what its directory entry says, `local_...` what its own header says."""
    return {
        "name": name,
        "content": content,
        "flags": 0,
        "method": 0,
        "crc": zlib.crc32(content),
        "compressed": len(content),
        "size": len(content),
        "mode": 0,
        **said,
    }


def written(*records: dict[str, Any], shared: bool = False) -> bytes:
    """Write an archive byte by byte, as honest programs do not.

    Args:
        shared: all entries of the directory point to the first member.
    """
    body, directory = b"", b""
    for each in records:
        offset = 0 if shared else len(body)
        here = [each.get(f"local_{key}", each[key]) for key in ("flags", "method", "crc", "compressed", "size", "name")]
        flags, method, crc, compressed, size, name = here
        header = struct.pack("<4s5H3L2H", LOCAL, 20, flags, method, 0, 0, crc, compressed, size, len(name), 0)
        body += header + name + each["content"]
        there = [each[key] for key in ("flags", "method", "crc", "compressed", "size")]
        flags, method, crc, compressed, size = there
        sizes = (crc, compressed, size, len(each["name"]), 0, 0, 0, 0, each["mode"] << 16, offset)
        directory += struct.pack("<4s6H3L5H2L", CENTRAL, 0x314, 20, flags, method, 0, 0, *sizes) + each["name"]
    count = len(records)
    return body + directory + struct.pack("<4s4H2LH", END, 0, 0, count, count, len(directory), len(body), 0)


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
