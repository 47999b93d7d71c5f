"""A release on the Hugging Face Hub: what it lacks is sent to a branch, then `main` gets all at once, then a tag.

Killed or refused at any moment, the same call goes on from there: what the Hub holds, by hash, is the only memory.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from huggingface_hub import HfApi

from curation.batches import Each, in_threads
from curation.publishing import foreign, pages
from curation.publishing.hub_access import check_is_new, check_name, find
from curation.publishing.hub_errors import asking
from curation.publishing.hub_finishing import Finish, Finished, Seal, finish, preview, seal
from curation.publishing.hub_sending import Batch, Sent, compare, send
from curation.publishing.hub_state import CARD, KIND, Place, Revision, There, read_there
from curation.publishing.lawful import Chosen, choose
from curation.publishing.lineage import is_same, refuse_other
from curation.publishing.manifest import Manifest
from curation.publishing.outcome import Outcome
from curation.publishing.pages import Card, Contents
from curation.publishing.shards import Shard, shards
from curation.releases import Release, rule_set_of
from curation.store import Home
from rules.errors import ConfigurationError

MAX_COMMIT_FILES = 100  # as the Hub advises: https://huggingface.co/docs/hub/storage-limits
MAX_COMMIT_BYTES = 2_000_000_000  # a bar moves with each, and what a kill leaves without a commit is not much
MAX_FILES = 25_000  # that one commit, which is what `main` gets, may name
SPARE_DISK_BYTES = 100_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be published, and what is there; nothing of it would be refused."""

    release: Release
    place: Place
    chosen: Chosen
    shards: Sequence[Shard]
    there: There | None

    @property
    def done(self) -> tuple[Revision, Manifest] | None:
        """What holds the whole release already, and lacks its tag at most."""
        found = self.there and (self.there.tagged or self.there.main)
        if found and found.is_whole and found.manifest and is_same(self.release, self.chosen, found.manifest):
            return found, found.manifest
        return None


def check(home: Home, release: Release, repo_id: str) -> Outcome | None:
    """Return what `publish` would if nothing is left to do, else None; it sends nothing and reads no media.

    Raises:
        ConfigurationError: `publish` would refuse it.
        TransientError: the Hub is busy.
    """
    plan = _plan(home, release, repo_id, in_threads(1))
    if plan.done and plan.there and plan.there.tagged and plan.there.on_branch is None:
        return _nothing(plan, *plan.done)
    return None


def publish(home: Home, release: Release, repo_id: str, each: Each, *, private: bool) -> Outcome:
    """Let a repository hold a release, as its version vN.

    Args:
        private: a repository that is not there yet is for its owner only.

    Raises:
        ConfigurationError: a person has to mend something; the message says what. Nothing of others is overwritten.
        TransientError: the Hub is busy or cannot be reached.
    """
    plan = _plan(home, release, repo_id, each)
    if plan.there is None:
        each(create, [Creation(repo_id, private)], "make the repository")
        plan = _checked(home, replace(plan, there=each(look, [plan.place], "look")[0]))
    if plan.there is None:
        raise ConfigurationError(f"{repo_id} is there, and this token may not see it: expected one that may")
    if private and not plan.there.is_private:
        raise ConfigurationError(
            f"{repo_id} is public: expected it to be private; change that in its settings on the Hub, or leave out "
            "--private"
        )
    if plan.done:
        each(seal, [Seal(plan.place, plan.done[0].commit)], "tag")
        return replace(_nothing(plan, *plan.done), is_new=plan.there.tagged is None)
    _check_disk(home, plan.shards)
    sent: list[Sent] = []
    batches = _batches(plan, plan.there)
    for number, batch in enumerate(batches, 1):  # one after the other: commits to one branch would not bear another
        stage = "send" if len(batches) == 1 else f"send {number} of {len(batches)}"
        sent += each(send, [batch], stage)[0]
        logger.info("%s: %d of %d files are on the Hub", repo_id, len(sent), len(plan.shards))
    finished = each(finish, [_finish(plan, plan.there, sent)], "publish")[0]
    return _outcome(plan, plan.there, sent, finished)


def dry_run(home: Home, release: Release, repo_id: str, each: Each) -> Outcome:
    """Return what `publish` would do; nothing is sent. Raises as it, as far as can be said without sending."""
    plan = _plan(home, release, repo_id, each)
    if plan.done:
        return _nothing(plan, *plan.done)
    _check_disk(home, plan.shards)
    there = plan.there or There(Revision("", {}), None, None, None, is_private=True)
    sent = [one for found in each(compare, _batches(plan, there), "compare") for one in found]
    finished = each(preview, [_finish(plan, there, sent)], "preview")[0]
    return _outcome(plan, there, sent, finished)


def look(place: Place) -> There | None:
    """Return what a repository holds; None if there is no such repository, and one could be made."""
    with asking(place.repo_id, "read what is there") as api:
        is_private = find(api, place.repo_id)
        return None if is_private is None else read_there(api, place, is_private=is_private)


@dataclass(frozen=True, slots=True)
class Creation:
    """A repository to make."""

    repo_id: str
    is_private: bool


def create(task: Creation) -> None:
    """Make a repository, if nobody did so meanwhile."""
    with asking(task.repo_id, "make the repository") as api:
        # Not asked for, an organization's own default counts.
        api.create_repo(task.repo_id, private=task.is_private or None, repo_type=KIND, exist_ok=True)


def _plan(home: Home, release: Release, repo_id: str, each: Each) -> _Plan:
    """Look at the release and at what is there, and refuse whatever can be refused before anything is sent."""
    check_name(repo_id)
    chosen = choose(home, release)
    version = f"v{release.number}"
    place = Place(repo_id, version, f"artune-{version}-{release.manifest['inputs'][:12]}")
    there = each(look, [place], "look")[0]
    plan = _Plan(release, place, chosen, shards(home, release, chosen), there)
    if len(plan.shards) > MAX_FILES:
        raise ConfigurationError(f"{repo_id}: {len(plan.shards):,} files: expected at most {MAX_FILES:,} in one commit")
    return _checked(home, plan)


def _checked(home: Home, plan: _Plan) -> _Plan:
    """Refuse what does not go with what is there."""
    repo_id, there = plan.place.repo_id, plan.there
    if there is None:
        check_is_new(home, plan.release, repo_id, HfApi().endpoint)
    elif there.tagged:
        _refuse_tag(home, plan, there.tagged)
    else:
        if not plan.done:
            refuse_other(home, plan.release, there.main.manifest, repo_id)
        # Of what lacks its tag only, too: whatever is there by now would be part of the version.
        foreign.refuse(repo_id, there.main, {shard.name for shard in plan.shards})
        if not plan.done and (card := _card(plan.place, there)):
            pages.check(card)
    return plan


def _refuse_tag(home: Home, plan: _Plan, tagged: Revision) -> None:
    """Refuse a version that is there with something else in it."""
    if plan.done:
        return
    place = plan.place
    refuse_other(home, plan.release, tagged.manifest, place.repo_id)
    raise ConfigurationError(
        f"{place.repo_id} has a tag {place.version} that holds something else than release {plan.release.number} does "
        "now: a version never changes. Expected a later release; or, if nobody relies on it, delete the tag by `hf "
        f"repos tag delete {place.repo_id} {place.version} --repo-type {KIND}` and run the same command again"
    )


def _check_disk(home: Home, files: Sequence[Shard]) -> None:
    """Refuse before anything is sent if the largest file that has to be written anew does not fit."""
    largest = max(files, key=lambda shard: shard.max_bytes)
    needed, free = largest.max_bytes + SPARE_DISK_BYTES, shutil.disk_usage(home.local).free
    if largest.max_bytes and needed > free:
        raise ConfigurationError(
            f"{home.local}: {needed:,} bytes needed to write {largest.name} as it may be published, {free:,} free"
        )


def _batches(plan: _Plan, there: There) -> list[Batch]:
    found = []
    for part in _parts(plan.shards):
        held, gathered = (
            {shard.name: files[shard.name] for shard in part if shard.name in files}
            for files in (there.main.files, there.on_branch or {})
        )
        found.append(Batch(plan.place, there.main.commit, part, held, gathered))
    return found


def _parts(files: Sequence[Shard]) -> Iterator[Sequence[Shard]]:
    """Cut files into what one commit to the branch takes, one file at least."""
    start, size_bytes = 0, 0
    for at, shard in enumerate(files):
        size_bytes += shard.size_bytes
        if at > start and (at - start == MAX_COMMIT_FILES or size_bytes > MAX_COMMIT_BYTES):
            yield files[start:at]
            start, size_bytes = at, shard.size_bytes
    yield files[start:]


def _finish(plan: _Plan, there: There, sent: Sequence[Sent]) -> Finish:
    place = plan.place
    contents = Contents(
        release=plan.release,
        rule_set=rule_set_of(plan.release),
        chosen=plan.chosen,
        files={one.name: one.content.file for one in sent},
        location=place.repo_id,
        revision=place.version,
        homepage=f"{HfApi().endpoint}/datasets/{place.repo_id}",
    )
    content = {one.name: one.content for one in sent}
    return Finish(place, there.main, _card(place, there), contents, content, there.on_branch or {})


def _card(place: Place, there: There) -> Card | None:
    if there.card is None:
        return None
    return Card(there.card, there.main.manifest, f"{place.repo_id}: {CARD}")


def _outcome(plan: _Plan, there: There, sent: Sequence[Sent], finished: Finished) -> Outcome:
    files = {one.name: one.content.file for one in sent if one.is_new} | dict(finished.sent)
    return replace(
        _nothing(plan, there.main, finished.manifest),
        commit=finished.commit,
        is_new=True,
        sent_files=sorted(files),
        sent_bytes=sum(file.size_bytes for file in files.values()),
        deleted=finished.deleted,
        replaced=foreign.changed_by_hand(there.main),
        hand_edited=finished.hand_edited,
        tables_left_out=finished.tables_left_out,
    )


def _nothing(plan: _Plan, revision: Revision, manifest: Manifest) -> Outcome:
    """Return the outcome of a publication that sends nothing."""
    return Outcome(
        where=plan.place.repo_id,
        location=plan.place.repo_id,
        version=plan.place.version,
        commit=revision.commit,
        is_new=False,
        sent_files=(),
        sent_bytes=0,
        deleted=(),
        replaced=(),
        left_alone=foreign.left_alone(revision),
        hand_edited=False,
        tables_left_out=(),
        embedded=len(plan.chosen.embedded),
        referenced=len(plan.chosen.referenced),
        excluded=len(plan.chosen.excluded),
        manifest=manifest,
    )
