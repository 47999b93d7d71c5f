"""What earlier releases decided: labels, splits, starts and partners that stay where they may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import ASSIGNMENT

SPLITS = ("train", "validation", "test")  # where links join groups, the later one wins
Clip = tuple[str, int]  # sha256 of the recording, start sample


@dataclass(frozen=True)
class Memory:
    """The parent release's assignment, and the rows that it published.

    Attributes:
        assignment: schema ASSIGNMENT; without a parent, no rows.
        pairs: what the parent published, schema PAIRS with a column split.
    """

    assignment: pa.Table
    pairs: pa.Table | None = None

    @cached_property
    def images(self) -> Mapping[str, dict[str, Any]]:
        """Every image that a release ever held, by sha256."""
        return {row["sha256"]: row for row in self._rows("image")}

    @cached_property
    def clips(self) -> Mapping[Clip, dict[str, Any]]:
        """Every clip that a release ever held, by recording and start."""
        return {(row["sha256"], row["start_sample"]): row for row in self._rows("music")}

    @cached_property
    def recordings(self) -> Mapping[str, list[dict[str, Any]]]:
        """Every recording that a release ever held: its clips, by sha256."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows("music"):
            rows.setdefault(row["sha256"], []).append(row)
        return rows

    def known(self, side: str) -> Mapping[str, dict[str, Any]]:
        """Return one row for every blob of a side that a release ever held: what is said of the blob, not of a clip."""
        return self.images if side == "image" else {sha256: rows[0] for sha256, rows in self.recordings.items()}

    def sha256s(self, side: str) -> pa.ChunkedArray:
        return self.assignment.filter(pc.equal(self.assignment["side"], side))["sha256"]

    def released(self, side: str) -> set[str]:
        """Return the blobs of the pairs of the parent."""
        is_released = pc.and_(pc.equal(self.assignment["side"], side), self.assignment["pair_id"].is_valid())
        return set(self.assignment.filter(is_released)["sha256"].to_pylist())

    def _rows(self, side: str) -> Sequence[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.assignment.filter(pc.equal(self.assignment["side"], side)).to_pylist()
        return rows


NO_MEMORY = Memory(ASSIGNMENT.empty_table())
