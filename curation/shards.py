"""Rows and media into the Parquet files of a release.

A file holds the rows of a bucket of pair ids, in their order, so an edit changes few files; pictures and sound are
stored uncompressed, so that what did not change stays byte for byte what it was.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.cutting import Place
from curation.features import features_schema, indexed_labels
from curation.releases import PublishedRules
from curation.store import Home
from rules.schema import RuleSet

MAX_ROW_GROUP_BYTES = 100_000_000  # the Hub's viewer stops at 286 MiB; a reader holds one group in memory
TARGET_FILE_BYTES = 400_000_000
TYPICAL_IMAGE_BYTES = 200_000  # a picture of 1024 px at quality 92
ROWS_PER_METADATA_FILE = 100_000
MEDIA_COLUMNS = ("image", "audio")


def row_bytes(rule_set: RuleSet) -> int:
    """Return about how many bytes a row with its media takes."""
    sound = rule_set.audio
    return 44 + round(sound.clip_s * sound.sample_rate_hz) * sound.channels * 2 + TYPICAL_IMAGE_BYTES


def bucket_counts(rule_set: RuleSet) -> dict[str, int]:
    """Choose how many files each split is cut into: a power of two, from the declared sizes of the classes."""
    total_bytes = sum(label.size for label in rule_set.labels) * row_bytes(rule_set)
    shares = rule_set.splits.model_dump()
    return {split: _power_of_two(share * total_bytes / TARGET_FILE_BYTES) for split, share in shares.items()}


def _power_of_two(wanted: float) -> int:
    return 1 << max(0, round(math.log2(max(wanted, 1))))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One file to write: its rows without media, in order, and where their media lie."""

    home: Home
    path: Path
    rule_set: PublishedRules
    rows: pa.Table  # schema PAIRS
    places: Mapping[str, Place]  # of the media of new rows, by pair_id
    parent: Path | None  # the parent's file of the same bucket


def by_bucket(table: pa.Table, counts: Mapping[str, int]) -> Iterator[tuple[str, pa.Table]]:
    """Yield "<split>-<bucket>-of-<n>" and the rows of every bucket that has any.

    Args:
        table: with the columns split and pair_id, ordered by pair_id.
        counts: buckets of each split, powers of two.
    """
    for split, count in counts.items():
        rows = table.filter(pc.equal(table["split"], split))
        buckets = pa.array(bucket_of(rows["pair_id"], count), pa.int64())
        for number in pc.unique(buckets).to_pylist():
            yield f"{split}-{number:05d}-of-{count:05d}", rows.filter(pc.equal(buckets, number))


def bucket_of(pair_ids: pa.ChunkedArray, count: int) -> npt.NDArray[np.int64]:
    """Return the bucket of each pair, shape (n,): the leading bits of its pair_id."""
    heads = np.array([int(text[:8], 16) for text in pair_ids.to_pylist()], dtype=np.int64)
    return heads >> (32 - (count.bit_length() - 1))


def write_bucket(bucket: Bucket) -> Path:
    """Write one file of `data`, or link the parent's where no row of it changed."""
    if bucket.path.exists():
        return bucket.path
    schema = features_schema(bucket.rule_set, "default")
    plain = indexed_labels(bucket.rows, bucket.rule_set)
    if bucket.parent and _same_rows(bucket.parent, plain, schema):
        with bucket.home.replacing(bucket.path) as temporary:
            os.link(bucket.parent, temporary)
        return bucket.path
    with bucket.home.replacing(bucket.path) as temporary, open_writer(temporary, schema) as writer:
        for group in _row_groups(bucket, plain, schema):
            writer.write_table(group, row_group_size=len(group))
    return bucket.path


def _same_rows(parent: Path, plain: pa.Table, schema: pa.Schema) -> bool:
    file = pq.ParquetFile(parent)
    # The elements of a list have another name in Parquet than in Arrow, which counts only where metadata do.
    found = file.schema_arrow
    same_schema = found.equals(schema) and found.metadata == schema.metadata
    return bool(same_schema and file.read(plain.column_names).equals(plain))


def _row_groups(bucket: Bucket, plain: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows with their media, as many at a time as a row group may hold."""
    media = _media_in_order(bucket)
    held: list[pa.Table] = []
    start, size_bytes = 0, 0
    for row, batch in enumerate(media):
        row_bytes = batch.nbytes
        if held and size_bytes + row_bytes > MAX_ROW_GROUP_BYTES:
            yield _joined(plain.slice(start, len(held)), held, schema)
            start, held, size_bytes = row, [], 0
        held.append(batch)
        size_bytes += row_bytes
    yield _joined(plain.slice(start, len(held)), held, schema)


def _joined(plain: pa.Table, media: list[pa.Table], schema: pa.Schema) -> pa.Table:
    columns = pa.concat_tables(media)
    return pa.table([columns[name] if name in MEDIA_COLUMNS else plain[name] for name in schema.names], schema=schema)


def _media_in_order(bucket: Bucket) -> Iterator[pa.Table]:
    """Yield image and audio of each row, in the rows' order, from the parent's file or the newly cut ones."""
    released = _parent_media(bucket.parent, set(bucket.rows["pair_id"].to_pylist())) if bucket.parent else iter(())
    ahead = next(released, None)
    for pair_id in bucket.rows["pair_id"].to_pylist():
        if ahead and ahead[0] == pair_id:
            yield ahead[1]
            ahead = next(released, None)
        else:
            path, row = bucket.places[pair_id]
            with pa.memory_map(str(path)) as source:
                yield pa.Table.from_batches([pa.ipc.open_file(source).get_batch(row)]).select(MEDIA_COLUMNS)


def _parent_media(path: Path, wanted: set[str]) -> Iterator[tuple[str, pa.Table]]:
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        ids = file.read_row_group(group, ["pair_id"])["pair_id"].to_pylist()
        if wanted.isdisjoint(ids):
            continue
        media = file.read_row_group(group, list(MEDIA_COLUMNS))
        for row, pair_id in enumerate(ids):
            if pair_id in wanted:
                yield pair_id, media.slice(row, 1)


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file as the Hub serves it best: media uncompressed and without statistics, a page index."""
    plain = [_leaf(field) for field in schema if field.name not in MEDIA_COLUMNS]
    compression = dict.fromkeys(plain, "zstd")
    for name in set(MEDIA_COLUMNS) & set(schema.names):
        compression |= {f"{name}.bytes": "none", f"{name}.path": "zstd"}
    return pq.ParquetWriter(
        path, schema, compression=compression, use_dictionary=plain, write_statistics=plain, write_page_index=True
    )


def _leaf(field: pa.Field) -> str:
    """Return a column's path as Parquet names it: that of a list ends in its element."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def write_plain(home: Home, path: Path, rows: pa.Table, rule_set: PublishedRules) -> None:
    """Write rows without media, labels as indices."""
    if not path.exists():
        table = indexed_labels(rows, rule_set)
        with home.replacing(path) as temporary, open_writer(temporary, table.schema) as writer:
            writer.write_table(table)


def metadata_counts(pairs: pa.Table, counts: Mapping[str, int]) -> dict[str, int]:
    """Choose how many files the rows of each split fill without media: far fewer, by the same bits of pair_id."""
    rows = {split: pc.sum(pc.equal(pairs["split"], split)).as_py() or 0 for split in counts}
    return {split: min(counts[split], _power_of_two(rows[split] / ROWS_PER_METADATA_FILE)) for split in counts}
