"""Work folders on a disk copied to object storage, and what is there."""

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import moto.s3.models

from curation.object_storage import ages_below
from curation.store import Home, files_below
from tests.curation.collection import files_of


def sent(home: Home, remote: Home) -> Home:
    """Send everything that a work folder on a disk holds to an address, but for what only its own machine needs."""
    for name, content in files_of(home.root).items():
        if not name.startswith("tmp/"):
            (remote.root / name).write_bytes(content)
    return remote


def held(home: Home, *folders: str) -> dict[str, bytes]:
    """Return the content of every file in some folders of a work folder, on a disk or on object storage."""
    found = [path for folder in folders for path, _ in files_below(home.root / folder)]
    return {path.relative_to(home.root).as_posix(): path.read_bytes() for path in found}


def names_below(folder: Path) -> list[str]:
    return [path.name for path, _ in files_below(folder)]


def spoil(path: Path) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    cast(Any, path).write_bytes(bytes(content))


def make_old(home: Home, age: timedelta) -> None:
    """Let the storage believe that everything was sent that long ago."""
    for account in moto.s3.models.s3_backends.values():
        for bucket in account["aws"].buckets.values():
            for key in bucket.keys.values():
                key.last_modified -= age
    assert min(ages_below(home.root).values()) >= age
