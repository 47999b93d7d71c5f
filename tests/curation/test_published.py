"""A release as a researcher reads it: by datasets, pandas and DuckDB; and how its files are laid out."""

import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, ClassLabel, DatasetDict, Image, load_dataset

from curation import building, shards
from curation.batches import in_threads
from curation.releases import Release
from curation.shards import bucket_counts, bucket_of
from curation.store import Home
from tests.curation.collection import write_collection
from tests.curation.tables import LABELS, RATE_HZ, ROOMY, tiny_rules

RULES = tiny_rules(ROOMY)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Give a release of many small files with row groups of two rows."""
    root = tmp_path_factory.mktemp("published")
    folder = write_collection(root / "media", range(12), range(8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "TARGET_FILE_BYTES", 3_000_000)
        patch.setattr(shards, "MAX_ROW_GROUP_BYTES", 40_000)
        yield building.build(Home(root / "home"), [f"folder:{folder}"], RULES, in_threads(2))


@pytest.fixture(scope="module")
def loaded(release: Release, tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    return load_dataset(str(release.folder), cache_dir=str(tmp_path_factory.mktemp("cache")))


def files(release: Release, config: str) -> list[Path]:
    return sorted((release.folder / config).glob("*.parquet"))


def test_datasets_gives_pictures_sound_and_labels(loaded, release):
    assert {split: len(part) for split, part in loaded.items()} == release.manifest["pairs"]
    features = loaded["train"].features
    assert isinstance(features["image"], Image)
    assert isinstance(features["audio"], Audio)
    assert features["audio"].sampling_rate == RATE_HZ
    assert features["label"] == ClassLabel(names=list(LABELS))
    assert list(features)[:4] == ["image", "audio", "pair_id", "label"]


def test_sound_is_whole_without_a_decoder(loaded):
    for row in loaded["train"].cast_column("audio", Audio(decode=False)):
        info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
        assert (info.frames, info.samplerate, info.channels, info.subtype) == (RATE_HZ, RATE_HZ, 1, "PCM_16")
        assert row["audio"]["path"] == f"{row['pair_id']}.wav"


def test_pictures_decode(loaded):
    assert {row["image"].mode for row in loaded["train"].select_columns("image")} == {"RGB"}


@pytest.mark.parametrize(("config", "rows_per_pair"), [("metadata", 1), ("references", 2)])
def test_other_configs_load(release, tmp_path, config, rows_per_pair):
    data = load_dataset(str(release.folder), config, cache_dir=str(tmp_path))
    pairs = release.manifest["pairs"]
    assert {split: len(part) for split, part in data.items()} == {s: rows_per_pair * n for s, n in pairs.items()}
    assert data["train"].features["label"] == ClassLabel(names=list(LABELS))


def test_a_stream_gives_the_same_rows(release, loaded):
    stream = load_dataset(str(release.folder), split="train", streaming=True)
    ids = [row["pair_id"] for row in stream.cast_column("audio", Audio(decode=False))]
    assert sorted(ids) == sorted(loaded["train"]["pair_id"])


def test_pandas_and_duckdb_read_the_same_rows(release):
    table = pd.concat(pd.read_parquet(path) for path in files(release, "metadata"))
    query = f"SELECT count(*), count(DISTINCT pair_id) FROM '{release.folder}/data/*.parquet' WHERE image.bytes NOTNULL"
    pairs = sum(release.manifest["pairs"].values())
    assert duckdb.connect().execute(query).fetchone() == (pairs, pairs)
    assert len(table) == pairs


def test_every_config_has_the_same_pairs(release):
    ids = {config: [] for config in ("data", "metadata", "references")}
    for config, found in ids.items():
        for path in files(release, config):
            found += pq.read_table(path, columns=["pair_id"])["pair_id"].to_pylist()
    assert sorted(ids["data"]) == sorted(ids["metadata"]) == sorted(ids["references"])[::2]


def test_rows_lie_in_the_order_and_the_bucket_of_their_id(release):
    counts = bucket_counts_of(release)
    for path in files(release, "data"):
        split, bucket, _, count = path.stem.split("-")
        ids = pq.read_table(path, columns=["pair_id"])["pair_id"]
        assert ids.to_pylist() == sorted(ids.to_pylist())
        assert set(bucket_of(ids, int(count)).tolist()) == {int(bucket)}
        assert int(count) == counts[split]


def bucket_counts_of(release: Release) -> dict[str, int]:
    counts = release.manifest["buckets"]
    assert all(count > 0 and count & (count - 1) == 0 for count in counts.values())
    assert counts["train"] > 1
    return counts


def test_media_are_stored_as_they_are_and_the_rest_is_compressed(release):
    for path in files(release, "data"):
        group = pq.ParquetFile(path).metadata.row_group(0)
        columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
        media = {name for name, column in columns.items() if column.compression == "UNCOMPRESSED"}
        assert media == {"image.bytes", "audio.bytes"}
        assert {column.compression for name, column in columns.items() if name not in media} == {"ZSTD"}
        assert columns["pair_id"].is_stats_set


@pytest.mark.parametrize("config", ["data", "metadata", "references"])
def test_files_have_a_page_index(release, config):
    for path in files(release, config):
        group = pq.ParquetFile(path).metadata.row_group(0)
        columns = [group.column(at) for at in range(group.num_columns)]
        assert all(column.has_offset_index for column in columns)
        assert {column.has_column_index for column in columns if column.path_in_schema == "pair_id"} == {True}


def test_row_groups_are_bounded(release):
    sizes = []
    for path in files(release, "data"):
        metadata = pq.ParquetFile(path).metadata
        sizes += [
            (metadata.row_group(at).num_rows, metadata.row_group(at).total_byte_size)
            for at in range(metadata.num_row_groups)
        ]
    assert len(sizes) > len(files(release, "data"))
    assert max(rows for rows, _ in sizes) > 1
    assert max(size for _, size in sizes) <= 44_000


def test_provenance_columns_have_their_types(release):
    schema = pq.read_schema(files(release, "metadata")[0])
    assert schema.field("image_year").type == pa.int32()
    assert schema.field("music_features").type.value_type == pa.string()
    assert schema.field("label").type == pa.int64()
    assert schema.field("image_fetched_at").type == pa.timestamp("ms", tz="UTC")


def test_references_say_enough_to_fetch_a_side_again(release):
    rows = [row for path in files(release, "references") for row in pq.read_table(path).to_pylist()]
    for row in rows:
        assert row["url"]
        assert row["sha256"]
        assert row["license"] == "CC0-1.0"
        assert (row["start_s"] is None) == (row["side"] == "image")
        assert row["side"] == "music" or len(row["fingerprint"]) == 16


@pytest.mark.parametrize(
    ("sizes", "target_bytes", "train"), [((10, 10, 10, 10), 10**9, 1), ((100, 100, 100, 100), 10**7, 8)]
)
def test_number_of_files_follows_from_the_declared_sizes(monkeypatch, sizes, target_bytes, train):
    monkeypatch.setattr(shards, "TARGET_FILE_BYTES", target_bytes)
    assert bucket_counts(tiny_rules(sizes))["train"] == train
