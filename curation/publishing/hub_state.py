"""What a repository on the Hub holds: commits, the files of a revision by hash, the publication in it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import HfApi, RepoFile, get_session, hf_hub_url
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined] # they are public

from curation.publishing import manifest
from curation.publishing.manifest import Manifest, PublishedFile
from rules.errors import ConfigurationError

CARD = "README.md"
KIND = "dataset"
MAX_GIT_BYTES = 10_000_000  # the Hub keeps no larger file in git itself: https://huggingface.co/docs/hub/storage-limits
MAX_PAGE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a release goes.

    Attributes:
        branch: where its files gather before `main` gets them all at once.
    """

    repo_id: str
    version: str
    branch: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as the Hub holds it.

    Attributes:
        oid: sha256 of a file in LFS or Xet; of one in git itself, git's sha1.
    """

    oid: str
    is_lfs: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """What a file has to hold.

    Attributes:
        git_sha1: by which git knows it; None of a file that is too large for git.
    """

    file: PublishedFile
    git_sha1: str | None

    def is_in(self, stored: Stored | None) -> bool:
        return stored is not None and stored.oid == (self.file.sha256 if stored.is_lfs else self.git_sha1)


def content_of(file: PublishedFile, path: Path) -> Content:
    """Return what a file on disk holds, by both of its names."""
    if file.size_bytes > MAX_GIT_BYTES:
        return Content(file, None)
    head = f"blob {file.size_bytes}\0".encode()
    return Content(file, hashlib.sha1(head + path.read_bytes(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit with its files.

    Attributes:
        manifest: that is among them.
        is_whole: it is of the version that is to be published, and all that it lists is there; False of other versions.
    """

    commit: str
    files: Mapping[str, Stored]
    manifest: Manifest | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class There:
    """What a repository holds.

    Attributes:
        card: of main.
        tagged: what has the tag of the version that is to be published.
        on_branch: files of the branch of an earlier attempt; None without one.
    """

    main: Revision
    card: bytes | None
    tagged: Revision | None
    on_branch: Mapping[str, Stored] | None
    is_private: bool


def read_there(api: HfApi, place: Place, *, is_private: bool) -> There:
    """Return what a repository that exists holds."""
    branches, tags = refs(api, place.repo_id)
    if "main" not in branches:
        raise ConfigurationError(f"{place.repo_id} has no branch main: expected one; make it by a first commit there")
    main, tag = _revision(api, place, branches["main"]), tags.get(place.version)
    return There(
        main=main,
        card=page(api, place.repo_id, main, CARD) if CARD in main.files else None,
        tagged=(main if tag == main.commit else _revision(api, place, tag)) if tag else None,
        on_branch=tree(api, place.repo_id, branches[place.branch]) if place.branch in branches else None,
        is_private=is_private,
    )


def refs(api: HfApi, repo_id: str, kind: str = KIND) -> tuple[dict[str, str], dict[str, str]]:
    """Return the commits of branches and of tags by their names."""
    found = api.list_repo_refs(repo_id, repo_type=kind)
    branches, tags = ({ref.name: ref.target_commit for ref in part} for part in (found.branches, found.tags))
    return branches, tags


def tree(api: HfApi, repo_id: str, commit: str, kind: str = KIND) -> dict[str, Stored]:
    """Return all files of a commit."""
    return _stored(api.list_repo_tree(repo_id, recursive=True, revision=commit, repo_type=kind))


def some(api: HfApi, repo_id: str, commit: str, names: list[str]) -> dict[str, Stored]:
    """Return those of at most 1,000 files that a commit has."""
    return _stored(api.get_paths_info(repo_id, names, revision=commit, repo_type=KIND))


def _stored(entries: Iterable[object]) -> dict[str, Stored]:
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return {
        file.path: Stored(file.lfs.sha256 if file.lfs else file.blob_id, bool(file.lfs), file.size) for file in files
    }


def _revision(api: HfApi, place: Place, commit: str) -> Revision:
    bare = Revision(commit, tree(api, place.repo_id, commit))
    if manifest.NAME not in bare.files:
        return bare
    where = f"{place.repo_id} at {commit[:8]}: {manifest.NAME}"
    found = manifest.read(page(api, place.repo_id, bare, manifest.NAME), where)
    return replace(bare, manifest=found, is_whole=found.version == place.version and _is_whole(api, place, bare, found))


def page(api: HfApi, repo_id: str, revision: Revision, name: str, kind: str = KIND) -> bytes:
    """Return the bytes of a small file.

    Raises:
        ConfigurationError: it is too large to be a page of artune.
    """
    size_bytes = revision.files[name].size_bytes
    if size_bytes > MAX_PAGE_BYTES:
        raise ConfigurationError(f"{repo_id}: {name} has {size_bytes:,} bytes: expected at most {MAX_PAGE_BYTES:,}")
    url = hf_hub_url(repo_id, name, repo_type=kind, revision=revision.commit, endpoint=api.endpoint)
    response = get_session().get(url, headers=build_hf_headers(token=api.token))
    hf_raise_for_status(response)
    return bytes(response.content)


def _is_whole(api: HfApi, place: Place, revision: Revision, listed: Manifest) -> bool:
    """Say whether a revision holds all files of its manifest, and a card."""
    return CARD in revision.files and all(
        _sha256(api, place.repo_id, revision, name, file.size_bytes) == file.sha256
        for name, file in listed.files.items()
    )


def _sha256(api: HfApi, repo_id: str, revision: Revision, name: str, size_bytes: int) -> str | None:
    """Return the sha256 of a file, None if it has another size; one in git itself has to be read."""
    stored = revision.files.get(name)
    if stored is None or stored.size_bytes != size_bytes:
        return None
    return stored.oid if stored.is_lfs else hashlib.sha256(page(api, repo_id, revision, name)).hexdigest()
