"""What keeps large collections cheap: few batches, slices of buckets, plain reading of small tables."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rules
from curation.batches import MIN_BATCHES
from curation.cutting import MAX_CLIPS_PER_BATCH, CutBatch, Released, cut_batches
from curation.shards import bucket_of, by_bucket
from curation.store import Home, digest, read_tables


def batches_of(tmp_path: Path, clips_of: dict[str, int]) -> list[CutBatch]:
    """Cut so many clips of each recording into batches."""
    clips = [(name, number) for name, count in clips_of.items() for number in range(count)]
    new = pa.table(
        {
            "pair_id": [digest([name, number])[:32] for name, number in clips],
            "image_sha256": [digest([number, name]) for name, number in clips],
            "music_sha256": [name for name, _ in clips],
            "music_start_s": [30.0 * number for _, number in clips],
        }
    )
    return cut_batches(Home(tmp_path), tmp_path, rules.load("museart18"), new, Released({}, {}))


def test_batches_are_filled_with_whole_recordings_however_long_one_of_them_is(tmp_path: Path) -> None:
    counts = {f"{number:064x}": 1 + number % 7 for number in range(600)} | {"f" * 64: 50}
    batches = batches_of(tmp_path, counts)
    sizes = [len(batch.rows) for batch in batches]
    assert max(sizes) <= MAX_CLIPS_PER_BATCH
    assert min(sizes[:-2]) > MAX_CLIPS_PER_BATCH - 7
    recordings = [{row["music_sha256"] for row in batch.rows} for batch in batches]
    assert sum(map(len, recordings)) == len(counts)
    assert sum(sizes) == sum(counts.values())


def test_a_recording_with_more_clips_than_a_batch_holds_stays_whole(tmp_path: Path) -> None:
    (batch,) = batches_of(tmp_path, {"a" * 64: MAX_CLIPS_PER_BATCH + 5})
    assert len(batch.rows) == MAX_CLIPS_PER_BATCH + 5


def test_few_clips_are_still_spread_over_the_cores(tmp_path: Path) -> None:
    assert len(batches_of(tmp_path, {f"{number:064x}": 1 for number in range(32)})) == MIN_BATCHES


@pytest.mark.parametrize("count", [1, 8, 64])
def test_every_row_is_in_the_file_of_its_bucket_and_split(count: int) -> None:
    ids = sorted(digest(number)[:32] for number in range(200))
    rows = pa.table({"pair_id": ids, "split": ["train" if number % 3 else "test" for number in range(200)]})
    found = dict(by_bucket(rows, {"train": count, "test": count}))
    assert sum(map(len, found.values())) == 200
    for name, part in found.items():
        split, bucket = name.split("-")[:2]
        assert set(part["split"].to_pylist()) == {split}
        assert set(bucket_of(part["pair_id"], count).tolist()) == {int(bucket)}
        assert part["pair_id"].to_pylist() == sorted(part["pair_id"].to_pylist())


def test_a_split_without_rows_has_no_bucket() -> None:
    rows = pa.table({"pair_id": ["0" * 32], "split": ["train"]})
    assert [name for name, _ in by_bucket(rows, {"train": 2, "test": 2})] == ["train-00000-of-00002"]


def test_tables_are_read_in_the_columns_and_types_that_were_asked_for(tmp_path: Path) -> None:
    schema = pa.schema([("name", pa.string()), ("words", pa.list_(pa.string())), ("later", pa.int32())])
    pq.write_table(pa.table({"more": [1.5], "words": [["a", None]], "name": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"name": ["y"], "words": [["b"]], "later": [7]}), tmp_path / "2.parquet")
    found = read_tables(tmp_path, schema)
    assert found.schema.equals(schema, check_metadata=True)
    assert found.to_pylist() == [
        {"name": "x", "words": ["a", None], "later": None},
        {"name": "y", "words": ["b"], "later": 7},
    ]
    assert read_tables(tmp_path, schema, ["later", "name"]).column_names == ["later", "name"]
    assert read_tables(tmp_path, schema, ["later"])["later"].to_pylist() == [None, 7]
