"""Repositories of a Hub, and the way for a test to look into one and to change it as somebody else would."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

from tests.hub import checking
from tests.hub.storage import Blobs, Commit, File, Tree, Unknown, blocks, git_file, lfs_file

Kind = Literal["model", "dataset", "space"]
ADDRESSES: Mapping[Kind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}


class Xet(Protocol):
    """A storage beside the Hub, to which clients send chunks of files."""

    def access(self) -> tuple[int, Mapping[str, str], bytes]:
        """Give the answer that lets a client in: status, headers, body."""

    def size_bytes(self, sha256: str) -> int | None:
        """Give the size of a file, None if nobody sent it."""

    def content(self, sha256: str) -> Iterator[bytes]: ...


class Repo:
    """One repository.

    Attributes:
        known: SHA-256 of the large files that were sent to it; a Hub shares none between repositories.
        lock: whoever changes it holds it.
    """

    def __init__(self, blobs: Blobs, repo_id: str, kind: Kind, private: bool, xet: Xet | None = None) -> None:
        self.id, self.kind, self.private = repo_id, kind, private
        self.blobs, self._xet = blobs, xet
        self.tree = Tree(self.address)
        self.known: set[str] = set()
        self.lock = threading.RLock()
        attributes = git_file(blobs, checking.GITATTRIBUTES.encode())
        owner = repo_id.partition("/")[0]
        self.tree.commit("main", {".gitattributes": attributes}, "initial commit", "", owner)

    @property
    def address(self) -> str:
        return self.address_of(self.kind, self.id)

    @staticmethod
    def address_of(kind: Kind, repo_id: str) -> str:
        """Give the path of a repository's page."""
        return f"{ADDRESSES[kind]}{repo_id}"

    def has(self, sha256: str) -> bool:
        """Tell whether a large file was sent for this repository; one that Xet holds is brought here."""
        if sha256 not in self.known and self._xet and self._xet.size_bytes(sha256) is not None:
            self.blobs.take(self._xet.content(sha256), sha256)
            self.known.add(sha256)
        return sha256 in self.known

    def files(self, revision: str = "main") -> dict[str, File]:
        """Give the files of a revision by path: `sha256`, `size_bytes`, `is_lfs`, `path` of the bytes, `read()`.

        Raises:
            Unknown: there is no such revision.
        """
        return dict(self.tree.find(revision).files)

    def hashes(self, revision: str = "main") -> dict[str, str]:
        """Give the SHA-256 of each file by path, without .gitattributes."""
        return {path: file.sha256 for path, file in self.files(revision).items() if path != ".gitattributes"}

    def read(self, path: str, revision: str = "main") -> bytes:
        return self.files(revision)[path].read()

    def commits(self, revision: str = "main") -> list[Commit]:
        """Give the commits that lead to a revision, the newest first."""
        return list(self.tree.find(revision).history())

    @property
    def branches(self) -> dict[str, str]:
        """Give the commit id of each branch by name."""
        return {name: commit.id for name, commit in self.tree.branches.items()}

    @property
    def tags(self) -> dict[str, str]:
        return {name: commit.id for name, commit in self.tree.tags.items()}

    @property
    def head(self) -> str:
        return self.branches["main"]

    def add_commit(
        self,
        changes: Mapping[str, bytes | Path | None],
        branch: str = "main",
        title: str = "Somebody changes something",
        author: str = "somebody",
    ) -> str:
        """Commit as somebody else would, and give the commit's id.

        Args:
            changes: content by path; None: the file goes.
        """
        with self.lock:
            files = self.files(branch)
            for path, content in changes.items():
                if content is None:
                    del files[path]
                else:
                    files[path] = self._file(path, content)
            return self.commit(branch, files, title, "", author).id

    def commit(self, branch: str, files: Mapping[str, File], title: str, description: str, author: str) -> Commit:
        """Commit what the branch is to hold, and let .gitattributes name what lies in LFS."""
        before = self.attributes(branch)
        after = files[".gitattributes"].read().decode() if ".gitattributes" in files else before
        tracked = checking.tracked(after, [path for path, file in files.items() if file.is_lfs])
        if tracked != after:
            files = {**files, ".gitattributes": git_file(self.blobs, tracked.encode())}
        return self.tree.commit(branch, files, title, description, author)

    def attributes(self, revision: str) -> str:
        return self._text(".gitattributes", revision)

    def ignored(self, revision: str) -> str:
        return self._text(".gitignore", revision)

    def goes_to_lfs(self, path: str, size_bytes: int, sample: bytes, attributes: str) -> bool:
        if size_bytes > checking.MAX_GIT_BYTES or checking.in_lfs(path, attributes):
            return True
        return checking.is_binary(sample, is_whole=size_bytes <= len(sample))

    def tag(self, name: str, revision: str = "main") -> None:
        with self.lock:
            self.tree.point(self.tree.tags, name, revision)

    def branch(self, name: str, revision: str = "main") -> None:
        with self.lock:
            self.tree.point(self.tree.branches, name, revision)

    def _text(self, path: str, revision: str) -> str:
        try:
            file = self.files(revision).get(path)
        except Unknown:
            return ""
        return file.read().decode() if file else ""

    def _file(self, path: str, content: bytes | Path) -> File:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        first = content if isinstance(content, bytes) else next(blocks(content), b"")
        if not self.goes_to_lfs(path, size, first[:512], self.attributes("main")):
            return git_file(self.blobs, content if isinstance(content, bytes) else content.read_bytes())
        sha256 = self.blobs.take([content] if isinstance(content, bytes) else blocks(content))
        self.known.add(sha256)
        return lfs_file(self.blobs, sha256)
