"""The branch on which the files of a version gather: each is sent by itself, and many are committed together."""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import HfHubHTTPError

from curation.publishing.hub_errors import asking
from curation.publishing.hub_state import KIND, Content, Place, Stored, refs, some
from rules.errors import ConfigurationError

MAX_NAMED = 5


class Branch:
    """Files on their way to a branch.

    Args:
        base: the commit of `main` that the branch begins with, if it is not there yet. It is no matter which: only
            files that were compared are ever taken from the branch.
        names: of the files that may be added.

    Attributes:
        head: its last commit; None if it is not there.
        gathered: which of the named files it holds, of an earlier attempt.
    """

    def __init__(self, place: Place, base: str, names: list[str]) -> None:
        self._place, self._base = place, base
        with asking(place.repo_id, f"read the branch {place.branch}") as api:
            self.head = refs(api, place.repo_id)[0].get(place.branch)
            self.gathered = some(api, place.repo_id, self.head, names) if self.head else {}
        self._waiting: dict[str, Content] = {}
        self._additions: list[CommitOperationAdd] = []

    def add(self, name: str, path: Path, content: Content) -> None:
        """Send a file, which may be removed then; it is on the branch after `commit`."""
        addition = CommitOperationAdd(name, path)
        addition.upload_info.sha256 = bytes.fromhex(content.file.sha256)  # or it would be read once more
        repo_id, branch = self._place.repo_id, self._place.branch
        with asking(repo_id, f"send {name}") as api:
            if self.head is None:
                api.create_branch(repo_id, branch=branch, revision=self._base, repo_type=KIND, exist_ok=True)
                self.head = self._base
            api.preupload_lfs_files(repo_id, [addition], repo_type=KIND, revision=branch)
        self._waiting[name] = content
        self._additions.append(addition)
        if addition.path_or_fileobj != b"":  # not sent: the commit itself is to hold it, or it is to be ignored
            if content.git_sha1 is None:
                self._refuse_ignored([name])
            addition.path_or_fileobj = path.read_bytes()

    def commit(self) -> None:
        """Put the files that were sent on the branch.

        Raises:
            ConfigurationError: the Hub dropped some of them, for somebody's .gitignore names them.
        """
        if not self._additions:
            return
        repo_id = self._place.repo_id
        with asking(repo_id, f"commit to the branch {self._place.branch}") as api:
            self.head = api.create_commit(
                repo_id,
                self._additions,
                commit_message=f"Gather {len(self._additions)} files of {self._place.version}",
                repo_type=KIND,
                revision=self._place.branch,
            ).oid
            found = some(api, repo_id, self.head, list(self._waiting))
        if dropped := absent(self._waiting, found):
            self._refuse_ignored(dropped)
        self._waiting, self._additions = {}, []

    def _refuse_ignored(self, names: list[str]) -> NoReturn:
        """Say that somebody's .gitignore names files; the branch, which has it too, goes: what was sent is kept."""
        delete_branch(self._place)
        raise ConfigurationError(
            f"{self._place.repo_id}: the Hub leaves out {named(names)}: expected no .gitignore there that names files "
            "of artune; change or delete it, then run the same command again"
        )


def delete_branch(place: Place) -> None:
    """Delete a branch that is there; no matter if another publisher of the same release was faster."""
    with asking(place.repo_id, f"delete the branch {place.branch}") as api:
        try:
            api.delete_branch(place.repo_id, branch=place.branch, repo_type=KIND)
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise


def absent(wanted: Mapping[str, Content], found: Mapping[str, Stored]) -> list[str]:
    """Return the names of the files that are not there as they have to be."""
    return [name for name, content in wanted.items() if not content.is_in(found.get(name))]


def named(names: list[str]) -> str:
    """Return the first few names for a message."""
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
