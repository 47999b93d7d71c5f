"""From items and measurements to what may be paired: duplicates dropped, groups joined, labels that fit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import clusters, evidence, works
from curation.clusters import Duplicates, Edges
from curation.columns import Bools, Ints, first_rows, flat, heads, mask, numbered, numbered_hashes, places, taken
from curation.evidence import Evidence
from curation.memory import SPLITS, Memory
from curation.rejections import UNIT, Rejections
from curation.schemas import CANDIDATES
from curation.tagging import Fitting
from rules.engine import Fit, NearMiss
from rules.schema import RuleSet

NO_SPLIT = -1
JUDGED = ("width_px", "height_px", "duration_s", "windows")  # columns of IMAGES and RECORDINGS that rules may ask for


@dataclass(frozen=True, slots=True)
class Side:
    """The items of one modality that duplicates, rules and splits let pass.

    Attributes:
        items: their rows of ITEMS, without tags.
        rows: int64, shape (n,): the places of these among all items.
        measured: JUDGED, in the same order.
        fitting: the labels that fit each.
        works: what tells the work of each, null where nothing does.
        groups: int64, shape (n,): the number of the group of each.
        group_names: of every group, by number.
        splits: int8, shape (n_groups,): the split for life of every group that an earlier release held, else NO_SPLIT.
        earlier: int64, shape (n_memory,): for every image or clip of the memory the row of its blob here, or -1.
        earlier_groups: int64, shape (n_memory,): the number of the group of each of them now.
        candidates: ambiguous and nearly fitting items, schema CANDIDATES.
    """

    items: pa.Table
    rows: Ints
    measured: pa.Table
    fitting: Fitting
    works: pa.Array
    groups: Ints
    group_names: pa.Array
    splits: npt.NDArray[np.int8]
    earlier: Ints
    earlier_groups: Ints
    candidates: pa.Table


def refused(items: pa.Table, rejections: Rejections) -> None:
    """Write down the items that were never fetched."""
    rows = np.flatnonzero(mask(items["reason"].is_valid()))
    found = items.select(["modality", "reason", "detail"]).take(pa.array(rows))
    units = taken(pa.array(list(UNIT.values())), places(found["modality"], pa.array(list(UNIT))))
    rejections.add(units.fill_null("item"), flat(found["reason"]), rows, detail=flat(found["detail"]))


def eligible(
    modality: str,
    items: pa.Table,
    measured: pa.Table,
    links: Edges,
    rule_set: RuleSet,
    memory: Memory,
    said: Evidence,
    rejections: Rejections,
) -> Side:
    """Find what may be paired among the items of one modality; the rest becomes rejections.

    Args:
        items: rows of ITEMS, of any modality.
        measured: rows of IMAGES or RECORDINGS for the blobs of these items and of everything in memory.
        links: rows of `measured` that look or sound alike.
        said: of the same items beside their sources' tags.
    """
    rows, items, own, blobs = _usable(modality, items, measured, memory, rejections)
    said = said.of(rows)
    rows, items, own, blobs, said, overruled = _not_overruled(rows, items, own, blobs, said)
    universe = _universe(modality, items, measured, blobs, links, memory, overruled)
    released = np.zeros(blobs.count, dtype=bool)
    released[blobs.earlier[memory.is_released(modality)]] = True
    released = released[blobs.items]
    nobody = np.zeros(len(rows), dtype=bool)
    universe, copies, grouped = _without_copies(universe, _rank(items, own, universe, released, nobody), released)
    rank = _rank(items, own, universe, released, grouped.leaks)
    found = _duplicates(universe, copies, grouped.leaks, rank)
    _reject_duplicates(modality, found, rows, rejections)
    _reject_overruled(modality, overruled, blobs, found, rows, rejections)

    fitting = evidence.fitting(items, rule_set, modality, own, said)
    stays = found.kept_by < 0
    has_fit = np.array([bool(fits) for fits in fitting.fits], dtype=bool)[fitting.combination]
    _reject_leaks(modality, universe, grouped, stays, rows, rejections)
    _reject_unfit(modality, fitting, stays & ~grouped.leaks & ~has_fit, rows, rejections)
    kept = stays & ~grouped.leaks & has_fit
    passed = pa.array(kept)
    return Side(
        items=items.drop_columns(["tags"]).filter(passed),
        rows=rows[kept],
        measured=own.filter(passed),
        fitting=replace(fitting, combination=fitting.combination[kept]),
        works=universe.works[: universe.count].filter(passed),
        groups=grouped.groups[: universe.count][kept],
        group_names=grouped.names,
        splits=grouped.splits,
        earlier=first_rows(blobs.items[kept], blobs.count)[blobs.earlier],
        earlier_groups=grouped.groups[first_rows(universe.blobs, blobs.count)[blobs.earlier]],
        candidates=_candidates(modality, items, fitting, stays),
    )


@dataclass(frozen=True, slots=True)
class _Blobs:
    """The blobs of one modality by number: what has the same sha256 has the same number, and no string is compared.

    Attributes:
        items: int64, shape (n_items,).
        measured: int64, shape (n_measured,).
        earlier: int64, shape (n_memory,): of every image or clip of the memory.
        count: of blobs.
    """

    items: Ints
    measured: Ints
    earlier: Ints
    count: int


def _usable(
    modality: str, items: pa.Table, measured: pa.Table, memory: Memory, rejections: Rejections
) -> tuple[Ints, pa.Table, pa.Table, _Blobs]:
    """Return the items of one modality that could be measured: their rows, they, JUDGED and their blobs."""
    is_mine = pc.and_(items["reason"].is_null(), pc.equal(items["modality"], modality))
    rows, items = np.flatnonzero(mask(is_mine)), items.filter(is_mine)
    numbers = numbered_hashes(items["sha256"], measured["sha256"], memory.sha256s(modality))
    count = max(int(each.max(initial=-1)) for each in numbers) + 1
    at = first_rows(numbers[1], count)[numbers[0]]
    broken = np.flatnonzero(mask(measured["reason"].is_valid())[at])
    if len(broken):
        reasons, details = (flat(measured[name].take(pa.array(at[broken]))) for name in ("reason", "detail"))
        rejections.add(UNIT[modality], reasons, rows[broken], detail=details)
        fine = np.ones(len(rows), dtype=bool)
        fine[broken] = False
        rows, at, numbers[0], items = rows[fine], at[fine], numbers[0][fine], items.filter(pa.array(fine))
    own = measured.select([name for name in JUDGED if name in measured.column_names]).take(pa.array(at))
    return rows, items, own, _Blobs(numbers[0], numbers[1], numbers[2], count)


@dataclass(frozen=True, slots=True)
class _Overruled:
    """What a curator's overrides leave out, and what they say that it is.

    Attributes:
        items: sha256 and work of each.
        blobs: int64, shape (n,): the number of the blob of each.
        same_as: int64, shape (n,): that of the item that stays in its place, -1 where none does.
        rows: int64, shape (n,): the places of these among all items.
        details: why, in words.
    """

    items: pa.Table
    blobs: Ints
    same_as: Ints
    rows: Ints
    details: pa.Array


def _not_overruled(
    rows: Ints, items: pa.Table, own: pa.Table, blobs: _Blobs, said: Evidence
) -> tuple[Ints, pa.Table, pa.Table, _Blobs, Evidence, _Overruled]:
    """Return what no override leaves out, and what one does: that is no copy of anything, but its group holds."""
    out, details, kept = said.overrides.rejected()
    creators, titles = (items[name].take(pa.array(out)) for name in ("creator", "title"))
    sha256s = flat(items["sha256"])
    left_out = pa.table({"sha256": sha256s.take(pa.array(out)), "work": works.works_of(creators, titles)})
    same_as = np.where(kept < 0, -1, blobs.items[kept])
    overruled = _Overruled(left_out, blobs.items[out], same_as, rows[out], details)
    if not len(out):
        return rows, items, own, blobs, said, overruled
    stays = np.ones(len(rows), dtype=bool)
    stays[out] = False
    at = pa.array(stays)
    blobs = replace(blobs, items=blobs.items[stays])
    return rows[stays], items.filter(at), own.filter(at), blobs, said.of(np.flatnonzero(stays)), overruled


@dataclass(frozen=True, slots=True)
class _Universe:
    """The items of a side and, after them, what is only known: left out by overrides, or listed no more.

    Attributes:
        count: of items.
        blobs: int64, shape (n,): the number of the blob of each row.
        works: what tells the work of each row, null where nothing does.
        work_numbers: int64, shape (n,): the same as numbers, negative where nothing does.
        details: bool, shape (count,): items whose title calls them a detail of their work.
        exact: links of equal content.
        alike: those links of similar content that lead from one picture to others of equal hash.
        similar: links of similar content.
        told: links that an override draws.
        earlier: group and split that an earlier release gave to each row, null where none did.
    """

    count: int
    blobs: Ints
    sha256s: pa.Array
    works: pa.Array
    work_numbers: Ints
    details: Bools
    exact: Edges
    alike: Edges
    similar: Edges
    told: Edges
    reason: str
    earlier: pa.Table

    def within(self, edges: Edges) -> Edges:
        """Return the links among items."""
        return edges[(edges < self.count).all(axis=1)]

    def without(self, out: Bools) -> "_Universe":
        """Return the universe in which nothing ties these items to others."""
        gone = np.zeros(len(self.blobs), dtype=bool)
        gone[: len(out)] = out
        exact, similar = (edges[~gone[edges].any(axis=1)] for edges in (self.exact, self.similar))
        return replace(self, work_numbers=np.where(gone, -1, self.work_numbers), exact=exact, similar=similar)


def _universe(
    modality: str,
    items: pa.Table,
    measured: pa.Table,
    blobs: _Blobs,
    links: Edges,
    memory: Memory,
    overruled: _Overruled,
) -> _Universe:
    known, out = memory.ever(modality), overruled.items
    here_now = np.concatenate([blobs.items, overruled.blobs])
    row_of_known = first_rows(blobs.earlier, blobs.count)  # one row for each blob: what is said of it, not of a clip
    row_of_gone = row_of_known.copy()
    row_of_gone[here_now] = -1
    gone = known.select(["sha256", "work"]).take(pa.array(row_of_gone[row_of_gone >= 0]))
    numbers = np.concatenate([here_now, np.flatnonzero(row_of_gone >= 0)])
    row_of = first_rows(numbers, blobs.count)
    # What is gone may have no measurement with today's parameters; its work and group still count.
    place = np.where(mask(measured["reason"].is_valid()), -1, row_of[blobs.measured])
    here = np.flatnonzero(place >= 0)
    exact, alike = clusters.equal_rows(numbers), clusters.NO_EDGES
    if modality == "image":
        (pixels,) = numbered_hashes(measured["pixels_sha256"].take(pa.array(here)))
        exact = np.concatenate([exact, place[here][clusters.equal_rows(pixels)]])
        alike = _inside(place[links[_are_equal(measured, links)]])
    told = np.stack([row_of[overruled.blobs], np.where(overruled.same_as < 0, -1, row_of[overruled.same_as])], axis=1)
    own_works = works.works_of(items["creator"], items["title"])
    all_works = pa.concat_arrays([own_works, flat(out["work"]), flat(gone["work"])])
    before = row_of_known[numbers]
    return _Universe(
        count=len(items),
        blobs=numbers,
        sha256s=pa.concat_arrays([flat(items["sha256"]), flat(out["sha256"]), flat(gone["sha256"])]),
        works=all_works,
        work_numbers=numbered(all_works)[0],
        details=mask(works.are_details(items["title"])),
        exact=exact,
        alike=alike,
        similar=_inside(place[links]),
        told=_inside(told),
        reason="near_duplicate" if modality == "image" else "acoustic_duplicate",
        earlier=pa.table({name: taken(flat(known[name]), before) for name in ("group", "split")}),
    )


def _inside(edges: Edges) -> Edges:
    return edges[(edges >= 0).all(axis=1)]


def _are_equal(measured: pa.Table, links: Edges) -> Bools:
    """Tell which links are between pictures of equal hash: one of these may stand for all of them."""
    hashes = measured["phash"].to_numpy()
    return np.asarray(hashes[links[:, 0]] == hashes[links[:, 1]])


def _rank(items: pa.Table, own: pa.Table, universe: _Universe, released: Bools, leaks: Bools) -> Ints:
    """Order duplicates: a released one first, else the largest, ties by sha256 and then by name.

    Leaks come last, for none of them stays. Only what may be a duplicate or have one is ordered.
    """
    contested = np.zeros(len(items), dtype=bool)
    contested[np.concatenate([universe.within(universe.exact), universe.within(universe.similar)])] = True
    work = universe.work_numbers[: universe.count]
    of_details = np.zeros(len(universe.work_numbers) + 1, dtype=bool)
    of_details[work[universe.details]] = True
    rows = np.flatnonzero(contested | (of_details[work] & (work >= 0)))
    some = own.select([name for name in ("width_px", "height_px", "duration_s") if name in own.column_names])
    columns = [column.to_numpy().astype(np.float64) for column in some.take(pa.array(rows)).columns]
    size = np.prod(columns, axis=0)
    order = np.lexsort((heads(items["sha256"].take(pa.array(rows))), -size, ~released[rows], leaks[rows]))
    rank = np.zeros(len(items), dtype=np.int64)
    rank[rows[order]] = np.arange(len(rows))
    return rank


@dataclass(frozen=True, slots=True)
class _Grouped:
    """The groups of a universe.

    Attributes:
        groups: int64, shape (n,): the number of the group of each row.
        names: of every group.
        splits: int8, shape (n_groups,): for life, or NO_SPLIT.
        leaks: bool, shape (n_items,): items that were released in another split than that of their group now.
    """

    groups: Ints
    names: pa.Array
    splits: npt.NDArray[np.int8]
    leaks: Bools


def _groups(universe: _Universe) -> _Grouped:
    """Join duplicates and works into groups."""
    earlier = flat(universe.earlier["group"])
    equal = (clusters.equal_rows(numbers) for numbers in (universe.work_numbers, *numbered(earlier)))
    groups = clusters.components(len(universe.blobs), universe.exact, universe.similar, universe.told, *equal)
    names = clusters.group_names(groups, universe.sha256s, earlier)
    before = places(universe.earlier["split"], pa.array(SPLITS)).astype(np.int8)
    splits = np.full(len(names), NO_SPLIT, dtype=np.int8)
    np.maximum.at(splits, groups, before)  # the later split wins
    leaks = (before != NO_SPLIT) & (before != splits[groups])
    return _Grouped(groups, names, splits, leaks[: universe.count])


def _without_copies(universe: _Universe, rank: Ints, released: Bools) -> tuple[_Universe, Duplicates, _Grouped]:
    """Leave out the new items that duplicate one of the parent release: return the rest, those copies, the groups.

    Nothing gives way to a leak, for that does not stay: what duplicates leaks only is no copy. So it ties groups too,
    of which more leaks may come.
    """
    while True:
        copies = _copies_of_released(universe, rank, released)
        twins = copies.kept_by >= 0
        rest = universe.without(twins)
        grouped = _groups(rest)
        if not grouped.leaks[copies.kept_by[twins]].any():
            return rest, copies, grouped
        released = released & ~grouped.leaks


def _copies_of_released(universe: _Universe, rank: Ints, released: Bools) -> Duplicates:
    """Find the new items that duplicate one of the parent release: the row of that one, and the reason."""
    exact, alike, similar = (universe.within(edges) for edges in (universe.exact, universe.alike, universe.similar))
    copies = clusters.of_released(exact, alike, similar, universe.reason, released, rank)
    # What an earlier release held has a split for life: it ties its copies to that, and is no mere copy itself.
    copies.kept_by[mask(universe.earlier["split"].is_valid())[: universe.count]] = -1
    return copies


def _duplicates(universe: _Universe, copies: Duplicates, leaks: Bools, rank: Ints) -> Duplicates:
    """Decide which duplicates stay; a leak is said to be one, whatever else it is."""
    exact, similar = universe.within(universe.exact), universe.within(universe.similar)
    found = clusters.keep_one(exact, similar, universe.reason, rank)
    work = np.where(leaks, -1, universe.work_numbers[: universe.count])
    clusters.drop_details(found, work, universe.details, rank)
    twins = np.flatnonzero(copies.kept_by >= 0)
    stays = copies.kept_by[twins]
    leaders = found.kept_by[stays]
    found.reason[twins] = copies.reason[twins]
    found.kept_by[twins] = np.where(leaders < 0, stays, leaders)
    found.kept_by[leaks] = -1
    return found


def _reject_duplicates(modality: str, found: Duplicates, rows: Ints, rejections: Rejections) -> None:
    twins = np.flatnonzero(found.kept_by >= 0)
    rejections.add(UNIT[modality], found.reason[twins], rows[twins], kept=rows[found.kept_by[twins]])


def _reject_overruled(
    modality: str, overruled: _Overruled, blobs: _Blobs, found: Duplicates, rows: Ints, rejections: Rejections
) -> None:
    """Name what stays in the end: what an override names may have given way to another copy."""
    named = np.append(first_rows(blobs.items, blobs.count), -1)[overruled.same_as]
    leader = np.append(found.kept_by, -1)[named]
    stays = np.append(rows, -1)[np.where(leader < 0, named, leader)]
    rejections.add(UNIT[modality], "overridden", overruled.rows, detail=overruled.details, kept=stays)


def _reject_leaks(
    modality: str, universe: _Universe, grouped: _Grouped, stays: Bools, rows: Ints, rejections: Rejections
) -> None:
    leaks = np.flatnonzero(stays & grouped.leaks)
    before = universe.earlier["split"].take(pa.array(leaks))
    now = taken(pa.array(SPLITS), grouped.splits[grouped.groups[leaks]])
    detail = pc.binary_join_element_wise("was released in ", before, "; its group is in ", now, " now", "")
    rejections.add(UNIT[modality], "leak", rows[leaks], detail=detail)


def _reject_unfit(modality: str, fitting: Fitting, unfit: Bools, rows: Ints, rejections: Rejections) -> None:
    details = [_why_unfit(*why) for why in zip(fitting.near_misses, fitting.tags, strict=True)]
    detail = pa.DictionaryArray.from_arrays(pa.array(fitting.combination[unfit]), pa.array(details, pa.string()))
    rejections.add(UNIT[modality], "no_rule", rows[unfit], detail=detail)


def _why_unfit(misses: Sequence[NearMiss], words: str) -> str:
    return _lacks(misses) or (f"no label takes {words}" if words else "it has no tags")


def _candidates(modality: str, items: pa.Table, fitting: Fitting, stays: Bools) -> pa.Table:
    """List the items that several labels fit, and those that lack one clause of a label."""
    kinds = [_candidate(*found) for found in zip(fitting.fits, fitting.near_misses, strict=True)]
    listed = np.array([kind is not None for kind, *_ in kinds], dtype=bool)[fitting.combination] & stays
    combination = pa.array(fitting.combination[listed])
    columns = zip(*kinds, strict=True) if kinds else ([], [], [])
    said = {
        name: pa.array(column, CANDIDATES.field(name).type).take(combination)
        for name, column in zip(("kind", "labels", "detail"), columns, strict=True)
    }
    shared = items.select(["source", "source_id", "sha256", "title"]).filter(pa.array(listed))
    facts = said | {name: shared[name] for name in shared.column_names}
    facts["side"] = pa.repeat(pa.scalar(modality), len(shared))
    return pa.table({name: facts[name] for name in CANDIDATES.names}, CANDIDATES)


def _candidate(fits: Sequence[Fit], misses: Sequence[NearMiss]) -> tuple[str | None, list[str], str]:
    """Return kind, labels and detail of a candidate, if it is one."""
    labels = list(dict.fromkeys(fit.label for fit in fits))
    if len(labels) > 1:
        parts = (part for fit in fits for part in fit.evidence.split("; "))
        return "ambiguous", labels, "; ".join(dict.fromkeys(parts))
    if misses:
        return "near_miss", [miss.label for miss in misses], _lacks(misses)
    return None, [], ""


def _lacks(misses: Sequence[NearMiss]) -> str:
    verbs = ("is" if miss.lacks.startswith("excluded by ") else "lacks" for miss in misses)
    return "; ".join(f"{miss.label} {verb} {miss.lacks}" for miss, verb in zip(misses, verbs, strict=True))


def labels_of(fits: Sequence[Fit]) -> tuple[str, ...]:
    """Return the labels of fits, each once, in the rule set's order."""
    return tuple(dict.fromkeys(fit.label for fit in fits))
