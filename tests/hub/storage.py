"""What a Hub keeps: content on disk, each once under its SHA-256, and commits that never change."""

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

BLOCK_BYTES = 1 << 20
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)  # of each repository's clock, which moves by a minute with each commit


class Blobs:
    """A folder of contents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def size_bytes(self, sha256: str) -> int:
        return self.path(sha256).stat().st_size

    def take(self, chunks: Iterable[bytes], wanted: str | None = None) -> str:
        """Keep a content that comes in pieces, and give its SHA-256.

        Raises:
            ValueError: it has another SHA-256 than `wanted`. Nothing is kept then, nor when the pieces break off.
        """
        digest = hashlib.sha256()
        with self.temporary() as temporary:
            with temporary.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            sha256 = digest.hexdigest()
            if wanted not in (None, sha256):
                raise ValueError(f"SHA-256 is {sha256}, not {wanted}")
            self.path(sha256).parent.mkdir(exist_ok=True)
            temporary.replace(self.path(sha256))
        return sha256

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """Give a file that is gone afterwards, unless it was moved."""
        with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
            path = Path(file.name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def parts(self, name: str) -> Path:
        """Give the folder of an upload that comes in parts."""
        folder = self._incoming / f"{name}.parts"
        folder.mkdir(exist_ok=True)
        return folder

    def join(self, name: str, numbers: Iterable[int], wanted: str) -> None:
        """Keep the content that these parts make.

        Raises:
            ValueError: it has another SHA-256 than `wanted`.
        """
        folder = self.parts(name)
        self.take((chunk for number in numbers for chunk in blocks(folder / str(number))), wanted)
        shutil.rmtree(folder)


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True, slots=True)
class File:
    """A file of a commit."""

    sha256: str
    size_bytes: int
    git_oid: str  # SHA-1 as git says it: of the content, or of the pointer to it
    pointer_bytes: int | None  # None: it lies in git itself
    path: Path  # of its content on this machine

    @property
    def is_lfs(self) -> bool:
        return self.pointer_bytes is not None

    def read(self) -> bytes:
        return self.path.read_bytes()


def lfs_file(blobs: Blobs, sha256: str) -> File:
    size = blobs.size_bytes(sha256)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return File(sha256, size, git_oid(pointer), len(pointer), blobs.path(sha256))


def git_file(blobs: Blobs, content: bytes) -> File:
    sha256 = blobs.take([content])
    return File(sha256, len(content), git_oid(content), None, blobs.path(sha256))


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    parent: "Commit | None"
    title: str
    description: str
    author: str
    date: datetime
    files: Mapping[str, File]  # by path, in its order

    def history(self) -> Iterator["Commit"]:
        """Give this one and those before it, the newest first."""
        commit: Commit | None = self
        while commit:
            yield commit
            commit = commit.parent


class Unknown(LookupError):
    """A revision that is not there."""


class Taken(ValueError):
    """A branch or a tag that is there already."""


class Tree:
    """Commits, and what points to them. Whoever changes it from several threads holds a lock.

    Args:
        seed: tells the ids of its commits from those of another tree.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.branches: dict[str, Commit] = {}
        self.tags: dict[str, Commit] = {}
        self._commits: dict[str, Commit] = {}

    def find(self, revision: str) -> Commit:
        """Give what a branch, a tag or an id names.

        Raises:
            Unknown: none is named so.
        """
        name = re.sub("^refs/(heads|tags)/", "", revision)
        found = self.branches.get(name) or self.tags.get(name) or self._commits.get(revision)
        if found is None:
            raise Unknown(revision)
        return found

    def commit(self, branch: str, files: Mapping[str, File], title: str, description: str, author: str) -> Commit:
        """Put a commit on a branch; the first one makes `main`."""
        parent = self.branches.get(branch)
        ordered = dict(sorted(files.items()))
        date = BEGINNING + timedelta(minutes=len(self._commits))
        said = [self._seed, parent and parent.id, title, description, author, date.isoformat()]
        listing = [[path, file.git_oid] for path, file in ordered.items()]
        id_ = hashlib.sha1(json.dumps([said, listing]).encode()).hexdigest()
        made = Commit(id_, parent, title, description, author, date, ordered)
        self._commits[id_] = self.branches[branch] = made
        return made

    def point(self, refs: dict[str, Commit], name: str, revision: str) -> None:
        """Let a new branch or tag point to a revision; `refs` is one of `branches` and `tags`.

        Raises:
            Taken: it is there.
            Unknown: the revision is not.
        """
        if name in refs:
            raise Taken(name)
        refs[name] = self.find(revision)
