"""From the branch to `main` in one commit, and to the tag: readers see the version before, or this one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from huggingface_hub import CommitOperationCopy, CommitOperationDelete

from curation.publishing import pages
from curation.publishing.hub_branch import Branch, absent, delete_branch, named
from curation.publishing.hub_errors import asking
from curation.publishing.hub_state import (
    KIND,
    Content,
    Place,
    Revision,
    Stored,
    content_of,
    refs,
    tree,
)
from curation.publishing.manifest import Manifest, PublishedFile
from curation.publishing.pages import Card, Contents, Pages
from curation.store import file_sha256
from rules.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Finish:
    """What is left when all Parquet files are on main or on the branch.

    Attributes:
        main: as it was when the publication began.
        shards: the Parquet files, by name.
        gathered: what the branch held when somebody looked.
    """

    place: Place
    main: Revision
    card: Card | None
    contents: Contents
    shards: Mapping[str, Content]
    gathered: Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Finished:
    """What was done, or would be.

    Attributes:
        commit: that the tag stands on; None if nothing was done.
        sent: pages that the Hub did not have.
    """

    commit: str | None
    manifest: Manifest
    sent: Mapping[str, PublishedFile]
    deleted: Sequence[str]
    hand_edited: bool
    tables_left_out: Sequence[str]


def preview(task: Finish) -> Finished:
    """Return what `finish` would do; nothing is."""
    with _pages(task) as (written, contents):
        sent = {name: one.file for name, one in contents.items() if _is_new(task, name, one, task.gathered)}
        stale = _stale(task, {**task.shards, **contents})
        return Finished(None, written.manifest, sent, stale, written.hand_edited, written.tables_left_out)


def finish(task: Finish) -> Finished:
    """Write the pages, and let main and the tag have everything; whatever of it is done already stays.

    Raises:
        ConfigurationError: somebody changed the repository meanwhile, or the Hub refuses.
        TransientError: the Hub is busy.
    """
    place, sent = task.place, {}
    with _pages(task) as (written, contents):
        wanted = {**task.shards, **contents}
        stale = _stale(task, wanted)
        with asking(place.repo_id, "look at main") as api:
            head = refs(api, place.repo_id)[0].get("main", "")
        if head == task.main.commit:
            branch = Branch(place, head, list(contents))
            sent = _send_pages(task, branch, written, contents)
            head = _commit(task, branch, wanted, stale)
        _check(place, head, wanted, stale)
        seal(Seal(place, head))
        return Finished(head, written.manifest, sent, stale, written.hand_edited, written.tables_left_out)


@contextmanager
def _pages(task: Finish) -> Iterator[tuple[Pages, dict[str, Content]]]:
    with pages.scratch(task.contents) as folder:
        written = pages.write(task.contents, task.card, folder)
        contents = {}
        for name, path in written.paths.items():
            contents[name] = content_of(PublishedFile(file_sha256(path), path.stat().st_size), path)
        yield written, contents


def _stale(task: Finish, wanted: Mapping[str, Content]) -> list[str]:
    """Return the files of artune on main that this version has no more."""
    listed = task.main.manifest.files if task.main.manifest else {}
    return sorted(name for name in listed if name in task.main.files and name not in wanted)


def _is_new(task: Finish, name: str, content: Content, gathered: Mapping[str, Stored]) -> bool:
    return not content.is_in(task.main.files.get(name)) and not content.is_in(gathered.get(name))


def _send_pages(
    task: Finish, branch: Branch, written: Pages, contents: Mapping[str, Content]
) -> dict[str, PublishedFile]:
    """Put pages on the branch, as all other files, so that what the Hub makes of them is seen before main has them."""
    new = {name: content for name, content in contents.items() if _is_new(task, name, content, branch.gathered)}
    for name, content in new.items():
        branch.add(name, written.paths[name], content)
    branch.commit()
    return {name: content.file for name, content in new.items()}


def _commit(task: Finish, branch: Branch, wanted: Mapping[str, Content], stale: Sequence[str]) -> str:
    """Put everything that differs on main at once, unless somebody changed that meanwhile; return the commit."""
    place = task.place
    changed = {name: wanted[name] for name in absent(wanted, task.main.files)}
    if not changed and not stale:
        return task.main.commit
    with asking(place.repo_id, f"read the branch {place.branch}") as api:
        gathered = tree(api, place.repo_id, branch.head) if branch.head else {}
    if lacking := absent(changed, gathered):
        raise ConfigurationError(
            f"{place.repo_id}: the branch {place.branch} lacks {named(lacking)}, which it held before: somebody "
            "changed it meanwhile; nothing was published. Run the same command again"
        )
    operations = [CommitOperationCopy(name, name, src_revision=branch.head) for name in changed]
    with asking(place.repo_id, f"commit {place.version} to main") as api:
        commit = api.create_commit(
            place.repo_id,
            [*operations, *map(CommitOperationDelete, stale)],
            commit_message=f"Publish {place.version} of {task.contents.rule_set.name}",
            repo_type=KIND,
            revision="main",
            parent_commit=task.main.commit,
        )
    return commit.oid


def _check(place: Place, commit: str, wanted: Mapping[str, Content], stale: Sequence[str]) -> None:
    """Refuse to tag what is not just what was sent: somebody else's commit, most likely."""
    with asking(place.repo_id, "read main") as api:
        found = tree(api, place.repo_id, commit)
    wrong = absent(wanted, found) + [name for name in stale if name in found]
    if wrong:
        raise ConfigurationError(
            f"{place.repo_id}: somebody changed main meanwhile, it differs in {named(wrong)}: nothing of theirs is "
            f"overwritten, and {place.version} is not tagged yet. Run the same command again"
        )


@dataclass(frozen=True, slots=True)
class Seal:
    """A commit that holds a whole version."""

    place: Place
    commit: str


def seal(task: Seal) -> None:
    """Give a commit the tag of its version, and delete the branch, if that is not done yet.

    Branches of earlier attempts that never ended go with it: no later one can take from them, and they may hold media
    that a removal or another license keeps out since.

    Raises:
        ConfigurationError: somebody else gave the tag to another commit.
        TransientError: the Hub is busy.
    """
    place = task.place
    with asking(place.repo_id, f"tag {place.version}") as api:
        branches, tags = refs(api, place.repo_id)
        if place.version not in tags:
            api.create_tag(place.repo_id, tag=place.version, revision=task.commit, repo_type=KIND)
    if tags.get(place.version, task.commit) != task.commit:
        raise ConfigurationError(
            f"{place.repo_id}: somebody tagged another commit as {place.version} meanwhile; run the same command again "
            "to see what it holds"
        )
    for name in sorted(branches, key=lambda name: name == place.branch):  # last the one that makes a rerun come here
        if _is_spent(name, place):
            delete_branch(replace(place, branch=name))


def _is_spent(name: str, place: Place) -> bool:
    """Say whether a branch gathered files of a version that is not after this one."""
    found = re.fullmatch(r"artune-v(\d+)-[0-9a-f]{12}", name, re.ASCII)
    return found is not None and int(found[1]) <= int(place.version.removeprefix("v"))
