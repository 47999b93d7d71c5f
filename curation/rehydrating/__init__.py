"""A published data set made whole again: what is only referenced is had anew, compared, and written as a release.

The order: a publication is found, its files are downloaded and verified, what they lack is fetched and measured, and
the release is written. Every step finds what is left to do from what is there: it may be killed at any moment.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from curation import ingest
from curation.batches import Each
from curation.building import SPARE_DISK_BYTES
from curation.fetching import Clock
from curation.rehydrating import likeness, obtaining, sides
from curation.rehydrating.obtaining import Origins
from curation.rehydrating.publication import RULES, Part, Publication, download, opened
from curation.rehydrating.result import Rehydrated, counted
from curation.rehydrating.sides import Downloaded
from curation.rehydrating.writing import TABLE, Writer
from curation.releases import PublishedRules, Release, get, numbers
from curation.store import Home, create_exclusively, digest, remove_tree
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.web import WebSettings


@dataclass(frozen=True, slots=True)
class Means:
    """What it works with.

    Attributes:
        web: tells how the web is asked; it is only called if something is to be asked.
        clock: tells when something was fetched.
    """

    web: "Callable[[], WebSettings]"
    each: Each
    clock: Clock


def rehydrate(
    home: Home,
    where: str,
    means: Means,
    *,
    revision: str | None = None,
    named: Sequence[str] = (),
    quota_bytes: int | None = None,
    may_lack: bool = False,
) -> Rehydrated:
    """Write the release that a publication was made from, as far as its media can be had.

    Killed at any moment, it goes on from there when called again, and ends with the same bytes.

    Args:
        where: owner/name on the Hub, a folder, or an address of storage.
        revision: a version such as v3; the newest if it is None.
        named: places of sources: `folder:PATH` of what lay on the publisher's machine, `kaggle:ARCHIVES`.
        quota_bytes: that everything may take that was ever fetched.
        may_lack: somebody said yes to a release without what may be had later.

    Raises:
        ConfigurationError: the publication cannot be used, a source lacks something or its place is none, the disk is
            too small, or the work folder holds something that a rehydrated release cannot stand beside.
        TransientError: where it was published is busy.
    """
    publication = _opened(where, revision, named)
    return _Run(home, publication, tuple(named), means).run(quota_bytes=quota_bytes, may_lack=may_lack)


def check(home: Home, where: str, *, revision: str | None = None, named: Sequence[str] = ()) -> Rehydrated | None:
    """Return what `rehydrate` would say if the release is there already, None if there is something to do.

    Raises:
        ConfigurationError: `rehydrate` would refuse it, as far as can be told before anything is downloaded.
        TransientError: where it was published is busy.
    """
    publication = _opened(where, revision, named)
    if release := _made_before(home, publication):
        return _told(publication, tuple(named), release, is_new=False)
    _refuse_neighbors(home, publication)
    return None


def finish(home: Home, done: Rehydrated, means: Means) -> Rehydrated:
    """Write the release without what may be had later; asks no site. Raises as `rehydrate`."""
    return _Run(home, done.publication, done.named, means).run(fetches=False, may_lack=True)


def _opened(where: str, revision: str | None, named: Sequence[str]) -> Publication:
    obtaining.named_places(named)
    return opened(where, revision)


def _told(
    publication: Publication, named: tuple[str, ...], release: Release, *, is_new: bool, stopped: str = ""
) -> Rehydrated:
    return Rehydrated(publication, named, release, is_new, *counted([release.folder / TABLE]), stopped)


def _made_before(home: Home, publication: Publication) -> Release | None:
    """Return the release if it is there, made from just this publication.

    Raises:
        ConfigurationError: another release has its number.
    """
    number = publication.manifest.release
    if number not in numbers(home):
        return None
    release = get(home, number)
    made_from = release.manifest.get("rehydrated", {})
    if made_from.get("publication") != publication.digest:
        origin = f"rehydrated from {made_from['name']}" if made_from else "built here"
        raise ConfigurationError(
            f"{home.root} has another release {number}, {origin}: rehydrate {publication.name} into a folder of its "
            "own (--home DIR)"
        )
    return release


def _refuse_neighbors(home: Home, publication: Publication) -> None:
    """Refuse a folder in which the data set is built: its next release would have no parent that remembers."""
    data_set = publication.manifest.data_set
    for number in numbers(home):
        manifest = get(home, number).manifest
        if manifest["rule_set"]["name"] == data_set and "rehydrated" not in manifest:
            raise ConfigurationError(
                f"{home.root}: {data_set} is built here (release {number}): rehydrate {publication.name} into a folder "
                "of its own (--home DIR)"
            )


class _Run:
    """One publication on its way into a work folder."""

    def __init__(self, home: Home, publication: Publication, named: tuple[str, ...], means: Means) -> None:
        self.home, self.publication, self.named, self.means = home, publication, named, means
        self.number = publication.manifest.release
        self.claim = home.root / "releases" / f"{self.number}.claim"
        self.work = home.local / "releases" / f"{self.number}.work"
        self.folder = self.work / "published"

    def run(self, *, quota_bytes: int | None = None, may_lack: bool = False, fetches: bool = True) -> Rehydrated:
        if release := _made_before(self.home, self.publication):
            return _told(self.publication, self.named, release, is_new=False)
        _refuse_neighbors(self.home, self.publication)
        with self.home.in_use(), self._claimed():
            if release := _made_before(self.home, self.publication):  # by another process, a moment ago
                return _told(self.publication, self.named, release, is_new=False)
            there, rule_set = self._download()
            items = sides.items(self.home, there)
            of = obtaining.origins(items, self.named)
            self._refuse_collection(of)
            stopped = self._fetch(items, of, quota_bytes) if of.web and fetches else ""
            yields = self._judge(there, rule_set, items, of)
            done = Rehydrated(self.publication, self.named, None, False, *counted(yields.values()), stopped)
            if done.waiting and not may_lack:
                return done
            release = Writer(self.home, self.publication, there, rule_set, yields, self.means.each).run()
            return _told(self.publication, self.named, release, is_new=True, stopped=stopped)

    def _refuse_collection(self, of: Origins) -> None:
        """Refuse a folder that collects from the same sources: a publication tells less of an item than their lists."""
        for name in of.web:
            if (self.home.root / "found" / name).is_dir():
                raise ConfigurationError(
                    f"{self.home.root}: {name} is ingested here: rehydrate {self.publication.name} into a folder of "
                    "its own (--home DIR)"
                )

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Take the number of the release for this publication, or go on with what took it for the same."""
        mine = digest(["rehydrated", self.publication.digest])
        create_exclusively(self.claim, mine.encode())
        if self.claim.read_text() != mine:
            raise ConfigurationError(
                f"release {self.number} is claimed by something else than {self.publication.name}: let it end, or, to "
                f"give it up, remove {self.claim}"
            )
        with self.home.locked(self.claim) as is_mine:
            if not is_mine:
                raise ConfigurationError(
                    f"{self.home.root}: another process is writing release {self.number} right now; wait for its end"
                )
            self.home.sweep()
            self._clear_others(mine)
            yield

    def _clear_others(self, mine: str) -> None:
        """Remove what was written or downloaded of something else before somebody removed its claim."""
        marker = self.work / "claim"
        if not marker.exists() or marker.read_text() != mine:
            remove_tree(self.home.release(self.number))
            shutil.rmtree(self.work, ignore_errors=True)
            with self.home.replacing(marker) as temporary:
                temporary.write_text(mine)

    def _download(self) -> tuple[Downloaded, PublishedRules]:
        """Download what is not there yet, and see that it is what it should be.

        Raises:
            ConfigurationError: it is not.
        """
        plain = [RULES, *self.publication.files("metadata"), *self.publication.files("references")]
        embedded = self.work / "embedded.parquet"
        media = [] if embedded.exists() else self.publication.files("data")
        parts = [Part(self.home, self.publication, name, self.folder) for name in (*plain, *media)]
        parts = [part for part in parts if not part.path.exists()]
        self._check_disk(parts)
        self.means.each(download, parts, "download")
        rule_set = self.publication.rules(self.folder / RULES)
        sides.check(self.folder, [*plain[1:], *media], rule_set)
        if not embedded.exists():  # from now on files with media may be used up
            ids = [pq.read_table(self.folder / name, columns=["pair_id"]) for name in media]
            self.home.write_table(embedded, pa.concat_tables([sides.SIDES.empty_table().select(["pair_id"]), *ids]))
        ids = pq.ParquetFile(embedded).read()["pair_id"].combine_chunks()
        return Downloaded(self.folder, self.publication.portions(), ids), rule_set

    def _check_disk(self, parts: Sequence[Part]) -> None:
        needed = sum(self.publication.manifest.files[part.name].size_bytes for part in parts) + SPARE_DISK_BYTES
        free = shutil.disk_usage(self.home.local).free
        if parts and needed > free:
            raise ConfigurationError(f"{self.home.local}: {needed:,} bytes needed for what is published, {free:,} free")

    def _fetch(self, items: pa.Table, of: Origins, quota_bytes: int | None) -> str:
        means = ingest.Means(self.means.web(), self.means.each, self.means.clock)
        return obtaining.fetch(self.home, items, of, means, quota_bytes)

    def _judge(self, there: Downloaded, rule_set: PublishedRules, items: pa.Table, of: Origins) -> dict[str, Path]:
        """Write by portion what became of its sides."""
        had = obtaining.had(self.home, items, of, self.means.each)
        likeness.measure_all(self.home, items, had, rule_set, self.means.each)
        yields = {portion: self.work / "yield" / f"{portion}.parquet" for portion in there.portions}
        for portion, path in yields.items():
            self.home.write_table(path, likeness.judged(self.home, there, portion, had, rule_set))
        return yields
