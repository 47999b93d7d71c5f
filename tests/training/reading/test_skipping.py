"""A pair that cannot be used costs itself and nothing else, in every process and on every way to it alike."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.releases import Release
from rules.errors import ConfigurationError
from tests.training.loaders import ids, loader, same, split_of
from training.data import Split
from training.reading.cache import Cache
from training.reading.order import epoch_order


@pytest.fixture
def damaged(tiny_release: Release, tmp_path: Path) -> Callable[[dict[int, tuple[str, bytes | None]]], Split]:
    """Give a copy of the training split in which media of some rows are replaced."""

    def made(changes: dict[int, tuple[str, bytes | None]]) -> Split:
        shutil.copytree(tiny_release.folder / "data", tmp_path / "data")
        first = 0
        for path in sorted((tmp_path / "data").glob("train-*.parquet")):
            table = pq.read_table(path)
            sizes = [pq.read_metadata(path).row_group(g).num_rows for g in range(pq.read_metadata(path).num_row_groups)]
            rows = table.to_pylist()
            for row, (column, content) in changes.items():
                if 0 <= row - first < len(rows):
                    rows[row - first][column] = content and {"bytes": content, "path": "x"}
            with pq.ParquetWriter(path, table.schema) as writer:
                new, start = pa.Table.from_pylist(rows, table.schema), 0
                for size in sizes:
                    writer.write_table(new.slice(start, size))
                    start += size
            first += len(rows)
        return split_of(tmp_path)

    return made


def test_a_pair_that_cannot_be_used_is_replaced_by_the_next_of_the_order(train: Split, damaged: Callable) -> None:
    order = epoch_order(train.group_sizes, 0, 0).rows.tolist()
    bad = {order[5]: ("audio", b"RIFF?"), order[6]: ("image", b"JPEG?"), order[17]: ("image", None)}
    names = train.pairs["pair_id"].to_pylist()
    loaded = loader(damaged(bad))
    batches = list(loaded.batches(0))
    found = ids(batches)
    expected = [names[row] for row in order]
    expected[5] = expected[6] = names[order[7]]
    expected[17] = names[order[0]]  # the order begins again
    assert found == [*expected, *expected[:2]]
    assert [position for batch in batches for position in batch.positions] == list(range(20))
    assert [(one.pair_id, one.reason) for one in loaded.skipped] == [
        (names[order[5]], "undecodable_audio"),
        (names[order[6]], "undecodable_image"),
        (names[order[17]], "undecodable_image"),
    ]
    assert "the row has no picture" in loaded.skipped[2].detail


def test_replacing_depends_on_no_state_and_is_told_once(train: Split, damaged: Callable, tmp_path: Path) -> None:
    bad = {row: ("audio", b"?") for row in (0, 1, 2, 9)}
    split = damaged(bad)
    loaded = loader(split, "pairing=label", cache=Cache(tmp_path / "cache"))
    epochs = [list(loaded.batches(epoch)) for epoch in range(3)]
    assert sorted(one.pair_id for one in loaded.skipped) == sorted(
        split.pairs["pair_id"].to_pylist()[row] for row in bad
    )
    for epoch, batches in enumerate(epochs):
        assert same(batches, list(loader(split, "pairing=label").batches(epoch)))
        assert same(batches[3:], list(loader(split, "pairing=label").batches(epoch, 3)))
        parts = [list(loader(split, "pairing=label").batches(epoch, 0, rank, 2)) for rank in range(2)]
        dealt = [batch for both in zip(*parts, strict=True) for batch in both]
        assert same(batches, dealt[: len(batches)])


def test_a_drawn_picture_that_is_damaged_costs_no_other_clip(train: Split, damaged: Callable) -> None:
    split = damaged({row: ("image", b"?") for row in range(6)})
    loaded = loader(split, "pairing=label")
    for epoch in range(4):
        list(loaded.batches(epoch))
    names = split.pairs["pair_id"].to_pylist()
    assert sorted(one.pair_id for one in loaded.skipped) == sorted(names[:6])
    assert set(names[:6]) & set(ids(list(loaded.batches(5))))  # their sound is as good as before


def test_validation_leaves_out_what_cannot_be_used(train: Split, damaged: Callable) -> None:
    loaded = loader(damaged({1: ("audio", b"?"), **{row: ("image", b"?") for row in range(4, 8)}}))
    batches = list(loaded.validation_batches())
    names = train.pairs["pair_id"].to_pylist()
    assert ids(batches) == [names[row] for row in range(18) if row not in (1, 4, 5, 6, 7)]
    assert [len(batch) for batch in batches] == [3, 4, 4, 2]
    assert len(loaded.skipped) == 5


def test_a_split_of_which_nothing_can_be_used_is_refused(damaged: Callable) -> None:
    loaded = loader(damaged({row: ("audio", b"?") for row in range(18)}))
    with pytest.raises(
        ConfigurationError, match="no pair of the split train can be used; the first, .*: undecodable_audio"
    ):
        next(loaded.batches(0))
    assert len(loaded.skipped) == 18
