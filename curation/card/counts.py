"""What a card counts in the metadata of a release; these may have millions of rows, so they are read in batches."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.columns import Bools, Keys, heads, mask
from curation.store import opened
from rules.licenses import UNKNOWN

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 1 << 16
# Of DuckDB, above which it writes to the disk: one machine may hold several things at a time.
MEMORY_LIMIT = "300MB"
SIDES = ("image", "music")
CREDITED = "credited"
NAME = r"[\pL\pN]"  # an attribution without letter or digit names nobody: zero-width spaces are no spaces to trim
_COUNTED = ("license", "attribution", "source")


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are of something, and how many of these with their media."""

    rows: int = 0
    embedded: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.rows + other.rows, self.embedded + other.embedded)


@dataclass(frozen=True, slots=True)
class Counts:
    """The pairs of a data set.

    Attributes:
        pairs: by label and split.
        sources: by side and source.
        licenses: by side, license and whether the row says whom to name.
        recordings: how many different ones there are.
    """

    pairs: Mapping[tuple[str, ...], Count]
    sources: Mapping[tuple[str, ...], Count]
    licenses: Mapping[tuple[str, ...], Count]
    recordings: int

    @property
    def total(self) -> Count:
        return sum(self.pairs.values(), Count())


class Pairs:
    """The pairs of a release without their media, by batches.

    Args:
        embedded: the pair_ids whose media are told of, ordered; all if None.
        excluded: the pair_ids that are not told of at all, ordered.
    """

    def __init__(
        self, release: Path, labels: Sequence[str], embedded: pa.Array | None = None, excluded: pa.Array | None = None
    ) -> None:
        self._paths = sorted((release / "metadata").glob("*.parquet"))
        self._labels = pa.array(labels)
        self._embedded = None if embedded is None else _Ordered(embedded)
        self._excluded = None if excluded is None or not len(excluded) else _Ordered(excluded)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield these columns, and split, label (a name) and is_embedded, of one file after the other."""
        for path in self._paths:
            with pq.ParquetFile(opened(path)) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=["pair_id", "label", *columns]):
                    if len(batch):
                        yield self._told(batch, path.name.partition("-")[0], columns)

    def reader(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Return the same as `batches`, for DuckDB; it can be read once."""
        names = [("split", pa.string()), ("label", pa.string()), ("is_embedded", pa.bool_())]
        return pa.RecordBatchReader.from_batches(
            pa.schema([*((name, pa.string()) for name in columns), *names]), self.batches(columns)
        )

    def _told(self, batch: pa.RecordBatch, split: str, columns: Sequence[str]) -> pa.RecordBatch:
        ids = batch["pair_id"]
        is_embedded = np.ones(len(ids), dtype=bool) if self._embedded is None else self._embedded.has(ids)
        found = {name: batch[name] for name in columns} | {
            "split": pa.repeat(split, len(ids)),
            "label": self._labels.take(batch["label"]),
            "is_embedded": pa.array(is_embedded),
        }
        told = pa.record_batch(found)
        return told if self._excluded is None else told.filter(pa.array(~self._excluded.has(ids)))


class _Ordered:
    """Pair_ids in order: which of them a batch of a file, ordered too, may hold is soon found."""

    def __init__(self, pair_ids: pa.Array) -> None:
        self._ids = pair_ids
        self._keys: Keys = heads(pair_ids)

    def has(self, ids: pa.Array) -> Bools:
        keys = heads(ids)
        first, last = self._keys.searchsorted(keys.min()), self._keys.searchsorted(keys.max(), side="right")
        return mask(pc.is_in(ids, value_set=self._ids.slice(first, last - first)))


def counted(pairs: Pairs) -> Counts:
    """Count what a card tells of pairs."""
    found: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in ("pairs", "sources", "licenses")}
    embedded: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in found}
    recordings: list[Keys] = []
    for batch in pairs.batches([*(f"{side}_{name}" for side in SIDES for name in _COUNTED), "music_sha256"]):
        recordings.append(np.unique(heads(batch["music_sha256"])))
        for name, key, count in _groups(batch):
            found[name][key] += count.rows
            embedded[name][key] += count.embedded
    told = {name: {key: Count(rows, embedded[name][key]) for key, rows in found[name].items()} for name in found}
    return Counts(**told, recordings=len(np.unique(np.concatenate(recordings))) if recordings else 0)


def _groups(batch: pa.RecordBatch) -> Iterator[tuple[str, tuple[str, ...], Count]]:
    rows = pa.Table.from_batches([batch])
    for key, count in _grouped(rows, ["label", "split"]):
        yield "pairs", key, count
    for side in SIDES:
        credited = names_somebody(rows[f"{side}_attribution"])
        of_side = rows.append_column("license", pc.fill_null(rows[f"{side}_license"], UNKNOWN))
        of_side = of_side.append_column("credited", pc.if_else(credited, CREDITED, ""))
        for key, count in _grouped(rows, [f"{side}_source"]):
            yield "sources", (side, *key), count
        for key, count in _grouped(of_side, ["license", "credited"]):
            yield "licenses", (side, *key), count


def names_somebody(attributions: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Tell of each attribution, which may be null, whether it says whom to name."""
    return pc.match_substring_regex(pc.fill_null(attributions, ""), NAME)


def _grouped(rows: pa.Table, columns: list[str]) -> Iterator[tuple[tuple[str, ...], Count]]:
    for row in rows.group_by(columns).aggregate([([], "count_all"), ("is_embedded", "sum")]).to_pylist():
        yield tuple(row[name] for name in columns), Count(row["count_all"], row["is_embedded_sum"])


def most_credited(pairs: Pairs, at_most: int, scratch: Path) -> tuple[int, list[tuple[str, int]]]:
    """Return how many different attributions there are, and the most frequent with the number of their sides.

    Args:
        scratch: a folder for what does not fit into memory.
    """
    rows = pairs.reader([f"{side}_attribution" for side in SIDES])
    query = f"""
        SELECT name, count(*) AS sides, count(*) OVER () AS names
        FROM (SELECT unnest([image_attribution, music_attribution]) AS name FROM rows)
        WHERE regexp_matches(name, '{NAME}') GROUP BY name ORDER BY sides DESC, name LIMIT {at_most}
        """
    with querying(rows, scratch) as connection:
        most = connection.execute(query).fetchall()
    return most[0][2] if most else 0, [(name, sides) for name, sides, _ in most]


@contextmanager
def querying(rows: pa.RecordBatchReader, scratch: Path) -> "Iterator[DuckDBPyConnection]":
    """Give a connection that knows `rows`, and writes to a folder within `scratch` what does not fit into memory."""
    import duckdb  # where it lies beside torch as the interpreter ends, it complains of what it never freed

    with (
        TemporaryDirectory(dir=scratch) as folder,
        duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT, "temp_directory": folder}) as connection,
    ):
        connection.register("rows", rows)
        yield connection
