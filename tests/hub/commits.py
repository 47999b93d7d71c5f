"""POST /api/.../commit/{branch}: operations, a line of JSON each, that become one commit or none."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.hub import checking
from tests.hub.limits import Limits
from tests.hub.repos import Repo
from tests.hub.server import Body, Refusal
from tests.hub.storage import Commit, File, git_file, lfs_file

TOO_LARGE = (
    "Your push was rejected because it contains files larger than 10 MiB. Please use https://git-lfs.github.com/"
)
BINARY = "Your push was rejected because it contains binary files. Please use https://huggingface.co/docs/hub/xet"
NO_FILE = "A file with this name doesn't exist"


@dataclass
class Wanted:
    """What a client wants in a commit."""

    title: str = ""
    description: str = ""
    parent: str | None = None
    operations: list[Callable[[dict[str, File]], None]] = field(default_factory=list)
    attributes: str | None = None  # the .gitattributes of this very commit


def commit(repo: Repo, branch: str, body: Body, author: str, limits: Limits) -> Commit:
    """Carry out what the lines of a body say.

    Raises:
        Refusal: nothing is changed then.
    """
    wanted = _read(repo, body, limits)
    if not wanted.title:
        raise Refusal(400, '"summary" is not allowed to be empty')
    with repo.lock:
        if branch not in repo.tree.branches:
            raise Refusal(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = repo.tree.branches[branch]
        if wanted.parent and not head.id.startswith(wanted.parent.lower()):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for operation in wanted.operations:
            operation(files)
        _check(repo, head, files)
        return repo.commit(branch, files, wanted.title, wanted.description, author)


def _read(repo: Repo, body: Body, limits: Limits) -> Wanted:
    wanted = Wanted()
    size = 0
    for line in body.lines():
        size += len(line)
        if size > limits.commit_bytes:
            raise Refusal(413, "Payload Too Large")
        try:
            said = json.loads(line)
            key, value = said["key"], said["value"]
        except (ValueError, KeyError, TypeError):
            raise Refusal(400, "Invalid JSON in the lines of the commit") from None
        if key == "header":
            wanted.title, wanted.description = value["summary"], value.get("description", "")
            wanted.parent = value.get("parentCommit")
        else:
            wanted.operations.append(_operation(repo, key, value))
            if len(wanted.operations) > limits.commit_files:
                raise Refusal(413, f"Too many files: a commit may change {limits.commit_files}")
    return wanted


def _operation(repo: Repo, key: str, value: dict[str, Any]) -> Callable[[dict[str, File]], None]:
    path = value["path"]
    if any(part in ("", ".", "..", ".git") for part in path.rstrip("/").split("/")):
        raise Refusal(400, f"Invalid path: {path}")
    if key == "file":
        return _put(path, git_file(repo.blobs, base64.b64decode(value["content"])))
    if key == "lfsFile":
        return _put(path, _large(repo, value))
    if key == "deletedFile":
        return _delete(path)
    if key == "deletedFolder":
        return _delete_folder(path.rstrip("/") + "/")
    raise Refusal(400, f"Unknown operation: {key}")


def _large(repo: Repo, value: dict[str, Any]) -> File:
    oid = value["oid"]
    if not repo.has(oid):
        raise Refusal(400, f"LFS pointer pointed to a file that does not exist. Offending files: - {value['path']}")
    file = lfs_file(repo.blobs, oid)
    if value.get("size") not in (None, file.size_bytes):  # a copy comes without one
        raise Refusal(400, f"LFS pointer says another size than the file has. Offending files: - {value['path']}")
    return file


def _put(path: str, file: File) -> Callable[[dict[str, File]], None]:
    def put(files: dict[str, File]) -> None:
        files[path] = file

    return put


def _delete(path: str) -> Callable[[dict[str, File]], None]:
    def delete(files: dict[str, File]) -> None:
        if files.pop(path, None) is None:
            raise Refusal(404, NO_FILE, "EntryNotFound")

    return delete


def _delete_folder(folder: str) -> Callable[[dict[str, File]], None]:
    def delete(files: dict[str, File]) -> None:
        inside = [path for path in files if path.startswith(folder)]
        if not inside:
            raise Refusal(404, NO_FILE, "EntryNotFound")
        for path in inside:
            del files[path]

    return delete


def _check(repo: Repo, head: Commit, files: dict[str, File]) -> None:
    """Look at what is new as the Hub does when something is pushed."""
    for path, file in files.items():
        if file.is_lfs or file == head.files.get(path):
            continue
        if file.size_bytes > checking.MAX_GIT_BYTES:
            raise Refusal(400, f"{TOO_LARGE} Offending files: - {path}")
        content = file.read()
        if checking.is_binary(content, is_whole=True):
            raise Refusal(400, f"{BINARY} Offending files: - {path}")
        if path == "README.md" and (errors := checking.check_card(content.decode(), repo.kind)[0]):
            raise Refusal(400, f"Invalid metadata in README.md: {'; '.join(errors)}")
    for path in files:
        folder = path.rpartition("/")[0]
        if folder in files:
            raise Refusal(400, f"{folder} cannot be a file and a folder")
