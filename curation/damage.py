"""Files of a work folder that do not hold what was written there: told by name with what mends them, never used."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from rules.errors import ConfigurationError

T = TypeVar("T")

VERIFY = "`artune verify` tells how to get it again"


class Damaged(ConfigurationError):
    """A file is not what was written.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, what: str, advice: str = VERIFY) -> None:
        self.path, self.what, self.advice = path, what, advice
        super().__init__(f"{path} is damaged ({what}); {advice}")

    def __reduce__(self) -> tuple[type["Damaged"], tuple[Path, str, str]]:  # it may come from another process
        return Damaged, (self.path, self.what, self.advice)


def read_whole(path: Path, read: Callable[[], T]) -> T:
    """Return what is read of a table.

    Raises:
        Damaged: it is no such table, or its pages do not have their checksums.
    """
    try:
        return read()
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine failed, not the file
        raise Damaged(path, str(error).partition("\n")[0]) from error


def check(path: Path, sha256: str, copy: Path | None = None) -> None:
    """Refuse a file of which the sha256 is another than was written down; object storage checks its own.

    Args:
        copy: what was fetched of it, and is read in its place.

    Raises:
        Damaged: it is another, or the file is not there.
    """
    file = copy or path
    if not isinstance(file, Path):
        return
    try:
        stat = file.stat()
    except FileNotFoundError:
        raise Damaged(path, "it is not there") from None
    found = _sha256(file, stat.st_size, stat.st_mtime_ns)
    if found != sha256:
        raise Damaged(path, f"its sha256 is {found[:12]}, not {sha256[:12]}")


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, size_bytes: int, modified_ns: int) -> str:
    """Hash a file once for a process: many rows are copied from one."""
    from curation.store import file_sha256

    return file_sha256(path)
