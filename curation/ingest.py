"""From what a rule set asks web sources for to rows of items and blobs: nothing twice, nothing lost."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import found, ingested, sources, tombstones
from curation.batches import MAX_BATCH_ITEMS, Each, batched
from curation.collect import split_location
from curation.columns import Bools
from curation.errors import PARKED, REASONS, ItemError
from curation.fetching import Brake, Clock, Ended, FetchBatch, fetch_batch
from curation.found import FoundList
from curation.lists import ListBatch, Listed, Reading, list_batch
from curation.prospects import prospects
from curation.settling import Settled, choose, settle
from curation.sources import WebSource
from curation.store import Home
from rules.collecting import Query
from rules.errors import ConfigurationError
from rules.schema import RuleSet

if TYPE_CHECKING:
    from curation.web import WebSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Means:
    """What an ingest works with.

    Attributes:
        clock: tells when something was fetched.
    """

    web: "WebSettings"
    each: Each
    clock: Clock


@dataclass(frozen=True, slots=True)
class Asked:
    """One source of an ingest, and the lists that it is asked for."""

    name: str
    location: str
    module: WebSource
    queries: tuple[Query, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest or a retry did with one source; all counts are of items in the lists that it was asked for.

    Attributes:
        lists: how many were read.
        failures: why some could not be read to their end, by the name of their query.
        found: with those of earlier times.
        refused: by reason, the items that the lists refuse, of those that no row told so of before.
        updated: items of which something else is said than before; nothing was asked for them.
        ended: what became of the items that were tried.
        waiting: items that can be fetched and were not tried.
    """

    source: str
    lists: int = 0
    failures: Mapping[str, ItemError] = field(default_factory=dict)
    found: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    updated: int = 0
    ended: Ended = Ended()
    waiting: int = 0


def asked(named: Sequence[str], rule_set: RuleSet, labels: Sequence[str] = ()) -> list[Asked]:
    """Return sources with the lists that a rule set asks them for; asks no site.

    Args:
        named: each a name, or a name and a location: `wikiart`, `kaggle:ARCHIVES`.
        labels: only lists that are to fill one of these.

    Raises:
        ConfigurationError: a source is none of the web or lacks something, or a list cannot be.
    """
    found = [replace(each, queries=_queries(rule_set, each.name, labels)) for each in opened(named)]
    if not any(each.queries for each in found):
        names, of = ", ".join(each.name for each in found), f" for {', '.join(labels)}" if labels else ""
        raise ConfigurationError(f"{rule_set.name} asks {names} for nothing{of}: expected lists in its collect.yaml")
    wrong = [mistake for each in found for mistake in _mistakes(each)]
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return found


def opened(named: Sequence[str]) -> list[Asked]:
    """Return sources of the web that have all they need.

    Raises:
        ConfigurationError: a source is none of the web or lacks something.
    """
    locations: dict[str, str] = {}
    for name, location in map(split_location, named):
        if locations.setdefault(name, location) != location:
            raise ConfigurationError(f"{name} is named with two locations: expected one")
    found = [Asked(name, location, sources.get_web(name)) for name, location in locations.items()]
    lacking = [(each.name, need) for each in found for need in each.module.needs() if need.required and not need.ready]
    if lacking:
        raise ConfigurationError("\n".join(f"{name} needs {need.what}: {need.advice}" for name, need in lacking))
    return found


def _queries(rule_set: RuleSet, source: str, labels: Sequence[str]) -> tuple[Query, ...]:
    if not labels:
        return rule_set.queries(source)
    wanted = {query for label in labels for query in rule_set.queries(source, label)}
    return tuple(query for query in rule_set.queries(source) if query in wanted)


def mistakes(rule_set: RuleSet) -> Iterator[str]:
    """Yield what no source can make of the lists that a rule set asks for; asks no site."""
    for name in rule_set.collect:
        if name not in sources.names() or not sources.is_web(sources.get(name)):
            web = (each for each in sources.names() if sources.is_web(sources.get(each)))
            yield f"collect.yaml: {name}: expected a source of the web: {', '.join(web)}"
        else:
            yield from _mistakes(Asked(name, "", sources.get_web(name), rule_set.queries(name)))


def _mistakes(one: Asked) -> Iterator[str]:
    for query in one.queries:
        try:
            one.module.check(query)
        except ValueError as error:
            yield f"collect.yaml: {one.name}: {query.name}: {error}"


def ingest(
    home: Home,
    named: Sequence[str],
    rule_set: RuleSet,
    means: Means,
    *,
    labels: Sequence[str] = (),
    limit: int | None = None,
    quota_bytes: int | None = None,
) -> list[Ingested]:
    """List what a rule set asks web sources for, and fetch what is new.

    Killed at any moment, it goes on from there when called again.

    Args:
        named: as of `asked`, and `labels` likewise.
        limit: items of each source that are tried at most, of all labels alike.
        quota_bytes: that everything may take that was ever fetched.

    Raises:
        ConfigurationError: as of `asked`, or another ingest of a source is running.
    """
    jobs, to_fill = asked(named, rule_set, labels), labels or rule_set.label_names
    with held(home, jobs):
        listed = read_lists(home, jobs, rule_set, means, to_fill, limit)
        settled = [settle(home, job.name, _retagged(home, job.name, rule_set)) for job in jobs]
        orders = []
        for job, source in zip(jobs, settled, strict=True):
            ingested.write_rows(home, job.name, source.written())
            items = choose(source, job.queries, _fitting(source, rule_set, to_fill), limit)
            orders.append((job, source.wanted(items)))
        ended = fetch_all(home, orders, means, Brake(home, quota_bytes))
    return [_told(*each) for each in zip(jobs, settled, [listed[job.name] for job in jobs], ended, strict=True)]


def _fitting(settled: Settled, rule_set: RuleSet, labels: Sequence[str]) -> Mapping[str, Bools]:
    """Return for each label which of the wanted items would fit it."""
    wanted = np.flatnonzero(settled.is_wanted)
    items = settled.united.items.take(pa.array(wanted))
    as_what = [prospects(items, settled.source, rule_set, modality) for modality in ("image", "music")]
    fits = {label: np.zeros(len(settled.is_wanted), dtype=bool) for label in labels}
    for label, own in fits.items():
        own[wanted] = np.any([each[label] for each in as_what], axis=0)
    return fits


def _told(job: Asked, settled: Settled, listed: Sequence[Listed], ended: Ended) -> Ingested:
    items = settled.united.items_of(query.name for query in job.queries)
    refused = settled.united.items["reason"].take(pa.array(items[settled.is_refused[items]]))
    return Ingested(
        job.name,
        lists=len(listed),
        failures={each.query.name: each.failure for each in listed if each.failure},
        found=len(items),
        refused=Counter(refused.to_pylist()),
        updated=int(settled.is_updated[items].sum()),
        ended=ended,
        waiting=int(settled.is_wanted[items].sum()) - ended.count,
    )


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an ingest would find to do for one label, or for lists of which nobody knows the label.

    Attributes:
        known: items that have a row.
        new: items that would be fetched, if no limit stops it.
        refused: items that the lists refuse and that have no row.
    """

    source: str
    label: str
    found: int
    known: int
    new: int
    refused: int


def dry_run(
    home: Home,
    named: Sequence[str],
    rule_set: RuleSet,
    means: Means,
    *,
    labels: Sequence[str] = (),
    limit: int | None = None,
) -> tuple[list[Forecast], list[Listed]]:
    """Read the lists and count what an ingest would fetch; writes nothing.

    Returns:
        the counts, and the lists that could not be read to their end.
    """
    jobs = asked(named, rule_set, labels)
    listed = read_lists(home, jobs, rule_set, means, labels or rule_set.label_names, limit, is_kept=False)
    forecasts: list[Forecast] = []
    for job in jobs:
        lists = {each.name: each for each in found.read(home, job.name)}
        lists |= {each.found.name: each.found for each in listed[job.name] if each.found}
        tagged = found.retagged(list(lists.values()), rule_set.name, rule_set.queries(job.name))
        settled = settle(home, job.name, tagged)
        for label in (*(labels or rule_set.label_names), ""):
            queries = [query for query in job.queries if label in query.labels or not (label or query.labels)]
            items = settled.united.items_of(query.name for query in queries)
            counts = (int(what[items].sum()) for what in (~settled.is_new, settled.is_wanted, settled.is_refused))
            forecasts += [Forecast(job.name, label, len(items), *counts)] if queries else []
    return forecasts, [each for ended in listed.values() for each in ended if each.failure]


def retry(
    home: Home,
    named: Sequence[str],
    means: Means,
    *,
    reasons: Collection[str] = PARKED,
    quota_bytes: int | None = None,
) -> list[Ingested]:
    """Fetch again what ended for one of these reasons when it was last tried; what a list refuses was never tried.

    Raises:
        ConfigurationError: a source is none of the web or lacks something, another ingest of it is running, or there
            is no such reason.
    """
    possible = sorted(reason for reason, (stage, _) in REASONS.items() if stage in ("collect", "fetch"))
    unknown = sorted(set(reasons).difference(possible))
    if unknown:
        raise ConfigurationError(f"no fetch ends with {', '.join(unknown)}: expected of {', '.join(possible)}")
    jobs = opened(named)
    with held(home, jobs):
        orders = [(job, _failed(home, job.name, reasons)) for job in jobs]
        ended = fetch_all(home, orders, means, Brake(home, quota_bytes))
    waiting = [len(wanted) - each.count for (_, wanted), each in zip(orders, ended, strict=True)]
    return [Ingested(job.name, ended=e, waiting=w) for job, e, w in zip(jobs, ended, waiting, strict=True)]


def _failed(home: Home, source: str, reasons: Collection[str]) -> pa.Table:
    """Return rows of INGESTED that lack their outcome, for what ended for one of these reasons."""
    known = ingested.known(home, source)
    latest = known.rows.take(pa.array(known.latest))
    is_meant = pc.is_in(latest["reason"], value_set=pa.array(sorted(reasons), pa.string()))
    removed = pa.array(sorted(tombstones.refused_ids(home, source)), pa.string())
    is_removed = pc.is_in(latest["source_id"], value_set=removed)
    was_tried = latest["address"].is_valid()
    chosen = latest.filter(pc.and_(pc.and_(is_meant, was_tried), pc.invert(is_removed)))
    return ingested.tried_again(ingested.rows_of(home, source, chosen["version"].combine_chunks()))


@contextmanager
def held(home: Home, jobs: Sequence[Asked]) -> Iterator[None]:
    """Hold sources for this process alone, and take up what a killed one left.

    Raises:
        ConfigurationError: another process is fetching from one of them.
    """
    with home.in_use(), ExitStack() as stack:
        for job in jobs:
            if not stack.enter_context(home.locked(ingested.lock(home, job.name))):
                raise ConfigurationError(f"{home.root}: another ingest of {job.name} is running; wait for its end")
        home.sweep()
        for job in jobs:
            ingested.convert_journals(home, job.name)
        yield


def read_lists(
    home: Home,
    jobs: Sequence[Asked],
    rule_set: RuleSet,
    means: Means,
    labels: Sequence[str],
    limit: int | None = None,
    *,
    is_kept: bool = True,
) -> dict[str, list[Listed]]:
    """Read the lists of sources, one of each in turn, and return how they ended, by source."""
    readings = {}
    for job in jobs:
        most = None if getattr(job.module, "LISTS_ADD_UP", False) else limit
        known = _known(home, job.name) if most is not None else frozenset()
        place = (home, job.name, job.location, means.web, rule_set.name)
        lists = [ListBatch(*place, query, known, None, is_kept) for query in job.queries]
        readings[job.name] = Reading(lists, labels, most)
    while batches := _in_turn([reading.next() for reading in readings.values()]):
        for batch, ended in zip(batches, means.each(list_batch, batches, "list"), strict=True):
            readings[batch.source].add(batch, ended)
    return {name: reading.listed for name, reading in readings.items()}


def _known(home: Home, source: str) -> frozenset[str]:
    """Return the ids of what need not be fetched."""
    return ingested.known_ids(home, source) | tombstones.refused_ids(home, source)


def _in_turn(parts: Sequence[Sequence[T]]) -> list[T]:
    return [each for one_of_each in zip_longest(*parts) for each in one_of_each if each is not None]


def _retagged(home: Home, source: str, rule_set: RuleSet) -> list[FoundList]:
    """Return all lists of a source, with the tags that the rule set gives them today."""
    before = found.read(home, source)
    now = found.retagged(before, rule_set.name, rule_set.queries(source))
    for old, new in zip(before, now, strict=True):
        if new != old:
            found.write(home, source, new)
    return now


def fetch_all(home: Home, orders: Sequence[tuple[Asked, pa.Table]], means: Means, brake: Brake) -> list[Ended]:
    """Fetch rows that lack their outcome, batches of the sources in turn, and return how they ended.

    Whoever calls it holds the sources.
    """
    batches = [
        [
            FetchBatch(home, job.name, job.location, means.web, wanted.take(pa.array(rows)), brake, means.clock)
            for rows in batched(range(len(wanted)), getattr(job.module, "BATCH_ITEMS", MAX_BATCH_ITEMS))
        ]
        for job, wanted in orders
    ]
    in_turn = _in_turn(batches)
    ended = zip(in_turn, means.each(fetch_batch, in_turn, "fetch"), strict=True)
    # Where a bug ends this before, other batches may still write theirs: whoever comes next does it.
    for job, _ in orders:
        ingested.convert_journals(home, job.name, was_killed=False)
    of_source = {job.name: Ended() for job, _ in orders}
    for batch, counts in ended:
        of_source[batch.source] += counts
    return [of_source[job.name] for job, _ in orders]
