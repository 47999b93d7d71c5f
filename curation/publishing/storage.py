"""Folders and buckets, by fsspec: what a place holds, files into it, and what it refuses in words to act on.

Credentials come from the environment, as each storage's own client reads it, and never from an address.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from curation.storage_errors import of_clients, told
from rules.errors import ConfigurationError

# Unless it is told otherwise, s3fs holds ten parts of 50 MB in memory to send them, and reads 50 MB for a few bytes.
_S3 = {"max_concurrency": 1, "default_block_size": 5 << 20}
_OPTIONS: Mapping[str, Mapping[str, int]] = {"s3": _S3, "s3a": _S3}
_EXTRAS = {"s3": "artune[s3]", "s3a": "artune[s3]"}


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder somewhere; the names of files are paths below it.

    Attributes:
        where: a whole path, or an address.
        files: the filesystem of fsspec that it is on.
        root: what that calls it.
    """

    where: str
    files: Any
    root: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.files, LocalFileSystem)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of all files below a folder, by their paths in it; none if it is not there."""
        self.files.invalidate_cache()
        top = f"{self.root}/{folder}"
        found = self.files.find(top, detail=True)
        return {path[len(top) + 1 :]: info["size"] for path, info in sorted(found.items())}

    def folders(self) -> list[str]:
        """Return the names of the folders in it; none if it is not there."""
        self.files.invalidate_cache()
        try:
            rows = self.files.ls(self.root, detail=True)
        except FileNotFoundError:
            return []
        return sorted(row["name"].rstrip("/").rpartition("/")[2] for row in rows if row["type"] == "directory")

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small file, None if it is not there."""
        try:
            content: bytes = self.files.cat_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def put(self, path: Path, name: str) -> None:
        """Copy a file of this machine to it; others see it only when it is whole."""
        target = f"{self.root}/{name}"
        if not self.is_local:
            self.files.put_file(str(path), target)
            return
        with _replacing(Path(target)) as part:
            shutil.copyfile(path, part)

    def write(self, content: bytes, name: str) -> None:
        """Write a small file; others see it only when it is whole."""
        target = f"{self.root}/{name}"
        if not self.is_local:
            self.files.pipe_file(target, content)
            return
        with _replacing(Path(target)) as part:
            part.write_bytes(content)

    def copy(self, source: str, name: str) -> None:
        """Let a file be there under another name, too, without sending it."""
        source, target = f"{self.root}/{source}", f"{self.root}/{name}"
        if not self.is_local:
            self.files.cp_file(source, target)
            return
        with _replacing(Path(target)) as part:
            try:
                os.link(source, part)
            except OSError:  # of a filesystem without hard links, or with too many of this file
                shutil.copyfile(source, part)

    def delete(self, folder: str) -> None:
        """Delete a file, or a folder with all in it."""
        if self.files.exists(f"{self.root}/{folder}"):
            self.files.rm(f"{self.root}/{folder}", recursive=True)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give the path of a file that takes another's place when it is whole; what a kill leaves is taken up again."""
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    yield part
    part.replace(target)


def opened(where: str) -> Storage:
    """Return a folder or an address, which need not exist.

    Raises:
        ConfigurationError: nothing here can open such an address, or it holds a password.
    """
    scheme, is_address, rest = where.partition("://")
    if is_address and "@" in rest.partition("/")[0]:
        raise ConfigurationError(
            f"an address of {scheme}:// with a password or a user in it: expected these in the environment, as the "
            "client of that storage reads them"
        )
    if "::" in where:
        raise ConfigurationError(f"{where}: expected one address; a chain of them cannot be written to")
    address = where if is_address else str(Path(where).expanduser().absolute())
    try:
        files, root = url_to_fs(address, **options(address))
    except ImportError as error:
        advice = _EXTRAS.get(scheme.lower())
        hint = f"pip install '{advice}'" if advice else str(error)
        raise ConfigurationError(f"{where}: what opens {scheme}:// is not installed: {hint}") from error
    except ValueError as error:
        raise ConfigurationError(f"{where}: expected a folder, or an address that fsspec knows: {error}") from error
    if not root.strip("/"):
        raise ConfigurationError(f"{where}: expected a folder or a bucket in it")
    is_local = isinstance(files, LocalFileSystem)
    return Storage(root.rstrip("/") if is_local else address.rstrip("/"), files, root.rstrip("/"))


def options(where: str) -> dict[str, int]:
    """Return what the filesystem of an address has to be told so that it takes little memory."""
    return dict(_OPTIONS.get(where.partition("://")[0].lower(), {}))


@contextmanager
def asking(where: str, doing: str) -> Iterator[Storage]:
    """Give a place; what it raises comes out as our errors.

    Args:
        doing: what it is asked for: "it may not be asked to ...".

    Raises:
        ConfigurationError: it refuses, and a person can do something about it.
        TransientError: it is busy or cannot be reached.
    """
    storage = opened(where)
    try:
        yield storage
    except (OSError, *of_clients()) as error:  # type: ignore[misc] # mypy does not read a tuple that is put together
        # The cause may hold parts of keys.
        raise told(error, storage.where, doing, is_local=storage.is_local) from None
