"""A folder that takes nothing more: one error with one sentence, whichever library met it."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rules.errors import ConfigurationError

FULL = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(ConfigurationError):
    """A disk is full, or cannot be written to any more: what was done stays, and the same command goes on from it."""


def is_of_disk(error: BaseException | None) -> bool:
    """Say whether an error tells of a disk that takes nothing more, and not of a mistake in the code."""
    return isinstance(error, NoRoom) or (isinstance(error, OSError) and error.errno in (*FULL, errno.EROFS))


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """Tell in one sentence of a disk that takes nothing more.

    Args:
        folder: where the block writes, beside the folder for temporary files.

    Raises:
        NoRoom: it is full, over a quota, or read-only.
    """
    try:
        yield
    except OSError as error:
        if not is_of_disk(error):
            raise
        raise NoRoom(f"{folder}: {_told(error, folder)}, and the same command goes on from there") from error


def _told(error: OSError, folder: Path) -> str:
    if error.errno == errno.EROFS:
        return f"{error.strerror}: {error.filename or folder}; make it writable"
    if error.errno == errno.EDQUOT:
        return "your quota of this disk is used up; make room"
    return f"the disk is full: {_free(folder)}; make room"


def _free(folder: Path) -> str:
    """Say how much is free where a command writes: in the folder, and where its temporary files lie."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    temporary = tempfile.gettempdir()
    free = f"{shutil.disk_usage(nearest).free:,} bytes are free"
    if nearest.stat().st_dev == Path(temporary).stat().st_dev:
        return free
    return f"{free} there, and {shutil.disk_usage(temporary).free:,} in {temporary}"
