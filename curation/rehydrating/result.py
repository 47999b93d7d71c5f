"""What a rehydration gave, counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from curation.errors import PARKED
from curation.rehydrating.publication import Publication
from curation.releases import Release
from curation.store import opened

OUTCOMES = ("embedded", "exact", "same_content", "changed", "gone", "not_fetched")
COLUMNS = ("Source", ">Embedded", ">Exact", ">Same content", ">Changed", ">Gone", ">Not fetched", "Left out for")
LATER = PARKED | {"not_tried"}


@dataclass(frozen=True, slots=True)
class Count:
    """How many sides of one source ended alike.

    Attributes:
        outcome: one of OUTCOMES.
        reason: why they cannot be used; empty if they can.
    """

    source: str
    outcome: str
    reason: str
    sides: int


@dataclass(frozen=True, slots=True)
class Rehydrated:
    """What became of a publication.

    Attributes:
        named: the places that somebody named for sources.
        release: None if sides may be had later, and nobody said yes to a release without them.
        is_new: False if the release was there before.
        counts: of the sides of all published pairs, ordered.
        published: pairs.
        kept: of these, the pairs in the release, or that would be in it.
        stopped: why some sides were not tried.
    """

    publication: Publication
    named: tuple[str, ...]
    release: Release | None
    is_new: bool
    counts: Sequence[Count]
    published: int
    kept: int
    stopped: str = ""

    @property
    def embedded(self) -> int:
        """Pairs that were published with their media."""
        return sum(count.sides for count in self.counts if count.outcome == "embedded") // 2

    @property
    def waiting(self) -> int:
        """Sides that another try may give."""
        return sum(count.sides for count in self.counts if count.reason in LATER)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of COLUMNS for each source."""
        for source in sorted({count.source for count in self.counts}):
            mine = [count for count in self.counts if count.source == source]
            by_outcome: Counter[str] = Counter()
            why: Counter[str] = Counter()
            for count in mine:
                by_outcome[count.outcome] += count.sides
                if count.reason:
                    why[count.reason] += count.sides
            reasons = ", ".join(f"{reason} {sides:,}" for reason, sides in sorted(why.items()))
            yield source, *(f"{by_outcome[outcome]:,}" for outcome in OUTCOMES), reasons


def counted(tables: Iterable[Path]) -> tuple[list[Count], int, int]:
    """Return the counts of sides in files of YIELD, the pairs in them, and how many of these are kept."""
    names = ["source", "outcome", "reason"]
    sides: Counter[tuple[str, str, str]] = Counter()
    published = kept = 0
    for path in tables:
        rows = pq.read_table(opened(path), columns=[*names, "is_kept"])
        published += len(rows) // 2
        kept += sum(rows["is_kept"].to_pylist()) // 2
        for row in rows.group_by(names).aggregate([([], "count_all")]).to_pylist():
            sides[row["source"], row["outcome"], row["reason"] or ""] += row["count_all"]
    return [Count(*key, count) for key, count in sorted(sides.items())], published, kept
