"""What is left out and why: a row for each unit, kept as numbers until the table is asked for."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Ints, flat, taken
from curation.errors import REASONS
from curation.schemas import REJECTIONS

UNIT = {"image": "image", "music": "recording"}  # of each modality
_UNITS = pa.array(["clip", "image", "item", "recording"])  # in the order of their names, as their rows are
_REASONS = pa.array(sorted(REASONS))
_STAGES = pa.array([REASONS[reason][0] for reason in sorted(REASONS)])
_NAMES = ["source", "source_id", "sha256", "title"]
_NO_START = np.iinfo(np.int64).max  # null comes last
_ROWS_AT_ONCE = 1 << 20  # text of one column in one array must stay under 2 GB


class Rejections:
    """Collects a row for everything that is left out.

    Args:
        items: schema ITEMS, ordered by source and id.
    """

    def __init__(self, items: pa.Table) -> None:
        self._items = items
        self._numbers: list[Ints] = []  # shape (6, n): row, unit, reason, start sample, detail, row that stays
        self._details: list[pa.Array] = []
        self._detail_count = 0

    def add(
        self,
        unit: str | pa.Array,
        reason: str | pa.Array | npt.NDArray[np.object_],
        rows: Ints,
        *,
        detail: str | pa.Array | pa.DictionaryArray | None = None,
        start_sample: Ints | None = None,
        kept: Ints | None = None,
    ) -> None:
        """Write down some units.

        Args:
            unit: of all, or of each.
            reason: likewise.
            rows: their rows of the items.
            detail: likewise; a dictionary where many have few.
            start_sample: of clips.
            kept: of duplicates: the rows of the items that stay.
        """
        count = len(rows)
        numbers = np.full((6, count), -1, dtype=np.int64)
        numbers[0] = rows
        for at, (words, value) in enumerate(((_UNITS, unit), (_REASONS, reason)), 1):
            values = pa.array([value] if isinstance(value, str) else value, pa.string())
            numbers[at] = pc.index_in(values, value_set=words).to_numpy()
        numbers[3] = _NO_START if start_sample is None else start_sample
        numbers[4] = self._detail_numbers(detail, count)
        if kept is not None:
            numbers[5] = kept
        self._numbers.append(numbers)

    def _detail_numbers(self, detail: str | pa.Array | pa.DictionaryArray | None, count: int) -> Ints:
        if detail is None:
            return np.full(count, -1, dtype=np.int64)
        if isinstance(detail, str):
            words, numbers = pa.array([detail]), np.zeros(count, dtype=np.int64)
        else:
            encoded = flat(detail).dictionary_encode()
            words, numbers = encoded.dictionary, np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int64)
        first = self._detail_count
        self._details.append(words)
        self._detail_count += len(words)
        return np.where(numbers < 0, -1, numbers + first)

    def table(self) -> pa.Table:
        """Return the rows, ordered by source, id, unit, start and reason."""
        empty = np.empty((6, 0), dtype=np.int64)
        row, unit, reason, start, detail, kept = numbers = np.concatenate([empty, *self._numbers], axis=1)
        order = np.lexsort((reason, start, unit, _places_of_names(self._items)[row]))
        details = pa.concat_arrays([pa.array([], pa.string()), *self._details])
        slices = (numbers[:, order[at : at + _ROWS_AT_ONCE]] for at in range(0, len(order), _ROWS_AT_ONCE))
        return pa.Table.from_batches(self._batches(slices, details), REJECTIONS)

    def _batches(self, slices: Iterator[Ints], details: pa.Array) -> Iterator[pa.RecordBatch]:
        columns = [flat(self._items[name]) for name in _NAMES]
        for row, unit, reason, start, detail, kept in slices:
            source, source_id, sha256, title = (column.take(pa.array(row)) for column in columns)
            yield pa.record_batch(
                [
                    taken(_UNITS, unit),
                    taken(_STAGES, reason),
                    taken(_REASONS, reason),
                    source,
                    source_id,
                    sha256,
                    pa.array(start, mask=start == _NO_START),
                    title,
                    taken(details, detail),
                    taken(columns[1], kept),
                ],
                schema=REJECTIONS,
            )


def _places_of_names(items: pa.Table) -> Ints:
    """Return for each item the place of its name among all names; the items are ordered by it."""
    is_new = np.ones(len(items), dtype=bool)
    is_new[1:] = False
    for name in ("source", "source_id"):
        column = flat(items[name])
        is_new[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.cumsum(is_new)
