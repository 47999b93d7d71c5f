"""Row groups stay below their limit with all that Parquet adds to media and text."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import shards
from curation.features import features_schema
from curation.releases import PublishedRules, publish
from curation.schemas import PAIRS
from curation.shards import Bucket, write_bucket, write_plain
from curation.store import Home
from tests.curation.tables import LABELS, tiny_rules

LIMIT_BYTES = 1_000_000


@pytest.fixture
def rule_set(monkeypatch: pytest.MonkeyPatch) -> PublishedRules:
    monkeypatch.setattr(shards, "MAX_ROW_GROUP_BYTES", LIMIT_BYTES)
    return publish(tiny_rules(), None)


def pairs(rows: int, text_bytes: int) -> pa.Table:
    ids = sorted(hashlib.sha256(bytes([row % 256, row // 256])).hexdigest() for row in range(rows))
    columns = {
        "pair_id": pa.array(ids),
        "label": pa.array([LABELS[0]] * rows),
        "evidence": pa.array([(name * text_bytes)[:text_bytes] for name in ids]),
    }
    return pa.table([columns.get(field.name, pa.nulls(rows, field.type)) for field in PAIRS], PAIRS)


def groups(path: Path) -> list[tuple[int, int]]:
    """Return rows and bytes of each row group."""
    metadata = pq.read_metadata(path)
    found = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return [(group.num_rows, group.total_byte_size) for group in found]


@pytest.mark.parametrize("text_bytes", [0, 40, 3_000])
@pytest.mark.parametrize("media_bytes", [4_900, 49_800, 49_990, 300_000, 1_200_000])
def test_a_group_of_media_holds_as_many_rows_as_fit_with_their_text(tmp_path, rule_set, media_bytes, text_bytes):
    rows = pairs(420 if media_bytes < 10_000 else 42, text_bytes)
    schema = pa.schema([features_schema(rule_set, "default").field(name) for name in shards.MEDIA_COLUMNS])
    media = [{"bytes": bytes(media_bytes), "path": f"{number}.x"} for number in range(len(rows))]
    made = pa.table([media, media], schema=schema)
    with pa.OSFile(str(tmp_path / "made.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(made, max_chunksize=1)
    places = {name: (tmp_path / "made.arrow", row) for row, name in enumerate(rows["pair_id"].to_pylist())}
    bucket = Bucket(Home(tmp_path), tmp_path / "x.parquet", rule_set, rows, places, None)
    found = groups(write_bucket(bucket))
    assert sum(count for count, _ in found) == len(rows)
    if 2 * media_bytes > LIMIT_BYTES:
        assert {count for count, _ in found} == {1}
    else:
        assert max(size for _, size in found) <= LIMIT_BYTES
        most = max(count for count, _ in found)
        assert (most + 2) * (2 * media_bytes + text_bytes + 700) > LIMIT_BYTES  # 700: the other columns and headers


@pytest.mark.parametrize(("count", "expected"), [(50, 1), (3_000, 4)])
def test_rows_without_media_are_cut_into_groups_too(tmp_path, rule_set, count, expected):
    path = tmp_path / "x.parquet"
    write_plain(Home(tmp_path), path, pairs(count, 800), rule_set)
    assert len(groups(path)) == expected
    assert max(size for _, size in groups(path)) <= LIMIT_BYTES
