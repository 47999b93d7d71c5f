"""A batch of found items fetched: a row for each as it ends, however the process does."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation import ingested, sources
from curation.errors import HomeBusy, ItemError, TransientError
from curation.found import text
from curation.ingested import Journal, Row
from curation.schemas import ITEMS
from curation.sources import Facts, Fetched, Found, Tools, WebSource
from curation.store import Home, digest, read_tables

if TYPE_CHECKING:
    from curation.web import WebSettings

SPARE_DISK_BYTES = 1_000_000_000  # others write to the disk, too
NOT_NOW = "unreachable"  # how an item is parked when its source says only that the world is busy

Clock = Callable[[], datetime]


class Brake:
    """Says when an ingest has to stop before its end; all of its batches share it.

    Args:
        quota_bytes: that blobs, archives and parts of files may take.
    """

    def __init__(self, home: Home, quota_bytes: int | None) -> None:
        self._home, self._quota_bytes, self._lock = home, quota_bytes, threading.Lock()
        self._blobs = _blobs(home) if quota_bytes is not None else set()
        self._stored_bytes = sum(size_bytes for _, size_bytes in self._blobs)
        self._stored_bytes += _beside_bytes(home) if quota_bytes is not None else 0
        self._paused: dict[str, str] = {}

    def __reduce__(self) -> tuple[Any, ...]:  # a lock cannot go to another process; each counts what it stores itself
        return Brake, (self._home, self._quota_bytes)

    def reason(self, source: str) -> str:
        """Say why nothing more may be fetched from a source; nothing while it may."""
        if self._quota_bytes is not None and self._stored_bytes >= self._quota_bytes:
            return f"the quota of {self._quota_bytes:,} bytes is reached: {self._stored_bytes:,} bytes are stored"
        free = shutil.disk_usage(self._home.local).free
        if free < SPARE_DISK_BYTES:
            return f"{self._home.local}: {free:,} bytes of disk are free, and {SPARE_DISK_BYTES:,} are to stay free"
        return self._paused.get(source, "")

    def add(self, fetched: Fetched) -> None:
        """Count what was stored."""
        blob = (fetched.sha256, fetched.size_bytes)
        with self._lock:
            if self._quota_bytes is not None and blob not in self._blobs:
                self._blobs.add(blob)
                self._stored_bytes += fetched.size_bytes

    def pause(self, source: str, why: str) -> None:
        """Leave a source alone for the rest of this ingest."""
        self._paused[source] = why


def _beside_bytes(home: Home) -> int:
    """Return what files take that were fetched and are no blobs: archives, and parts of what is on its way."""
    size_bytes = 0
    for path in (path for folder in ("archives", "partial") for path in (home.local / folder).rglob("*")):
        with suppress(FileNotFoundError):  # another process is done with it
            size_bytes += path.stat().st_size if path.is_file() else 0
    return size_bytes


def _blobs(home: Home) -> set[tuple[str, int]]:
    """Return sha256 and size in bytes of every blob that an item has."""
    folders = [path for path in (home.root / "items").glob("*") if path.is_dir()]
    tables = (read_tables(path, ITEMS, ["sha256", "size_bytes"]).drop_null().to_pydict() for path in folders)
    return {blob for table in tables for blob in zip(table["sha256"], table["size_bytes"], strict=True)}


@dataclass(frozen=True, slots=True)
class FetchBatch:
    """Items of one source to fetch.

    Attributes:
        wanted: rows of INGESTED whose outcome, if they have one, is that of an earlier time.
        clock: tells when something was fetched.
    """

    home: Home
    source: str
    location: str
    web: "WebSettings"
    wanted: pa.Table
    brake: Brake
    clock: Clock


@dataclass(frozen=True, slots=True)
class Ended:
    """How many items of some batches ended how.

    Attributes:
        failed: the others, by reason.
        stopped: why some were not tried.
    """

    fetched: int = 0
    size_bytes: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    stopped: str = ""

    def __add__(self, other: "Ended") -> "Ended":
        failed = Counter(self.failed) + Counter(other.failed)
        size_bytes = self.size_bytes + other.size_bytes
        return Ended(self.fetched + other.fetched, size_bytes, failed, self.stopped or other.stopped)

    @property
    def count(self) -> int:
        return self.fetched + sum(self.failed.values())


def at_work(home: Home, source: str, location: str, settings: "WebSettings") -> tuple[WebSource, Tools]:
    """Return a source and its tools, in whatever process or thread a batch runs."""
    from curation import web  # what it imports takes longer than a command that asks no site

    module = sources.get_web(source)
    client = web.of(settings)
    client.set_rates(module.RATES)
    return module, Tools(home, client, location)


def fetch_batch(batch: FetchBatch) -> Ended:
    """Fetch a batch's items and write a row for each that ended, at once; what does not fit stays as it was."""
    if stopped := batch.brake.reason(batch.source):
        return Ended(stopped=stopped)
    rows = dict(enumerate(batch.wanted.to_pylist()))
    failed: Counter[str] = Counter()
    fetched = size_bytes = 0
    journal = Journal(batch.home, batch.source, digest(batch.wanted["version"].to_pylist())[:32])
    try:
        for index, outcome in _outcomes(batch, list(rows.values())):
            journal.add(_row(rows.pop(index), outcome, batch.clock))
            if isinstance(outcome, ItemError):
                failed[outcome.reason] += 1
                continue
            fetched += 1
            size_bytes += outcome.size_bytes
            batch.brake.add(outcome)
            if stopped := batch.brake.reason(batch.source):
                break
    finally:
        journal.close()
    if 2 * failed["host_paused"] > len(batch.wanted):
        # The others would end so at once, and each would be a row that says nothing of the item.
        batch.brake.pause(batch.source, f"{batch.source} is left alone for a while: a host failed too often")
    if rows and not stopped:
        ids = ", ".join(row["source_id"] for row in rows.values())
        raise RuntimeError(f"the source {batch.source} never said what became of {ids:.200}")
    return Ended(fetched, size_bytes, failed, stopped)


def _outcomes(batch: FetchBatch, rows: list[Row]) -> Iterator[tuple[int, Fetched | ItemError]]:
    """Yield what became of each row; an error of the source itself is the fate of all that it said nothing of yet."""
    module, tools = at_work(batch.home, batch.source, batch.location, batch.web)
    left = set(range(len(rows)))
    outcomes: Iterator[tuple[int, Fetched | ItemError]] = iter(())
    try:
        outcomes = _asked(module, tools, rows)
        for index, outcome in outcomes:
            left.remove(index)
            yield index, outcome
    except ItemError as error:
        yield from ((index, error) for index in sorted(left))
    except HomeBusy:
        raise
    except TransientError as error:
        yield from ((index, ItemError(NOT_NOW, str(error))) for index in sorted(left))
    finally:
        close = getattr(outcomes, "close", None)  # what is on its way is given up
        if close:
            close()


def _asked(module: WebSource, tools: Tools, rows: list[Row]) -> Iterator[tuple[int, Fetched | ItemError]]:
    fetched = getattr(module, "fetched", None)
    if fetched:
        return iter(fetched([_found(row) for row in rows], tools))
    from curation.web import Download

    downloads = [Download(row["address"], row["url"], _fetched(row, tools.home)) for row in rows]
    return tools.web.download_all(downloads, tools.home)


def _fetched(row: Row, home: Home) -> Fetched | None:
    """Return what a row's address gave before, if it is still there."""
    if not row["sha256"] or not home.blob(row["sha256"]).exists():
        return None
    return Fetched(*(row[name] for name in ("modality", "sha256", "size_bytes", "etag", "last_modified")))


def _found(row: Row) -> Found:
    tags = tuple((tag["kind"], tag["value"]) for tag in row["tags"])
    facts = Facts(tags=tags, **{name: row[name] for name in Facts.__slots__ if name != "tags"})
    about = json.loads(row["about"] or "{}")
    return Found(row["source_id"], row["address"], facts, row["state"] or "", about)


def _row(wanted: Row, outcome: Fetched | ItemError, clock: Clock) -> Row:
    """Return the row of an item that ended."""
    nothing = dict.fromkeys((*ingested.OUTCOME, "etag", "last_modified", "told"))
    if isinstance(outcome, ItemError):
        return wanted | nothing | {"reason": outcome.reason, "detail": outcome.detail}
    row = wanted | nothing | {name: getattr(outcome, name) for name in ("modality", "sha256", "size_bytes")}
    row |= {"etag": text(outcome.etag), "last_modified": text(outcome.last_modified)}
    is_same = wanted["sha256"] == outcome.sha256
    fetched_at = wanted["fetched_at"] if is_same else clock()
    row |= {"fetched_at": round(fetched_at.timestamp() * 1000), "told": ingested.told(outcome)}
    return ingested.with_told(row) if row["told"] else row
