"""The work folder: immutable files that are written under a temporary name and renamed.

It may lie on object storage: then files are written here and sent, and `root` is a path of curation.object_storage,
which does what a `pathlib.Path` does, except that no library opens it by its name.
"""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation import damage
from curation.disk import told_when_full
from curation.errors import ItemError
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.leases import Lease, Lent

S = TypeVar("S")
T = TypeVar("T")


def digest(value: object) -> str:
    """Return the sha256 of a value's canonical JSON: the same value gives the same digest on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def known_sha256(path: Path) -> str:
    """Return the sha256 of a file of a work folder: of object storage, what was sent with it."""
    sent = None if isinstance(path, Path) else _remote().sent_sha256(path)
    return sent or file_sha256(path)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


MARKER = ".artune-home"
MARKED = "A work folder of artune. What is in it is never collected.\n"
LEASES = "leases"  # of a folder on object storage
AT_ONCE = 16  # requests for small files
WHOLE_BYTES = 1 << 20  # larger files of object storage are read in parts, where only some columns are wanted
TOMBSTONES = "tombstones"


class Home:
    """One work folder. Everything in it is made from a source and may be made again, except `releases`."""

    def __init__(self, root: Path | str) -> None:
        self.root = place_of(root)
        self._leases: list[Lease | Lent] = []

    def __reduce__(self) -> tuple[Any, ...]:  # another process works for this one, which holds what it holds
        return Home, (self.root,), {"_leases": [lease.elsewhere() for lease in self._leases]}

    @property
    def is_remote(self) -> bool:
        return not isinstance(self.root, Path)

    @cached_property
    def local(self) -> Path:
        """Where files lie that grow or are read by name: the folder itself, else one of this machine and user."""
        if not self.is_remote:
            return self.root
        folder = Path(tempfile.gettempdir()) / f"artune-{os.getuid()}-{digest(str(self.root))[:16]}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise ConfigurationError(f"{folder} is somebody else's: expected a TMPDIR for your files")
        return folder

    @property
    def scratch(self) -> Path:
        """Where temporary files lie, on this machine."""
        return self.local / "tmp"

    def mark(self) -> None:
        """Put a file into the folder that tells sources to leave it alone: it may lie inside a collected folder.

        Raises:
            ConfigurationError: it is on a storage that cannot keep two builds apart.
        """
        marker = self.root / MARKER
        if self.is_remote:
            _remote().require_conditions(marker, MARKED.encode())
            return
        self.root.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            marker.write_text(MARKED)

    def blob(self, sha256: str) -> Path:
        return self.root / f"blobs/sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"  # joined once: every item asks for it

    def items(self, source: str) -> Path:
        return self.root / "items" / source

    def is_removed(self, sha256: str) -> bool:
        """Say whether somebody asked that what has these bytes is removed."""
        folder = self.root / f"{TOMBSTONES}/{sha256}"
        is_there = self.is_remote or folder.is_dir()  # it is asked for every blob, and there are few
        return is_there and any(folder.glob("*.json"))

    def derived(self, step: str, key: str) -> Path:
        return self.root / "derived" / f"{step}-{key[:16]}"

    def is_derived(self, path: Path) -> bool:
        """Say whether a file can be computed again from the blobs."""
        return str(path).startswith(f"{self.root / 'derived'}/")

    def release(self, number: int) -> Path:
        return self.root / "releases" / str(number)

    @contextmanager
    def replacing(self, path: Path) -> Iterator[Path]:
        """Give a temporary path; what was written there takes the place of `path` when the block ends without an error.

        Args:
            path: in this folder, or one of `local`.
        """
        temporary = self.temporary()
        with told_when_full(self.local):
            try:
                yield temporary
                self._take_place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def _take_place(self, temporary: Path, path: Path) -> None:
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
        else:
            self.check_leases()
            _remote().send(temporary, path, file_sha256(temporary))

    def link(self, existing: Path, path: Path) -> None:
        """Let a file of this folder, or of `local`, be there under another name, too, without writing it anew."""
        if self.is_remote:
            self.check_leases()
            if isinstance(existing, Path):
                _remote().send(existing, path, file_sha256(existing))
            else:
                _remote().copy(existing, path)
            return
        with self.replacing(path) as temporary:
            os.link(existing, temporary)

    @contextmanager
    def at_hand(self, path: Path) -> Iterator[Path]:
        """Give a local file with the bytes of one of this folder; a copy that was made for it is gone afterwards."""
        with self.all_at_hand([path]) as (file,):
            yield file

    @contextmanager
    def all_at_hand(self, paths: Sequence[Path]) -> Iterator[list[Path]]:
        """Give local files with the bytes of several of this folder, likewise."""
        if all(isinstance(path, Path) for path in paths):
            yield list(paths)
            return
        folder = self.temporary()
        files = [folder / str(number) / path.name for number, path in enumerate(paths)]
        for file in files:
            file.parent.mkdir(parents=True)
        try:
            in_order(lambda at: _remote().fetch(*at), list(zip(paths, files, strict=True)))
            yield files
        finally:
            remove_tree(folder)

    def kept_here(self, path: Path) -> Path:
        """Return a local file with the bytes of one of this folder, which stays: a person looks at it."""
        if isinstance(path, Path):
            return path
        file = self.local / path.relative_to(self.root).as_posix()
        with self.at_hand(path) as copy:
            self._take_place(copy, file)
        return file

    def temporary(self) -> Path:
        """Return a path that nobody else uses and whose name tells which process does."""
        folder = self.scratch
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
            with told_when_full(self.local), temporary.open("wb") as out:
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
        """Move a file of `local`, whose sha256 this is, into the blobs, or remove it if they have it.

        Raises:
            ItemError: "removed".
        """
        path, is_removed = self.blob(sha256), self.is_removed(sha256)
        if is_removed or path.exists():
            file.unlink()
            if is_removed:
                raise ItemError("removed")
            return
        if self.is_remote:
            self.check_leases()
            _remote().send(file, path, sha256)
            file.unlink()
            return
        try:
            file.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file.replace(path)

    def write_table(self, path: Path, table: pa.Table) -> None:
        """Write a table so that the same rows give the same bytes."""
        with self.replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)

    @contextmanager
    def locked(self, path: Path, *, shared: bool = False) -> Iterator[bool]:
        """Hold a file of this folder for this process alone, or with others that share it; False if it cannot be had.

        The lock ends with the process, however that ends. On object storage it is a lease, and the file need not exist.
        """
        if self.is_remote:
            with self._leased(path, shared) as is_mine:
                yield is_mine
            return
        with path.open("rb") as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                is_mine = False
            else:
                is_mine = True
            yield is_mine

    @contextmanager
    def _leased(self, path: Path, shared: bool) -> Iterator[bool]:
        from curation import leases

        name = path.relative_to(self.root).as_posix()
        with leases.held(_remote().apart(self.root) / LEASES / name, f"{name} of {self.root}", shared=shared) as lease:
            if lease is None:
                yield False
                return
            self._leases.append(lease)
            try:
                yield True
            finally:
                self._leases.remove(lease)

    def check_leases(self) -> None:
        """Refuse to go on where others may use by now what this process held, or the one that it works for.

        Raises:
            HomeBusy: it was silent for too long.
        """
        for lease in self._leases:
            lease.check()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Make the folder and hold it for reading and adding: nothing of it is removed meanwhile.

        Raises:
            ConfigurationError: something is being removed from it right now, or its disk takes nothing more.
        """
        with told_when_full(self.local):
            self.mark()
            with self.locked(self.root / MARKER, shared=True) as is_free:
                if not is_free:
                    raise ConfigurationError(
                        f"{self.root}: `artune gc` or `artune remove --purge` is removing files right now; "
                        "wait for its end"
                    )
                yield

    def forget_uploads(self, *folders: Path) -> None:
        """Free what object storage keeps of files that were sent in part; nobody else may be sending any there."""
        for folder in folders if self.is_remote else ():
            _remote().abort_uploads(folder)

    def sweep(self) -> None:
        """Remove temporary files that dead processes of this machine left behind."""
        for path in self._temporaries():
            pid, _, rest = path.name.removeprefix(".").partition(".")
            host = rest.partition(".")[2]
            if host == socket.gethostname() and pid.isdecimal() and not is_alive(int(pid)):
                _remove(path)

    def sweep_all(self) -> None:
        """Remove all temporary files, for somebody who has the folder alone: also those of machines that are gone."""
        for path in self._temporaries():
            _remove(path)

    def _temporaries(self) -> list[Path]:
        left = [*self.scratch.glob("*")]
        if self.is_remote:
            _remote().abort_uploads(self.root, _remote().NOBODY_SENDS_FOR)
        else:
            left += (self.root / "releases").glob(".*")
        return left


def _remove(path: Path) -> None:
    if path.is_dir():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def place_of(where: Path | str) -> Path:
    """Return what a user names as a work folder: a whole path, or a path of object storage.

    Raises:
        ConfigurationError: it is an address that cannot be one.
    """
    if isinstance(where, Path) or "://" not in str(where):
        return Path(where).expanduser().absolute()
    place: Path = _remote().address(str(where))
    return place


def _remote() -> ModuleType:
    from curation import object_storage  # its clients take long to import, and local folders need none

    return object_storage


def _unique_name() -> str:
    """Return a name that tells which process of which machine uses it."""
    return f"{os.getpid()}.{uuid.uuid4().hex}.{socket.gethostname()}"


def is_alive(pid: int) -> bool:
    """Say whether a process of this machine lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def in_order(read: Callable[[S], T], paths: Sequence[S]) -> list[T]:
    """Return what is read of each file, in their order; of object storage several are read at once."""
    if not paths or isinstance(paths[0], Path):
        return [read(path) for path in paths]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(read, paths))


def opened(path: Path) -> Any:  # noqa: ANN401 - pyarrow takes each of them
    """Return what pyarrow reads a file by, in parts."""
    return path if isinstance(path, Path) else path.open("rb")


def mapped(path: Path) -> Any:  # noqa: ANN401 - likewise
    """Return what pyarrow reads a file of Arrow by, in parts."""
    return pa.memory_map(str(path)) if isinstance(path, Path) else pa.PythonFile(path.open("rb"), mode="r")


def whole(path: Path) -> Any:  # noqa: ANN401 - likewise
    """Return what pyarrow reads a small file by: of object storage, its bytes by one request."""
    return path if isinstance(path, Path) else pa.BufferReader(path.read_bytes())


def read_tables(folder: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of all Parquet files of a folder, in the order of the file names; none if there is no folder."""
    sizes = _sizes_of_tables(folder)
    read = partial(_rows_of, schema=schema, names=columns or schema.names)

    def rows_of(path: Path) -> pa.Table:
        is_large = columns is not None and sizes[path] > WHOLE_BYTES
        return damage.read_whole(path, lambda: read(opened(path) if is_large else whole(path)))

    tables = in_order(rows_of, list(sizes))
    if tables:
        return pa.concat_tables(tables)
    empty = schema.empty_table()
    return empty.select(columns) if columns else empty


def _sizes_of_tables(folder: Path) -> dict[Path, int]:
    """Return the Parquet files of a folder, in order, and of object storage their sizes in bytes."""
    if isinstance(folder, Path):
        return dict.fromkeys(sorted(folder.glob("*.parquet")), 0)
    return {path: size for path, size in files_below(folder) if path.suffix == ".parquet" and path.parent == folder}


def _rows_of(file: Any, schema: pa.Schema, names: list[str]) -> pa.Table:  # noqa: ANN401 - as `opened` gives it
    """Return some columns of a small file, null where it has none of the name.

    pq.read_table takes twice as long for a small file, and a large work folder has thousands of them.
    """
    with pq.ParquetFile(file, page_checksum_verification=True) as table:
        there = set(table.schema_arrow.names)
        rows = table.read([name for name in names if name in there], use_threads=False)
    for name in names:
        if name not in there:
            rows = rows.append_column(name, pa.nulls(len(rows), schema.field(name).type))
    return rows.select(names).cast(pa.schema([schema.field(name) for name in names]))


def create_exclusively(path: Path, content: bytes) -> bool:
    """Create a file with this content in one step; False if it exists already."""
    if not isinstance(path, Path):
        created: bool = _remote().create(path, content)
        return created
    temporary = path.with_name(f".{_unique_name()}")
    with told_when_full(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.link(temporary, path)  # a link is atomic and, unlike open("x"), never shows half a file
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
    return True


def files_below(folder: Path) -> list[tuple[Path, int]]:
    """Return all files below a folder with their sizes in bytes, in order; none if it is not there."""
    if not isinstance(folder, Path):
        found: list[tuple[Path, int]] = _remote().files_below(folder)
        return found
    return [(path, path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if isinstance(path, Path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        _remote().remove_tree(path)
