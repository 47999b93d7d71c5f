"""A release in a folder or bucket, by fsspec: each version is a folder vN of its own.

Its manifest is written last, so a version that has one is whole. What an earlier version has is copied there, not sent.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from curation.batches import Each, in_threads
from curation.card import CONFIGS
from curation.publishing import manifest, pages
from curation.publishing.folder_sending import (
    OURS,
    Batch,
    Begin,
    Finish,
    Finished,
    Sent,
    Tidy,
    begin,
    compare,
    finish,
    preview,
    send,
    tidy,
)
from curation.publishing.folder_state import UNFINISHED, Look, Version, look
from curation.publishing.foreign import STEERING
from curation.publishing.lawful import Chosen, choose
from curation.publishing.lineage import is_same, refuse_other
from curation.publishing.manifest import Manifest
from curation.publishing.outcome import Outcome
from curation.publishing.pages import CARD, Card, Contents
from curation.publishing.shards import Shard, shards
from curation.publishing.storage import Storage, opened
from curation.releases import Release, rule_set_of
from curation.store import Home
from rules.errors import ConfigurationError

BATCH_FILES = 10  # what is sent again at most after a kill
SPARE_DISK_BYTES = 100_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be published, and what is there; nothing of it would be refused.

    Attributes:
        where: a whole path, or an address.
        named: as the user wrote it.
        there: this version, as far as it is there.
        last: the highest version that is whole.
    """

    release: Release
    where: str
    named: str
    chosen: Chosen
    shards: Sequence[Shard]
    there: Version
    last: Version | None

    @property
    def version(self) -> str:
        return f"v{self.release.number}"

    @property
    def done(self) -> Manifest | None:
        """The manifest of this very version, if it is there."""
        found = self.there.manifest
        return found if found and self.there.is_whole and is_same(self.release, self.chosen, found) else None


def check(home: Home, release: Release, where: str) -> Outcome | None:
    """Return what `publish` would if nothing is left to do, else None; it writes nothing and reads no media.

    Raises:
        ConfigurationError: `publish` would refuse it.
        TransientError: the place is busy.
    """
    plan = _plan(home, release, where, in_threads(1))
    return _nothing(plan, plan.done) if plan.done and plan.there.inputs is None else None


def publish(home: Home, release: Release, where: str, each: Each) -> Outcome:
    """Let a folder or bucket hold a release, as its folder vN.

    Raises:
        ConfigurationError: a person has to mend something; the message says what. Nothing of others is overwritten.
        TransientError: the place is busy or cannot be reached.
    """
    plan = _plan(home, release, where, each)
    if plan.done:
        if plan.there.inputs is not None:
            each(tidy, [Tidy(plan.where, plan.version)], "tidy")
        return _nothing(plan, plan.done)
    _check_disk(plan)
    each(begin, [Begin(plan.where, plan.version, release.manifest["inputs"])], "begin")
    sent: list[Sent] = []
    batches = _batches(plan)
    for number, batch in enumerate(batches, 1):  # one after the other: each takes the memory of a row group
        stage = "send" if len(batches) == 1 else f"send {number} of {len(batches)}"
        sent += each(send, [batch], stage)[0]
        logger.info("%s: %d of %d files are there", plan.where, len(sent), len(plan.shards))
    return _outcome(plan, sent, each(finish, [_finish(plan, sent)], "publish")[0])


def dry_run(home: Home, release: Release, where: str, each: Each) -> Outcome:
    """Return what `publish` would do; nothing is written there. Raises as it, as far as can be said so."""
    plan = _plan(home, release, where, each)
    if plan.done:
        return _nothing(plan, plan.done)
    _check_disk(plan)
    sent = [one for found in each(compare, _batches(plan), "compare") for one in found]
    return _outcome(plan, sent, each(preview, [_finish(plan, sent)], "preview")[0])


def _plan(home: Home, release: Release, where: str, each: Each) -> _Plan:
    """Look at the release and at what is there, and refuse whatever can be refused before anything is written."""
    storage = opened(where)
    if _is_in(storage, home):
        raise ConfigurationError(f"{where} is in the work folder {home.root}: expected a folder of its own")
    chosen = choose(home, release)
    there, last = each(look, [Look(storage.where, f"v{release.number}")], "look")[0]
    plan = _Plan(release, storage.where, where, chosen, shards(home, release, chosen), there, last)
    if plan.done:
        return plan
    if there.manifest:
        raise ConfigurationError(
            f"{plan.where}/{plan.version} holds something else than release {release.number} does now, or lacks files: "
            "a version never changes. Expected a later release; or, if nobody relies on it, delete that folder and run "
            "the same command again"
        )
    if last:
        refuse_other(home, release, last.manifest, plan.where)
    _refuse_foreign(plan)
    if card := _card(plan):
        pages.check(card)
    return plan


def _is_in(storage: Storage, home: Home) -> bool:
    if home.is_remote:
        return f"{storage.where}/".startswith(f"{home.root}/")
    return storage.is_local and Path(storage.root).resolve().is_relative_to(home.root.resolve())


def _refuse_foreign(plan: _Plan) -> None:
    """Refuse files that stand where artune has to write, or that `datasets` would read as rows."""
    where, begun = f"{plan.where}/{plan.version}", plan.there.inputs
    if begun not in (None, plan.release.manifest["inputs"]):
        raise ConfigurationError(
            f"{where} was begun from another work folder and is not finished: expected the same one; to give it up, "
            "delete that folder"
        )
    wanted = {*pages.NAMES, *(shard.name for shard in plan.shards)}
    for name in plan.there.sizes:
        if begun is None and name in wanted:
            raise ConfigurationError(
                f"{where}/{name} is there, and no {manifest.NAME} says that artune wrote it: expected another place, "
                "or that folder without it"
            )
        if name == STEERING:
            raise ConfigurationError(
                f"{where}/{name} is there, which `datasets` believes rather than the card of artune: expected that "
                "folder without it"
            )
        if _is_rows(name) and not (begun and OURS.fullmatch(name)):
            raise ConfigurationError(
                f"{where}/{name} is there, which artune did not write and `datasets` would read as rows of it: "
                "expected another place, or that folder without it"
            )


def _is_rows(name: str) -> bool:
    path = PurePosixPath(name)
    return path.parts[0] in CONFIGS.values() and path.suffix == ".parquet"


def _check_disk(plan: _Plan) -> None:
    """Refuse a disk that is too small, before anything is written."""
    storage = opened(plan.where)
    if not storage.is_local:
        return
    held = plan.last.manifest.files if plan.last and plan.last.manifest else {}
    needed = SPARE_DISK_BYTES + sum(
        shard.size_bytes for shard in plan.shards if shard.name not in plan.there.sizes and shard.name not in held
    )
    there = next(path for path in (Path(storage.root), *Path(storage.root).parents) if path.exists())
    disk = shutil.disk_usage(there)
    if disk.total and needed > disk.free:  # some filesystems do not know their size
        raise ConfigurationError(f"{plan.where}: {needed:,} bytes needed to write {plan.version}, {disk.free:,} free")


def _batches(plan: _Plan) -> list[Batch]:
    last = plan.last.manifest if plan.last else None
    found = []
    for start in range(0, len(plan.shards), BATCH_FILES):
        part = plan.shards[start : start + BATCH_FILES]
        names = [shard.name for shard in part]
        there = {name: plan.there.sizes[name] for name in names if name in plan.there.sizes}
        held = {
            name: last.files[name]
            for name in names
            if last and plan.last and name in last.files and plan.last.sizes.get(name) == last.files[name].size_bytes
        }
        inputs, earlier = plan.release.manifest["inputs"], last.version if last else None
        found.append(Batch(plan.where, plan.version, inputs, part, there, earlier, held))
    return found


def _finish(plan: _Plan, sent: Sequence[Sent]) -> Finish:
    location = f"{plan.where}/{plan.version}"
    contents = Contents(
        release=plan.release,
        rule_set=rule_set_of(plan.release),
        chosen=plan.chosen,
        files={one.name: one.file for one in sent},
        location=location,
        revision=None,
        homepage=location if "://" in location else Path(location).as_uri(),
    )
    return Finish(plan.where, plan.version, contents, _card(plan))


def _card(plan: _Plan) -> Card | None:
    """Return the card of the version before, in which people may have written."""
    if plan.last is None or plan.last.manifest is None or plan.last.card is None:
        return None
    return Card(plan.last.card, plan.last.manifest, f"{plan.where}/{plan.last.manifest.version}/{CARD}")


def _outcome(plan: _Plan, sent: Sequence[Sent], finished: Finished) -> Outcome:
    files = {one.name: one.file for one in sent if one.is_new} | dict(finished.pages)
    return replace(
        _nothing(plan, finished.manifest),
        is_new=True,
        sent_files=sorted(files),
        sent_bytes=sum(file.size_bytes for file in files.values()),
        hand_edited=finished.hand_edited,
        tables_left_out=finished.tables_left_out,
    )


def _nothing(plan: _Plan, found: Manifest) -> Outcome:
    """Return the outcome of a publication that sends nothing."""
    ours = {*found.files, CARD, manifest.NAME}
    others = [name for name in plan.there.sizes if name not in ours and not OURS.fullmatch(name)]
    return Outcome(
        where=plan.named,
        location=f"{plan.where}/{plan.version}",
        version=plan.version,
        commit=None,
        is_new=False,
        sent_files=(),
        sent_bytes=0,
        deleted=(),
        replaced=(),
        left_alone=[name for name in others if not name.startswith(f"{UNFINISHED}/")],
        hand_edited=False,
        tables_left_out=(),
        embedded=len(plan.chosen.embedded),
        referenced=len(plan.chosen.referenced),
        excluded=len(plan.chosen.excluded),
        manifest=found,
    )
