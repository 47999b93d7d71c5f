"""From items and measurements to what may be paired: duplicates dropped, groups joined, labels that fit."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import duplicates, fingerprints, tagging
from curation.duplicates import Duplicates, Edges
from curation.errors import REASONS
from curation.memory import SPLITS, Memory
from curation.schemas import CANDIDATES, REJECTIONS
from curation.split import winning_split
from curation.tagging import Fitting
from rules.engine import NearMiss
from rules.schema import RuleSet

UNIT = {"image": "image", "music": "recording"}


class Rejections:
    """Collects a row for everything that is left out."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def add(self, unit: str, reason: str, item: dict[str, object], **more: object) -> None:
        """Write down one unit; `item` is its row of ITEMS."""
        shared = {name: item[name] for name in ("source", "source_id", "sha256", "title")}
        self._rows.append({"unit": unit, "stage": REASONS[reason][0], "reason": reason, **shared, **more})

    def table(self) -> pa.Table:
        order = [(name, "ascending") for name in ("source", "source_id", "unit", "start_sample", "reason", "detail")]
        return pa.Table.from_pylist(self._rows, REJECTIONS).sort_by(order)


@dataclass(frozen=True, slots=True)
class Side:
    """The items of one modality that duplicates, rules and splits let pass.

    Attributes:
        items: their rows of ITEMS.
        measured: their rows of IMAGES or RECORDINGS, in the same order.
        fitting: the labels that fit each.
        groups: the group of each.
        splits: for every group that an earlier release held, its split for life.
        renamed: the group now of every blob that an earlier release held.
        candidates: ambiguous and nearly fitting items, schema CANDIDATES.
    """

    items: pa.Table
    measured: pa.Table
    fitting: Fitting
    groups: list[str]
    splits: dict[str, str]
    renamed: dict[str, str]
    candidates: pa.Table


def refused(items: pa.Table, rejections: Rejections) -> None:
    """Write down the items that were never fetched."""
    for item in items.filter(items["reason"].is_valid()).to_pylist():
        rejections.add(UNIT.get(item["modality"], "item"), item["reason"], item, detail=item["detail"])


def eligible(
    modality: str, items: pa.Table, measured: pa.Table, rule_set: RuleSet, memory: Memory, rejections: Rejections
) -> Side:
    """Find what may be paired among the items of one modality; the rest becomes rejections.

    Args:
        items: rows of ITEMS, of any modality.
        measured: rows of IMAGES or RECORDINGS for the blobs of these items and of everything in memory.
    """
    unit = UNIT[modality]
    items, own = _usable(modality, items, measured, rejections)
    universe = _universe(modality, items, own, measured, memory)
    known = memory.known(modality)
    copies = _copies_of_released(universe, _rank(modality, items, own, memory, ()), memory.released(modality))
    universe = universe.without(set(copies))
    groups, splits, leaks = _groups(universe, known)
    found = _duplicates(universe, copies, leaks, items, _rank(modality, items, own, memory, leaks))
    for row in np.flatnonzero(found.kept_by >= 0).tolist():
        stays = items["source_id"][int(found.kept_by[row])].as_py()
        rejections.add(unit, found.reason[row] or "", _item(items, row), kept_source_id=stays)

    fitting = tagging.fitting(items, rule_set, modality)
    kept = np.zeros(len(items), dtype=bool)
    for row in np.flatnonzero(found.kept_by < 0).tolist():
        if row in leaks:
            detail = f"was released in {leaks[row]}; its group is in {splits[groups[row]]} now"
            rejections.add(unit, "leak", _item(items, row), detail=detail)
        elif not fitting.of(row):
            number = int(fitting.combination[row])
            words = fitting.tags[number]
            nothing = f"no label takes {words}" if words else "it has no tags"
            detail = _lacks(fitting.near_misses[number]) or nothing
            rejections.add(unit, "no_rule", _item(items, row), detail=detail)
        else:
            kept[row] = True
    candidates = _candidates(modality, items.filter(pa.array(found.kept_by < 0)), fitting, found.kept_by < 0)
    renamed = dict(zip(universe.sha256s, groups, strict=True))
    fitting = replace(fitting, combination=fitting.combination[kept])
    mask = pa.array(kept)
    own_groups = [groups[row] for row in np.flatnonzero(kept).tolist()]
    return Side(items.filter(mask), own.filter(mask), fitting, own_groups, splits, renamed, candidates)


def _item(items: pa.Table, row: int) -> dict[str, Any]:
    found: dict[str, Any] = items.slice(row, 1).to_pylist()[0]
    return found


def _usable(modality: str, items: pa.Table, measured: pa.Table, rejections: Rejections) -> tuple[pa.Table, pa.Table]:
    """Return the items of one modality that could be measured, and their measurements in the same order."""
    items = items.filter(pc.and_(items["reason"].is_null(), pc.equal(items["modality"], modality)))
    own = measured.take(pc.index_in(items["sha256"], value_set=measured["sha256"].combine_chunks()))
    broken = own["reason"].is_valid()
    for item, row in zip(items.filter(broken).to_pylist(), own.filter(broken).to_pylist(), strict=True):
        rejections.add(UNIT[modality], row["reason"], item, detail=row["detail"])
    return items.filter(own["reason"].is_null()), own.filter(own["reason"].is_null())


def _copies_of_released(
    universe: "_Universe", rank: list[tuple[object, ...]], in_parent: set[str]
) -> dict[int, tuple[int, str]]:
    """Find the new items that duplicate one of the parent release: the row of that one, and the reason."""
    released = [sha256 in in_parent for sha256 in universe.sha256s]
    exact, alike, similar = (universe.within(edges) for edges in (universe.exact, universe.alike, universe.similar))
    return duplicates.of_released(exact, alike, similar, universe.reason, released, rank)


def _duplicates(
    universe: "_Universe",
    copies: Mapping[int, tuple[int, str]],
    leaks: Container[int],
    items: pa.Table,
    rank: list[tuple[object, ...]],
) -> Duplicates:
    """Decide which duplicates stay; a leak is said to be one, whatever else it is."""
    exact, similar = universe.within(universe.exact), universe.within(universe.similar)
    found = duplicates.keep_one(exact, similar, universe.reason, rank)
    works = [None if row in leaks else universe.works[row] for row in range(len(items))]
    details = [tagging.is_detail(title) for title in items["title"].to_pylist()]
    duplicates.drop_details(found, works, details, rank)
    for row in range(len(items)):
        if row in leaks:
            found.kept_by[row] = -1
        elif row in copies:
            stays, found.reason[row] = copies[row]
            leader = int(found.kept_by[stays])
            found.kept_by[row] = stays if leader < 0 else leader
    return found


@dataclass(frozen=True, slots=True)
class _Universe:
    """The items of a side and, after them, what earlier releases held and no source lists any more."""

    count: int  # of items
    sha256s: list[str]
    works: list[str | None]
    exact: Edges  # equal content
    alike: Edges  # equal hash
    similar: Edges
    reason: str

    def within(self, edges: Edges) -> Edges:
        return [(a, b) for a, b in edges if a < self.count and b < self.count]

    def without(self, rows: set[int]) -> "_Universe":
        """Return the universe in which nothing ties these rows to others."""
        exact, similar = ([e for e in edges if rows.isdisjoint(e)] for edges in (self.exact, self.similar))
        works = [None if row in rows else work for row, work in enumerate(self.works)]
        return replace(self, works=works, exact=exact, similar=similar)


def _universe(modality: str, items: pa.Table, own: pa.Table, measured: pa.Table, memory: Memory) -> _Universe:
    sha256s: list[str] = items["sha256"].to_pylist()
    creators, titles = items["creator"].to_pylist(), items["title"].to_pylist()
    works = [tagging.work_of(creator, title) for creator, title in zip(creators, titles, strict=True)]
    here = set(sha256s)
    gone = {sha256: row for sha256, row in sorted(memory.known(modality).items()) if sha256 not in here}
    sha256s, works = sha256s + list(gone), works + [row["work"] for row in gone.values()]
    # What is gone may have no measurement with today's parameters; its work and group still count.
    at = pc.index_in(pa.array(list(gone), pa.string()), value_set=measured["sha256"].combine_chunks())
    extra = measured.take(at)
    usable = extra["reason"].is_null().to_numpy() & at.is_valid().to_numpy(zero_copy_only=False)
    rows = pa.concat_tables([own, extra.filter(pa.array(usable))])
    place = np.concatenate([np.arange(len(items)), len(items) + np.flatnonzero(usable)])
    exact, alike = duplicates.equal_rows(sha256s), []
    if modality == "image":
        exact += _placed(duplicates.equal_rows(rows["pixels_sha256"].to_pylist()), place)
        alike = _placed(duplicates.equal_rows(rows["phash"].to_pylist()), place)
        similar = duplicates.similar_hashes(rows["phash"].to_numpy())
    else:
        prints = [np.frombuffer(fingerprint, dtype="<u4") for fingerprint in rows["fingerprint"].to_pylist()]
        similar = fingerprints.overlaps(prints)
    reason = "near_duplicate" if modality == "image" else "acoustic_duplicate"
    return _Universe(len(items), sha256s, works, exact, alike, _placed(similar, place), reason)


def _placed(edges: Edges, place: npt.NDArray[np.int64]) -> Edges:
    return [(int(place[a]), int(place[b])) for a, b in edges]


def _rank(
    modality: str, items: pa.Table, own: pa.Table, memory: Memory, leaks: Container[int]
) -> list[tuple[object, ...]]:
    """Order duplicates: a released one first, else the largest, ties by sha256; leaks last, for none of them stays."""
    if modality == "image":
        size = pc.multiply(own["width_px"].cast(pa.int64()), own["height_px"].cast(pa.int64())).to_pylist()
    else:
        size = own["duration_s"].to_pylist()
    released = memory.released(modality)
    columns = (items["sha256"], items["source"], items["source_id"])
    keys = zip(size, *(column.to_pylist() for column in columns), strict=True)
    return [
        (row in leaks, sha256 not in released, -largest, sha256, *name)
        for row, (largest, sha256, *name) in enumerate(keys)
    ]


def _groups(
    universe: _Universe, known: Mapping[str, dict[str, Any]]
) -> tuple[list[str], dict[str, str], dict[int, str]]:
    """Join duplicates and works into groups.

    Returns:
        the group of each row of the universe; the split of groups that have one; rows that lie in another split than
        their group, with the split that they had.
    """
    rows = [known.get(sha256) for sha256 in universe.sha256s]
    earlier = [str(row["group"]) if row else None for row in rows]
    links = [universe.exact, universe.similar, duplicates.equal_rows(universe.works), duplicates.equal_rows(earlier)]
    component = duplicates.components(len(rows), [edge for edges in links for edge in edges])
    groups = duplicates.group_names(component, universe.sha256s, earlier)
    held: dict[str, dict[str, int]] = {}
    for group, row in zip(groups, rows, strict=True):
        if row:
            held.setdefault(group, {})[str(row["split"])] = 1
    splits = {group: winning_split(found, SPLITS) for group, found in held.items()}
    leaks = {
        at: str(row["split"])
        for at, (group, row) in enumerate(zip(groups, rows, strict=True))
        if row and at < universe.count and row["split"] != splits[group]
    }
    return groups, splits, leaks


def _candidates(modality: str, items: pa.Table, fitting: Fitting, stays: npt.NDArray[np.bool_]) -> pa.Table:
    """List the items that several labels fit, and those that lack one clause of a label."""
    rows: list[dict[str, object]] = []
    for item, combination in zip(items.to_pylist(), fitting.combination[stays].tolist(), strict=True):
        labels = list(dict.fromkeys(fit.label for fit in fitting.fits[combination]))
        misses = fitting.near_misses[combination]
        if len(labels) > 1:
            parts = (part for fit in fitting.fits[combination] for part in fit.evidence.split("; "))
            kind, named, detail = "ambiguous", labels, "; ".join(dict.fromkeys(parts))
        elif misses:
            kind, named = "near_miss", [miss.label for miss in misses]
            detail = _lacks(misses)
        else:
            continue
        shared = {name: item[name] for name in ("source", "source_id", "sha256", "title")}
        rows.append({"side": modality, "kind": kind, "labels": named, "detail": detail, **shared})
    return pa.Table.from_pylist(rows, CANDIDATES)


def _lacks(misses: Sequence[NearMiss]) -> str:
    return "; ".join(f"{miss.label} lacks {miss.lacks}" for miss in misses)


def labels_of(fitting: Fitting, row: int) -> Sequence[str]:
    """Return the labels that fit a row, in the rule set's order."""
    return list(dict.fromkeys(fit.label for fit in fitting.of(row)))
