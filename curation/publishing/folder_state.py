"""What a folder or bucket holds of a data set: its versions."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from curation.publishing import manifest
from curation.publishing.manifest import Manifest
from curation.publishing.pages import CARD
from curation.publishing.storage import Storage, asking

UNFINISHED = "artune.unfinished"  # a folder with notes of what was sent; while it is there, its version is not whole
BEGUN = f"{UNFINISHED}/begun.json"


@dataclass(frozen=True, slots=True)
class Version:
    """A version that is there, as far as it is.

    Attributes:
        sizes: in bytes, of its files by name.
        manifest: None while it is not whole.
        card: its README.md.
        inputs: of the release that an unfinished one is of.
    """

    sizes: Mapping[str, int]
    manifest: Manifest | None
    card: bytes | None
    inputs: str | None

    @property
    def is_whole(self) -> bool:
        """Whether there is a card, and all that a manifest lists."""
        files = self.manifest.files if self.manifest else {"": None}
        return CARD in self.sizes and all(
            file and self.sizes.get(name) == file.size_bytes for name, file in files.items()
        )


@dataclass(frozen=True, slots=True)
class Look:
    """A place to look at, for a version."""

    where: str
    version: str


def look(task: Look) -> tuple[Version, Version | None]:
    """Return what a place holds of a version, and the highest version with a manifest.

    Raises:
        ConfigurationError: it may not be read, or holds a manifest that is none.
        TransientError: it is busy.
    """
    with asking(task.where, "read what is there") as storage:
        names = [name for name in storage.folders() if re.fullmatch(r"v[1-9]\d*", name)]
        this = _read(storage, task.version)
        for name in sorted(names, key=lambda name: int(name[1:]), reverse=True):
            found = this if name == task.version else _read(storage, name)
            if found.manifest:
                return this, found
    return this, None


def _read(storage: Storage, version: str) -> Version:
    listed = storage.read(f"{version}/{manifest.NAME}")
    begun = storage.read(f"{version}/{BEGUN}")
    return Version(
        sizes=storage.sizes(version),
        manifest=manifest.read(listed, f"{storage.where}/{version}/{manifest.NAME}") if listed is not None else None,
        card=storage.read(f"{version}/{CARD}"),
        inputs=str(json.loads(begun)["inputs"]) if begun else None,
    )
