"""What earlier releases decided: labels, splits, starts and partners that stay where they may."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Bools, Ints, mask, places
from curation.schemas import ASSIGNMENT, MEASURES

# What is remembered of published pairs: the measures of clips, and titles to speak of them.
REMEMBERED = ("pair_id", "image_sha256", "image_title", "music_sha256", "music_title", *MEASURES)
SPLITS = ("train", "validation", "test")  # where links join groups, the later one wins


@dataclass(frozen=True)
class Memory:
    """The parent release's assignment, and the rows that it published.

    Attributes:
        assignment: schema ASSIGNMENT; without a parent, no rows.
        pairs: what the parent published, the columns REMEMBERED at least.
    """

    assignment: pa.Table
    pairs: pa.Table | None = None

    @cached_property
    def images(self) -> pa.Table:
        """Every image that a release ever held: a row for each."""
        return self._rows("image")

    @cached_property
    def clips(self) -> pa.Table:
        """Every clip that a release ever held: a row for each."""
        return self._rows("music")

    def ever(self, side: str) -> pa.Table:
        """Return every image, or every clip, that a release ever held."""
        return self.images if side == "image" else self.clips

    def sha256s(self, side: str) -> pa.ChunkedArray:
        return self.ever(side)["sha256"]

    def is_released(self, side: str) -> Bools:
        """Tell which of these the parent's pairs hold."""
        return mask(self.ever(side)["pair_id"].is_valid())

    def released(self, side: str) -> pa.Table:
        """Return those that the parent's pairs hold."""
        return self.ever(side).filter(pa.array(self.is_released(side)))

    @cached_property
    def partners(self) -> Ints:
        """For each clip the row of the image that the parent paired it with, else -1."""
        return places(self.clips["pair_id"], self.images["pair_id"])

    def _rows(self, side: str) -> pa.Table:
        at = np.flatnonzero(mask(pc.equal(self.assignment["side"], side)))
        if len(at) and at[-1] - at[0] + 1 == len(at):  # as releases are ordered: nothing is copied
            return self.assignment.slice(at[0], len(at))
        return self.assignment.take(pa.array(at))


NO_MEMORY = Memory(ASSIGNMENT.empty_table())
