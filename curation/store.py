"""The work folder: immutable files that are written under a temporary name and renamed."""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import ItemError
from rules.errors import ConfigurationError


def digest(value: object) -> str:
    """Return the sha256 of a value's canonical JSON: the same value gives the same digest on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


MARKER = ".artune-home"
TOMBSTONES = "tombstones"


class Home:
    """One work folder. Everything in it is made from a source and may be made again, except `releases`."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def mark(self) -> None:
        """Put a file into the folder that tells sources to leave it alone: it may lie inside a collected folder."""
        self.root.mkdir(parents=True, exist_ok=True)
        marker = self.root / MARKER
        if not marker.exists():
            marker.write_text("A work folder of artune. What is in it is never collected.\n")

    def blob(self, sha256: str) -> Path:
        return self.root / f"blobs/sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"  # joined once: every item asks for it

    def items(self, source: str) -> Path:
        return self.root / "items" / source

    def is_removed(self, sha256: str) -> bool:
        """Say whether somebody asked that what has these bytes is removed."""
        folder = self.root / f"{TOMBSTONES}/{sha256}"
        return folder.is_dir() and any(folder.glob("*.json"))  # it is asked for every blob, and there are few

    def derived(self, step: str, key: str) -> Path:
        return self.root / "derived" / f"{step}-{key[:16]}"

    def release(self, number: int) -> Path:
        return self.root / "releases" / str(number)

    @contextmanager
    def replacing(self, path: Path) -> Iterator[Path]:
        """Give a temporary path; what was written there is renamed to `path` when the block ends without an error."""
        temporary = self.temporary()
        try:
            yield temporary
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def temporary(self) -> Path:
        """Return a path that nobody else uses and whose name tells which process does."""
        folder = self.root / "tmp"
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        return folder / _unique_name()

    def put_blob(self, chunks: Iterable[bytes], max_bytes: int) -> tuple[str, int]:
        """Write bytes into the blobs and return their sha256 and size.

        Raises:
            ItemError: "empty_file", "too_many_bytes" or "removed".
        """
        sha, size_bytes = hashlib.sha256(), 0
        temporary = self.temporary()
        try:
            with temporary.open("wb") as out:
                for chunk in chunks:
                    size_bytes += len(chunk)
                    if size_bytes > max_bytes:
                        raise ItemError("too_many_bytes", f"more than {max_bytes:,} bytes")
                    sha.update(chunk)
                    out.write(chunk)
            if not size_bytes:
                raise ItemError("empty_file")
            self.adopt_blob(temporary, sha.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)
        return sha.hexdigest(), size_bytes

    def adopt_blob(self, file: Path, sha256: str) -> None:
        """Move a file of this folder, whose sha256 this is, into the blobs, or remove it if they have it.

        Raises:
            ItemError: "removed".
        """
        path, is_removed = self.blob(sha256), self.is_removed(sha256)
        if is_removed or path.exists():
            file.unlink()
            if is_removed:
                raise ItemError("removed")
            return
        try:
            file.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file.replace(path)

    def write_table(self, path: Path, table: pa.Table) -> None:
        """Write a table so that the same rows give the same bytes."""
        with self.replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    @contextmanager
    def locked(self, path: Path, *, shared: bool = False) -> Iterator[bool]:
        """Hold a file of this folder for this process alone, or with others that share it; False if it cannot be had.

        The lock ends with the process, however that ends.
        """
        with path.open("rb") as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                is_mine = False
            else:
                is_mine = True
            yield is_mine

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Make the folder and hold it for reading and adding: nothing of it is removed meanwhile.

        Raises:
            ConfigurationError: something is being removed from it right now.
        """
        self.mark()
        with self.locked(self.root / MARKER, shared=True) as is_free:
            if not is_free:
                raise ConfigurationError(
                    f"{self.root}: `artune gc` or `artune remove --purge` is removing files right now; wait for its end"
                )
            yield

    def sweep(self) -> None:
        """Remove temporary files that dead processes of this machine left behind."""
        for path in (*(self.root / "tmp").glob("*"), *(self.root / "releases").glob(".*")):
            pid, _, rest = path.name.removeprefix(".").partition(".")
            host = rest.partition(".")[2]
            if host == socket.gethostname() and pid.isdecimal() and not _is_alive(int(pid)):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _unique_name() -> str:
    """Return a name that tells which process of which machine uses it."""
    return f"{os.getpid()}.{uuid.uuid4().hex}.{socket.gethostname()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_tables(folder: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of all Parquet files of a folder, in the order of the file names; none if there is no folder."""
    tables = [pq.read_table(path, columns=columns, schema=schema) for path in sorted(folder.glob("*.parquet"))]
    if tables:
        return pa.concat_tables(tables)
    empty = schema.empty_table()
    return empty.select(columns) if columns else empty


def create_exclusively(path: Path, content: bytes) -> bool:
    """Create a file with this content in one step; False if it exists already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{_unique_name()}")
    temporary.write_bytes(content)
    try:
        os.link(temporary, path)  # a link is atomic and, unlike open("x"), never shows half a file
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True
