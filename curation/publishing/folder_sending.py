"""The files of a release on their way to a folder or bucket: Parquet files in batches, then pages, then the manifest.

Each batch leaves a note of what it sent, so that a call after a kill neither sends nor renders it again.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from curation.card import CONFIGS
from curation.memory import SPLITS
from curation.publishing import manifest, pages
from curation.publishing.folder_state import BEGUN, UNFINISHED
from curation.publishing.manifest import Manifest, PublishedFile
from curation.publishing.pages import CARD, Card, Contents, Pages
from curation.publishing.shards import Shard, described, rendered
from curation.publishing.storage import Storage, asking
from curation.store import digest
from rules.errors import ConfigurationError

OURS = re.compile(rf"({'|'.join(CONFIGS.values())})/({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet(\.part)?")


# `datasets` would take whatever is there already for the whole. It believes a card, and this one leads nowhere.
CARD_OF_NOTHING = b"""---
configs:
- config_name: default
  data_files: this-version-is-not-finished
---
"""


@dataclass(frozen=True, slots=True)
class Begin:
    """A version that is about to be written.

    Attributes:
        inputs: of the release.
    """

    where: str
    version: str
    inputs: str


def begin(task: Begin) -> None:
    """Let the place know that a version is being written, and of what."""
    with asking(task.where, f"write {task.version}") as storage:
        storage.write(json.dumps({"inputs": task.inputs}).encode(), f"{task.version}/{BEGUN}")
        storage.write(CARD_OF_NOTHING, f"{task.version}/{CARD}")


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are sent one after the other.

    Attributes:
        inputs: of the release.
        there: sizes in bytes of the files of this version that were there when somebody looked.
        earlier: the version that has some of the files already; None without one.
        held: what it holds under these names.
    """

    where: str
    version: str
    inputs: str
    shards: Sequence[Shard]
    there: Mapping[str, int]
    earlier: str | None
    held: Mapping[str, PublishedFile]

    @property
    def note(self) -> str:
        """The name of the note that tells that just this was sent."""
        files = [[shard.name, shard.sha256, shard.left_out.to_pylist()] for shard in self.shards]
        return f"{self.version}/{UNFINISHED}/{digest([self.inputs, manifest.VERSION, files])}.json"


@dataclass(frozen=True, slots=True)
class Sent:
    """One file.

    Attributes:
        is_new: the place did not have it, neither in this version nor in an earlier one.
    """

    name: str
    file: PublishedFile
    is_new: bool


def compare(batch: Batch) -> list[Sent]:
    """Return what would have to be sent; nothing is."""
    with asking(batch.where, f"read {batch.version}") as storage:
        noted = _noted(storage, batch)
    return noted or [_compared(batch, shard) for shard in batch.shards]


def _compared(batch: Batch, shard: Shard) -> Sent:
    if shard.known:
        file = shard.known
    else:
        with rendered(shard) as path:
            file = described(shard, path)
    return Sent(shard.name, file, is_new=batch.held.get(shard.name) != file)


def send(batch: Batch) -> list[Sent]:
    """Let a version have some files; one at a time is rendered.

    Raises:
        ConfigurationError: a file of the release changed on disk, or the place refuses.
        TransientError: the place is busy.
    """
    with asking(batch.where, f"write {batch.version}") as storage:
        found = _noted(storage, batch)
        if found is None:
            found = [_send(storage, batch, shard) for shard in batch.shards]
            note = {one.name: asdict(one.file) for one in found}
            storage.write(json.dumps(note, indent=1).encode(), batch.note)
    return found


def _noted(storage: Storage, batch: Batch) -> list[Sent] | None:
    """Return what an earlier call sent of just this batch, if all of it is still there."""
    note = storage.read(batch.note) if batch.there else None
    files = {name: PublishedFile(**file) for name, file in json.loads(note).items()} if note else {}
    if note is None or any(batch.there.get(name) != file.size_bytes for name, file in files.items()):
        return None
    return [Sent(name, file, is_new=False) for name, file in files.items()]


def _send(storage: Storage, batch: Batch, shard: Shard) -> Sent:
    name, held = f"{batch.version}/{shard.name}", batch.held.get(shard.name)
    if held is not None and held == shard.known:  # not even read
        storage.copy(f"{batch.earlier}/{shard.name}", name)
        return Sent(shard.name, held, is_new=False)
    with rendered(shard) as path:
        file = described(shard, path)
        if file == held:
            storage.copy(f"{batch.earlier}/{shard.name}", name)
        else:
            storage.put(path, name)
    return Sent(shard.name, file, is_new=file != held)


@dataclass(frozen=True, slots=True)
class Finish:
    """What is left when all Parquet files of a version are there.

    Attributes:
        card: of the version before.
    """

    where: str
    version: str
    contents: Contents
    card: Card | None


@dataclass(frozen=True, slots=True)
class Finished:
    """What was done, or would be.

    Attributes:
        pages: that were sent.
    """

    manifest: Manifest
    pages: Mapping[str, PublishedFile]
    hand_edited: bool
    tables_left_out: Sequence[str]


def preview(task: Finish) -> Finished:
    """Return what `finish` would do; nothing is."""
    with _pages(task) as (_, finished):
        return finished


def finish(task: Finish) -> Finished:
    """Write the pages, see whether everything is there, and say so by the manifest.

    Raises:
        ConfigurationError: somebody changed the place meanwhile, or it refuses.
        TransientError: it is busy.
    """
    with _pages(task) as (written, finished), asking(task.where, f"write {task.version}") as storage:
        for name, path in written.paths.items():
            if name != manifest.NAME:
                storage.put(path, f"{task.version}/{name}")
        there, wanted = storage.sizes(task.version), finished.manifest.files
        if lacking := sorted(name for name, file in wanted.items() if there.get(name) != file.size_bytes):
            raise ConfigurationError(
                f"{task.where}/{task.version} lacks {lacking[0]}, which it held before: somebody changed it meanwhile; "
                "run the same command again"
            )
        for name in there:
            if OURS.fullmatch(name) and name not in wanted:  # of an attempt before the release was changed by a purge
                storage.delete(f"{task.version}/{name}")
        storage.put(written.paths[manifest.NAME], f"{task.version}/{manifest.NAME}")
        storage.delete(f"{task.version}/{UNFINISHED}")
        return finished


@contextmanager
def _pages(task: Finish) -> Iterator[tuple[Pages, Finished]]:
    with pages.scratch(task.contents) as folder:
        written = pages.write(task.contents, task.card, folder)
        listed = written.manifest.files
        sent = {
            name: listed.get(name) or PublishedFile("", path.stat().st_size) for name, path in written.paths.items()
        }
        yield written, Finished(written.manifest, sent, written.hand_edited, written.tables_left_out)


@dataclass(frozen=True, slots=True)
class Tidy:
    """A version that is whole."""

    where: str
    version: str


def tidy(task: Tidy) -> None:
    """Remove the notes of a version that a kill left there."""
    with asking(task.where, f"write {task.version}") as storage:
        storage.delete(f"{task.version}/{UNFINISHED}")
