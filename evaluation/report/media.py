"""Pictures, clips and credits of single pairs, out of the splits of a published data set."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.report.samples import Side
from training.data import Split
from training.reading.files import patiently

_CREDITS = tuple(f"{side}_{name}" for side in ("image", "music") for name in Side.__slots__)


class OfSplits:
    """What a report asks for, of pairs of these splits."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self._splits = splits

    def pictures(self, pair_ids: Collection[str]) -> Iterable[tuple[str, bytes]]:
        """Yield the id and the picture file of pairs, where they have one."""
        return self._media("image", pair_ids)

    def clips(self, pair_ids: Collection[str]) -> Iterable[tuple[str, bytes]]:
        """Yield the id and the clip of pairs, a WAV file, where they have one."""
        return self._media("audio", pair_ids)

    def credits(self, pair_ids: Collection[str]) -> Iterable[tuple[str, Side, Side]]:
        """Yield the id of pairs, and what is known of their pictures and recordings."""
        for split, group, rows in self._groups(pair_ids):
            for row in patiently(partial(_described, split, group, rows)):
                yield str(row["pair_id"]), _side(row, "image"), _side(row, "music")

    def _media(self, column: str, pair_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for split, group, rows in self._groups(pair_ids):
            yield from patiently(partial(_contents, split, group, column, rows))

    def _groups(self, pair_ids: Collection[str]) -> Iterator[tuple[Split, int, list[int]]]:
        """Yield row groups and their rows that are wanted."""
        wanted = pa.array(sorted(pair_ids), pa.string())
        for split in self._splits:
            found = pc.indices_nonzero(pc.is_in(split.pairs.column("pair_id"), value_set=wanted)).to_pylist()
            groups = [split.group_of(row) for row in found]
            for group in sorted(set(groups)):
                yield split, group, [row for row, its in zip(found, groups, strict=True) if its == group]


def _contents(split: Split, group: int, column: str, rows: Sequence[int]) -> list[tuple[str, bytes]]:
    ids = split.pairs.column("pair_id")
    found = split.media(group, {column: rows})
    return [(ids[row].as_py(), content.to_pybytes()) for _, row, content in found if content is not None]


def _described(split: Split, group: int, rows: Sequence[int]) -> list[dict[str, object]]:
    name, within = split.place(group)
    first = int(np.sum(split.group_sizes[:group]))
    with split.revision.files.parquet(name, ahead=True) as file:
        columns = [column for column in _CREDITS if column in file.schema_arrow.names]
        table = file.read_row_group(within, columns=["pair_id", *columns], use_threads=False)
        found: list[dict[str, object]] = table.take([row - first for row in rows]).to_pylist()
    return found


def _side(row: dict[str, object], side: str) -> Side:
    return Side(**{name: row.get(f"{side}_{name}") for name in Side.__slots__})  # type: ignore[arg-type]
