"""Media as the networks take them, kept on disk by what they were made from, within a size.

Nothing is ever thrown out: epochs go round in circles, so what was used longest ago is what comes next.
"""

import errno
import fcntl
import logging
import os
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import safetensors
from safetensors.torch import load, save
from torch import Tensor

CHECK_BYTES = 4
RECOUNT_SHARE = 0.01  # of the limit: other processes write here, too, so what there is is counted anew so often
_FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_NO_FOLDER = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG)

_log = logging.getLogger(__name__)


class Cache:
    """A folder of small files, each by the digest that is its key; threads and processes may share it.

    A file is what safetensors writes and its CRC-32. One that is not whole counts as none.

    Args:
        limit_bytes: of all files together; processes that share the folder may exceed it by a hundredth each.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._lock = threading.RLock()
        self._is_closed = False
        self._size_bytes = self._counted()
        self._since_count = 0

    def size_of(self, key: str) -> int | None:
        """Return how many bytes an entry takes; None if it is not there."""
        try:
            return self._path(key).stat().st_size
        except OSError:
            return None

    def get(self, key: str) -> dict[str, Tensor] | None:
        """Return an entry; None if it is not there, or damaged."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        body, check = content[:-CHECK_BYTES], content[-CHECK_BYTES:]
        if zlib.crc32(body).to_bytes(CHECK_BYTES, "big") != check:
            return None
        try:
            tensors: dict[str, Tensor] = load(body)
        except safetensors.SafetensorError:
            return None
        return tensors

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep an entry if there is room; that there is none is told once, and no error."""
        if self._is_closed:
            return
        body = save(dict(tensors))
        with self._lock:
            if not self._has_room(len(body) + CHECK_BYTES):
                return
        try:
            self._write(key, body)
        except OSError as error:
            if error.errno not in (*_FULL_OR_CLOSED, *_NO_FOLDER):
                raise
            self._close(error.strerror or str(error))

    def _write(self, key: str, body: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{key}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            with part.open("wb") as file:
                with suppress(OSError):  # of a filesystem without locks
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # so `_counted` knows that somebody writes it
                file.write(body)
                file.write(zlib.crc32(body).to_bytes(CHECK_BYTES, "big"))
            part.replace(path)
        except FileNotFoundError:  # somebody cleared the folder, or took this for abandoned before it was locked
            return
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _has_room(self, size_bytes: int) -> bool:
        """Say whether an entry may be written, and count it."""
        if self._is_closed:
            return False
        if self.limit_bytes is not None:
            if self._since_count > RECOUNT_SHARE * self.limit_bytes:
                self._size_bytes, self._since_count = self._counted(), 0
            if self._size_bytes + size_bytes > self.limit_bytes:
                self._close(f"it has reached its limit of {self.limit_bytes:,} bytes")
                return False
        self._size_bytes += size_bytes
        self._since_count += size_bytes
        return True

    def _close(self, why: str) -> None:
        with self._lock:
            is_news, self._is_closed = not self._is_closed, True
        if is_news:
            _log.warning("%s: nothing more is cached (%s): what is not there is made anew each time", self.folder, why)

    def _counted(self) -> int:
        """Return the size of all entries, and remove what killed processes left half written."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    if path.suffix == ".part":
                        _remove_abandoned(path)
                    else:
                        total += path.stat().st_size
        return total

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def _remove_abandoned(path: Path) -> None:
    """Remove a file that nobody writes; raise OSError if somebody does."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
