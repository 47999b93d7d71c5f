"""A publication in a folder or at an address that fsspec knows, such as s3://bucket/folder."""

import re
from pathlib import Path

from curation.errors import NotPublished
from curation.publishing import manifest as manifests
from curation.publishing.storage import asking
from rules.errors import ConfigurationError

VERSION = re.compile(r"v\d+")


def found(where: str, revision: str | None) -> str:
    """Return the folder or address of a version; of the highest if it is None.

    Raises:
        ConfigurationError: there is none, it may not be read, or nothing here can open such an address.
        TransientError: the place is busy.
    """
    with asking(where, "tell its versions") as storage:
        if storage.read(manifests.NAME) is not None:  # the folder of a version itself
            return storage.where
        names = [name for name in storage.folders() if VERSION.fullmatch(name)]
        there = [name for name in names if storage.read(f"{name}/{manifests.NAME}") is not None]  # it is written last
    if not there:
        raise NotPublished(
            f"{storage.where} holds no data set: expected what `artune publish` wrote to, with v1, v2 and so on in it"
        )
    if revision is not None and revision not in there:
        raise ConfigurationError(f"{storage.where} has no version {revision}; its versions are {', '.join(there)}")
    return f"{storage.where}/{revision or max(there, key=lambda name: int(name[1:]))}"


def fetch(where: str, place: str, name: str, folder: Path) -> Path:
    """Copy a file into a folder; raises as `found`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with asking(place, f"give {name}") as storage:
        try:
            storage.files.get_file(f"{storage.root}/{name}", str(path))
        except FileNotFoundError:
            raise ConfigurationError(f"{place} has no {name}: expected what `artune publish` wrote") from None
    return path
