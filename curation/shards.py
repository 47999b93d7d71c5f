"""Rows and media into the Parquet files of a release.

A file holds the rows of a bucket of pair ids, in their order, so an edit changes few files; pictures and sound are
stored uncompressed, so that what did not change stays byte for byte what it was.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import damage
from curation.columns import Bools, group_starts, mask
from curation.cutting import Place
from curation.features import features_schema, indexed_labels
from curation.releases import PublishedRules
from curation.store import Home, mapped, opened
from rules.schema import RuleSet

MAX_ROW_GROUP_BYTES = 100_000_000  # a reader holds one group in memory
VIEWER_ROW_GROUP_BYTES = 286 * 1024**2  # where the Hub's viewer stops
FILLED_SHARE = 0.99  # of that; the rest is for what Parquet adds: headers of pages, levels, dictionaries
TARGET_FILE_BYTES = 400_000_000
TYPICAL_IMAGE_BYTES = 200_000  # a picture of 1024 px at quality 92
ROWS_PER_METADATA_FILE = 100_000
MEDIA_COLUMNS = ("image", "audio")
# Smaller than a picture, so that each has a page of its own: a page's header holds the size of all that is in it.
PAGE_BYTES = 65_536
READ_BYTES = 1 << 20


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
    parent_sha256: str = ""  # where its media are copied


def by_bucket(table: pa.Table, counts: Mapping[str, int]) -> Iterator[tuple[str, pa.Table]]:
    """Yield "<split>-<bucket>-of-<n>" and the rows of every bucket that has any.

    Args:
        table: with the columns split and pair_id, ordered by pair_id.
        counts: buckets of each split, powers of two.
    """
    for split, count in counts.items():
        rows = table.filter(pc.equal(table["split"], split))
        buckets = bucket_of(rows["pair_id"], count)
        if (buckets[1:] < buckets[:-1]).any():
            raise ValueError("rows are not ordered by pair_id")
        starts = group_starts(buckets)  # the order of pair_id is that of buckets
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=False):
            name = f"{split}-{buckets[start]:05d}-of-{count:05d}"
            # Copied, for the size of a slice depends on its neighbors, and row groups are cut by sizes.
            yield name, rows.slice(start, end - start).filter(pa.repeat(True, end - start))


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
        bucket.home.link(bucket.parent, bucket.path)
        return bucket.path
    if bucket.parent and bucket.parent_sha256:
        damage.check(bucket.parent, bucket.parent_sha256)
    with bucket.home.replacing(bucket.path) as temporary, open_writer(temporary, schema) as writer:
        for group in _row_groups(bucket, plain, schema):
            writer.write_table(group, row_group_size=len(group))
    return bucket.path


def _same_rows(parent: Path, plain: pa.Table, schema: pa.Schema) -> bool:
    file = damage.read_whole(parent, lambda: pq.ParquetFile(opened(parent)))
    # The elements of a list have another name in Parquet than in Arrow, which counts only where metadata do.
    found = file.schema_arrow
    same_schema = found.equals(schema) and found.metadata == schema.metadata
    rows = damage.read_whole(parent, lambda: file.read(plain.column_names))
    return bool(same_schema and rows.equals(plain))


def _row_groups(bucket: Bucket, plain: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows with their media, as many at a time as a row group may hold."""
    media = _media_in_order(bucket)
    held: list[pa.Table] = []
    start, size_bytes = 0, 0
    for row, batch in enumerate(media):
        row_bytes = batch.nbytes + plain.slice(row, 1).nbytes
        if held and size_bytes + row_bytes > FILLED_SHARE * MAX_ROW_GROUP_BYTES:
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
            with mapped(path) as source:
                yield pa.Table.from_batches([pa.ipc.open_file(source).get_batch(row)]).select(MEDIA_COLUMNS)


def _parent_media(path: Path, wanted: set[str]) -> Iterator[tuple[str, pa.Table]]:
    file = pq.ParquetFile(opened(path))
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
        path,
        schema,
        compression=compression,
        use_dictionary=plain,
        write_statistics=plain,
        write_page_index=True,
        data_page_size=PAGE_BYTES,
    )


def rows_without(path: Path, gone: pa.Array) -> list[Bools]:
    """Return of every row group of a file which of its rows are not of these pairs."""
    with pq.ParquetFile(opened(path)) as file:
        ids = (file.read_row_group(group, ["pair_id"])["pair_id"] for group in range(file.num_row_groups))
        return [mask(pc.invert(pc.is_in(column, value_set=gone))) for column in ids]


def write_rows(source: Path, target: Path, stays: Sequence[Bools]) -> None:
    """Write some rows of a file anew, as a build of just these would, in the row groups that they have.

    Args:
        stays: as `rows_without` gives it.
    """
    # Read in small parts and not ahead, or each row group would be in memory twice.
    with pq.ParquetFile(source, buffer_size=READ_BYTES, pre_buffer=False) as file:
        schema = _as_written(file.schema_arrow)
        with open_writer(target, schema) as writer:
            for group, rows in enumerate(stays):
                if rows.any():
                    writer.write_table(_some_rows(file, group, rows, schema), row_group_size=int(rows.sum()))


def _some_rows(file: pq.ParquetFile, group: int, rows: Bools, schema: pa.Schema) -> pa.Table:
    columns = [name for name in schema.names if name not in MEDIA_COLUMNS]
    plain = file.read_row_group(group, columns).filter(pa.array(rows))
    if len(columns) == len(schema):
        return plain.cast(schema)
    # A chunk for each row, as a build has it: the writer ends a page with a chunk.
    batches = file.iter_batches(1, [group], list(MEDIA_COLUMNS), use_threads=False)
    media = [pa.Table.from_batches([batch]) for row, batch in enumerate(batches) if rows[row]]
    return _joined(plain, media, schema)


def _as_written(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a file was written with: the elements of a list have another name in Parquet."""
    for at, field in enumerate(schema):
        if pa.types.is_list(field.type):
            schema = schema.set(at, field.with_type(pa.list_(field.type.value_type)))
    return schema


def _leaf(field: pa.Field) -> str:
    """Return a column's path as Parquet names it: that of a list ends in its element."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def write_plain(home: Home, path: Path, rows: pa.Table, rule_set: PublishedRules) -> None:
    """Write rows without media, labels as indices."""
    if not path.exists():
        table = indexed_labels(rows, rule_set)
        rows_per_group = max(1, int(len(table) * FILLED_SHARE * MAX_ROW_GROUP_BYTES / max(1, table.nbytes)))
        with home.replacing(path) as temporary, open_writer(temporary, table.schema) as writer:
            writer.write_table(table, row_group_size=rows_per_group)


def metadata_counts(pairs: pa.Table, counts: Mapping[str, int]) -> dict[str, int]:
    """Choose how many files the rows of each split fill without media: far fewer, by the same bits of pair_id."""
    rows = {split: pc.sum(pc.equal(pairs["split"], split)).as_py() or 0 for split in counts}
    return {split: min(counts[split], _power_of_two(rows[split] / ROWS_PER_METADATA_FILE)) for split in counts}
