"""A list of a web source read into its table: what it gave is kept, however the reading ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from curation import found
from curation.errors import HomeBusy, ItemError, TransientError
from curation.fetching import NOT_NOW, at_work
from curation.found import FoundList
from curation.sources import Found
from curation.store import Home
from rules.collecting import Query

if TYPE_CHECKING:
    from curation.web import WebSettings


ROWS_AT_ONCE = 10_000  # that much of a list is written at once: a list that takes hours is not lost with its process


@dataclass(frozen=True, slots=True)
class ListBatch:
    """One list to read.

    Attributes:
        rule_set: the name of the rule set that asks for it.
        known: ids of items that have a row or were removed; they do not count.
        enough: so many other items end the list.
        is_kept: what is found is written down, not returned.
    """

    home: Home
    source: str
    location: str
    web: "WebSettings"
    rule_set: str
    query: Query
    known: frozenset[str]
    enough: int | None
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """How the reading of a list ended.

    Attributes:
        failure: why it is not complete.
        found: the list, where it was not written down.
        new: ids of items in it that can be fetched and are not known.
        is_cut: it was left where it had given enough.
    """

    query: Query
    failure: ItemError | None
    found: FoundList | None
    new: frozenset[str]
    is_cut: bool


def list_batch(batch: ListBatch) -> Listed:
    """Read a list and put what stands in it into its table; what it gave before it broke off is kept, too."""
    failures: list[ItemError] = []
    new: set[str] = set()
    seen: list[pa.ChunkedArray] = []
    items = _until_enough(_until_broken(batch, failures), batch, new)
    now = found.read_list(found.path_of(batch.home, batch.source, batch.query.name))
    while part := list(islice(items, ROWS_AT_ONCE)):
        rows = found.rows_of(part)
        seen.append(rows["source_id"])
        now = _kept(now, found.updated(now, batch.rule_set, batch.query, rows), batch)
    is_cut = batch.enough is not None and len(new) >= batch.enough
    # An empty list is one that was read, too.
    kept = found.updated(now, batch.rule_set, batch.query, found.rows_of([]))
    kept = _kept(now, kept if failures or is_cut else found.read_whole(kept, seen), batch)
    return Listed(
        batch.query, failures[0] if failures else None, None if batch.is_kept else kept, frozenset(new), is_cut
    )


def _kept(before: FoundList | None, now: FoundList, batch: ListBatch) -> FoundList:
    if batch.is_kept and now != before:
        found.write(batch.home, batch.source, now)
    return now


def _until_enough(items: Iterator[Found], batch: ListBatch, new: set[str]) -> Iterator[Found]:
    for each in items:
        yield each
        name = found.id_of(each)
        if name and not each.refusal and name not in batch.known:
            new.add(name)
        if len(new) == batch.enough:
            return


def _until_broken(batch: ListBatch, failures: list[ItemError]) -> Iterator[Found]:
    module, tools = at_work(batch.home, batch.source, batch.location, batch.web)
    try:
        yield from module.found(batch.query, tools)
    except ItemError as error:
        failures.append(error)
    except HomeBusy:
        raise
    except TransientError as error:
        failures.append(ItemError(NOT_NOW, str(error)))


class Reading:
    """The lists of one source: all at once, or with a limit one for each label, and so on until they gave enough.

    Args:
        lists: what there is to read, in the order of the rule set.
        labels: that are to be filled, all alike.
        limit: so many new items are enough; no list is read any further then.
    """

    def __init__(self, lists: Sequence[ListBatch], labels: Sequence[str], limit: int | None) -> None:
        self._limit = limit
        # What was never read comes first: else a weekly ingest would only dig deeper in the same lists.
        self._unread = lists if limit is None else sorted(lists, key=_rows_found)
        self._groups = [*labels, None]  # None: lists of which nobody knows the label
        self._by_query: dict[Query, tuple[ListBatch, Listed]] = {}

    @property
    def listed(self) -> list[Listed]:
        """How every list that was read ended."""
        return [ended for _, ended in self._by_query.values()]

    def next(self) -> list[ListBatch]:
        """Return what to read now; nothing when there is enough."""
        if self._limit is None:
            batches, self._unread = list(self._unread), []
            return batches
        missing = self._limit - len(frozenset().union(*(ended.new for ended in self.listed)))
        if missing <= 0:
            return []
        chosen = dict.fromkeys(each for group in self._groups if (each := self._first_of(group)))
        if chosen:
            self._unread = [each for each in self._unread if each not in chosen]
            share = -(-missing // len(chosen))
            return [replace(batch, enough=share) for batch in chosen]
        cut = [(batch, ended) for batch, ended in self._by_query.values() if ended.is_cut]
        # Each may hold nothing but what others gave: all that is missing at once, or it would be read again and again.
        return [replace(batch, enough=len(ended.new) + missing) for batch, ended in cut]

    def _first_of(self, label: str | None) -> ListBatch | None:
        mine = (each for each in self._unread if label in (each.query.labels or (None,)))
        return next(mine, None)

    def add(self, batch: ListBatch, ended: Listed) -> None:
        """Take note of how a list ended."""
        self._by_query[batch.query] = batch, ended


def _rows_found(batch: ListBatch) -> int:
    return found.count(batch.home, batch.source, batch.query.name)
