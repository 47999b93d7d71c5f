"""What the lists of a web source hold beside what is known of it: what to write down, and what to fetch first."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import found, ingested, tombstones
from curation.columns import Bools, Ints, flat, mask, places
from curation.found import FoundList, United
from curation.ingested import FACTS, OUTCOME, REPLY, Known
from curation.schemas import INGESTED
from curation.sources import UNKNOWN_LICENSE
from curation.store import Home
from rules.collecting import Query


@dataclass(frozen=True)
class Settled:
    """What the lists of a source hold, and what is known of it; masks have a value for each item of the lists.

    Attributes:
        known_at: of each item its place among the known ones, or -1.
        is_removed: its removal was asked for.
        is_refused: the lists refuse it, and no row tells so.
        is_updated: something else is said of it than before.
        is_wanted: it can be fetched, and was not tried at the address and in the state that it has now.
        was_tried: it was asked for at some time.
    """

    source: str
    united: United
    known: Known
    facts_digests: pa.Array
    known_at: Ints
    is_removed: Bools
    is_refused: Bools
    is_updated: Bools
    is_wanted: Bools
    was_tried: Bools

    @property
    def is_new(self) -> Bools:
        """Whether no row tells of it."""
        return self.known_at < 0

    def written(self) -> pa.Table:
        """Return rows of INGESTED that need no request: refusals, and what is said anew of known items."""
        refused, updated = np.flatnonzero(self.is_refused), np.flatnonzero(self.is_updated)
        known, at = self.known, self.known_at[updated]
        current = known.of(known.current, at, (*OUTCOME, *REPLY))
        # A later try that gave nothing stays the last thing that happened: it is not made anew, and a retry finds it.
        failed = updated[known.current[at] != known.latest[at]]
        latest = known.of(known.latest, self.known_at[failed], (*OUTCOME, *REPLY))
        said = [self._rows(updated, current), self._rows(failed, latest, further=2)]
        return pa.concat_tables([self._rows(refused, self._said(refused, ("reason", "detail"))), *map(_told, said)])

    def wanted(self, items: Ints) -> pa.Table:
        """Return rows of INGESTED for items to fetch: where their address gave something before, with that."""
        columns = self._said(items, ("address", "state"))
        columns["address"] = pc.fill_null(columns["address"], "")
        names = ("address", "etag", "last_modified", *OUTCOME)
        before = self.known.of(self.known.current, self.known_at[items], names)
        is_same = pc.and_(pc.equal(before["address"], columns["address"]), before["sha256"].is_valid())
        columns |= {name: pc.if_else(is_same, before[name], None) for name in names[1:]}
        return self._rows(items, columns)

    def _said(self, items: Ints, names: Sequence[str]) -> dict[str, pa.Array]:
        return {name: flat(self.united.items[name]).take(pa.array(items)) for name in names}

    def _rows(self, items: Ints, columns: Mapping[str, pa.Array], further: int = 1) -> pa.Table:
        """Return rows with what the lists say of items, each so many revisions further."""
        latest = self.known.of(self.known.latest, self.known_at[items], ("revision",))["revision"]
        revision = pc.add(pc.fill_null(latest, 0), pa.scalar(further, pa.int32()))
        said = self._said(items, ("source_id", *FACTS))
        said |= {"license": pc.fill_null(said["license"], UNKNOWN_LICENSE), "url": pc.fill_null(said["url"], "")}
        version = ingested.version(revision, self.facts_digests.take(pa.array(items)))
        own = {"source": pa.repeat(self.source, len(items)), "revision": revision, "version": version}
        columns = {**said, **own, **columns}
        return pa.table([columns.get(each.name, pa.nulls(len(items), each.type)) for each in INGESTED], INGESTED)


def _told(rows: pa.Table) -> pa.Table:
    """Return rows with what only the fetch told of them."""
    has_told = mask(rows["told"].is_valid())
    told = [ingested.with_told(row) for row in rows.filter(pa.array(has_told)).to_pylist()]
    return pa.concat_tables([rows.filter(pa.array(~has_told)), pa.Table.from_pylist(told, INGESTED)])


def settle(home: Home, source: str, lists: Sequence[FoundList]) -> Settled:
    """Compare what lists hold with what is known of their source; asks for nothing."""
    united, known = found.unite(lists), ingested.known(home, source)
    items, digests = united.items, found.facts_digests(united.items)
    known_at = places(items["source_id"], known.ids)
    current = known.of(known.current, known_at, ("version", "sha256"))
    latest = known.of(known.latest, known_at, ("address", "state", "reason", "detail", "version"))
    removed = pa.array(sorted(tombstones.refused_ids(home, source)), pa.string())
    is_removed = mask(pc.is_in(items["source_id"], value_set=removed))
    is_known, has_blob = known_at >= 0, mask(current["sha256"].is_valid())
    was_tried = mask(latest["address"].is_valid())
    says_no = mask(items["reason"].is_valid())
    says_else = is_known & _differ(ingested.facts_digest(current["version"]), digests)
    # What was fetched stays although a list refuses it now, unless its site says that it must not be used.
    is_used = has_blob & ~mask(pc.fill_null(pc.equal(items["reason"], ingested.OPTED_OUT), False))
    refuses_else = _differ(ingested.facts_digest(latest["version"]), digests)
    refuses_else |= was_tried | _differ(latest["reason"], items["reason"]) | _differ(latest["detail"], items["detail"])
    moved = ~was_tried | _differ(latest["address"], items["address"]) | _differ(latest["state"], items["state"])
    is_refused = says_no & ~is_used & (~is_known | refuses_else) & ~is_removed
    is_wanted = ~says_no & moved & ~is_removed
    is_updated = says_else & ~is_refused & ~is_wanted & ~is_removed
    masks = (is_removed, is_refused, is_updated, is_wanted, was_tried)
    return Settled(source, united, known, digests, known_at, *masks)


def _differ(one: pa.Array | pa.ChunkedArray, other: pa.Array | pa.ChunkedArray) -> Bools:
    """Tell where two columns of text differ; null and no text are the same."""
    return mask(pc.not_equal(pc.fill_null(flat(one), ""), pc.fill_null(flat(other), "")))


def choose(settled: Settled, queries: Sequence[Query], fits: Mapping[str, Bools], limit: int | None = None) -> Ints:
    """Return the items to fetch in the order in which to do it, the labels in turn, so that all are filled alike.

    The first turn has the label for which the fewest items were tried: where a limit is below the number of labels, it
    is another one each time. What would fit its label, as far as the lists tell, comes before what would not.

    Args:
        queries: the lists to fetch from, each in turn for each of its labels.
        fits: for each label that is to be filled, which items would fit it.
        limit: items at most.
    """
    # A list of which nobody knows what it holds takes its turn as one label more.
    lists = [[query for query in queries if label in query.labels] for label in fits]
    lists.append([query for query in queries if not query.labels])
    members = [settled.united.items_of(query.name for query in each) for each in lists]
    turns = sorted(range(len(lists)), key=lambda at: int(settled.was_tried[members[at]].sum()))
    is_free = settled.is_wanted.copy()
    any_fit = np.any([np.zeros_like(is_free), *fits.values()], axis=0)
    chosen: list[int] = []
    for masks in ([*fits.values(), any_fit], [is_free] * len(lists)):
        waiting = deque(
            deque(_free(settled.united.by_name.get(query.name), masks[at], is_free) for query in lists[at])
            for at in turns
        )
        while waiting and len(chosen) != limit:
            label = waiting.popleft()
            while label:
                item = next(label[0], None)
                if item is None:
                    label.popleft()
                    continue
                is_free[item] = False
                chosen.append(item)
                label.rotate(-1)
                waiting.append(label)
                break
    return np.array(chosen, dtype=np.int64)


def _free(members: Ints | None, mask: Bools, is_free: Bools) -> Iterator[int]:
    """Yield those items of a list that a mask has, if nobody has chosen them when it is their turn."""
    members = members if members is not None else np.empty(0, dtype=np.int64)
    return (item for item in members[mask[members]].tolist() if is_free[item])
