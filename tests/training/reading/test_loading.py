"""Batches: the same on every way to them, each pair once an epoch, nothing read that is not needed."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.releases import Release
from rules.errors import ConfigurationError
from tests.training.loaders import CACHED, Networks, ids, loader, same, split_of, tiny_recipe
from training.data import Split
from training.reading import media
from training.reading.cache import Cache
from training.reading.encoding import Encoding, Want
from training.reading.loading import Loader
from training.reading.order import epoch_order

of_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)


def test_a_batch_holds_what_its_pairs_are(train: Split) -> None:
    batches = list(loader(train).batches(0))
    order = epoch_order(train.group_sizes, 0, 0).rows
    rows = train.pairs.take(order)
    assert ids(batches)[: len(train)] == rows["pair_id"].to_pylist()
    assert torch.cat([batch.labels for batch in batches]).tolist()[: len(train)] == rows["label"].to_pylist()
    first = batches[0]
    assert (first.positions, first.moments.shape, first.moments.dtype) == ((0, 1, 2, 3), (4, 3, 4, 4), torch.float32)
    assert first.waves is not None
    assert first.lengths is not None
    assert (first.waves.shape, first.waves.dtype, first.lengths.tolist()) == ((4, 8_000), torch.float32, [8_000] * 4)
    assert first.features is None
    row = int(order[2])
    found = {c: content for c, _, content in train.media(train.group_of(row), {"image": {row}, "audio": {row}})}
    encoding = Encoding(train, tiny_recipe(), Networks())
    clip = media.Clip(train.revision.sample_rate_hz, 1.0)
    assert torch.equal(first.waves[2], media.samples(media.wave(found["audio"], 16_000, 0.5, clip)))
    pixels = torch.from_numpy(media.picture(found["image"], 32))
    assert torch.equal(first.moments[2], Networks().moments(pixels))
    assert encoding.decoded_bytes("image") == pixels.nbytes


def test_features_take_the_place_of_waves_where_they_are_cached(train: Split) -> None:
    batch = next(loader(train, *CACHED).batches(0))
    assert batch.features is not None
    assert batch.mask is not None
    assert (batch.features.shape, batch.features.dtype) == ((4, 20, 40), torch.bfloat16)
    assert (batch.mask.shape, batch.waves, batch.lengths) == ((4, 20), None, None)


def test_an_epoch_has_each_pair_once_and_is_filled_up_from_its_beginning(train: Split) -> None:
    loaded = loader(train, "accumulation=2")
    batches = list(loaded.batches(3))
    assert len(batches) == 2 * loaded.steps_per_epoch()
    assert loaded.steps_per_epoch() == 3  # of 8, for 18 pairs
    found = ids(batches)
    assert sorted(found[:18]) == sorted(train.pairs["pair_id"].to_pylist())
    assert found[18:] == found[:6]
    assert [position for batch in batches for position in batch.positions] == list(range(24))


@pytest.mark.parametrize("pairing", ["partner", "label"])
@pytest.mark.parametrize("crop", ["center", "random"])
@pytest.mark.parametrize("features", [False, True])
def test_cached_batches_are_the_uncached_ones_bit_by_bit(
    train: Split, tmp_path: Path, reads: list, pairing: str, crop: str, features: bool
) -> None:
    changes = (f"pairing={pairing}", f"crop={crop}", f"cache_latents={str(crop == 'center').lower()}")
    changes += (f"cache_features={str(features).lower()}",)
    plain = list(loader(train, *changes).batches(1))
    filling = list(loader(train, *changes, cache=Cache(tmp_path)).batches(1))
    reads.clear()
    last = loader(train, *changes, cache=Cache(tmp_path))
    cached = list(last.batches(1))
    assert same(plain, filling)
    assert same(plain, cached)
    assert {column for _, column, _ in reads} == ({"image"} if crop == "random" else set())


def test_with_a_full_cache_nothing_is_read_and_no_network_asked(train: Split, tmp_path: Path, reads: list) -> None:
    list(loader(train, *CACHED, cache=Cache(tmp_path)).batches(0))
    reads.clear()
    networks = Networks()
    list(Loader(train, tiny_recipe(*CACHED), networks, Cache(tmp_path)).batches(7))
    assert (reads, networks.asked) == ([], {})


def test_a_row_group_is_read_once_and_of_what_is_cached_nothing(train: Split, tmp_path: Path, reads: list) -> None:
    list(loader(train, "batch_size=3", *CACHED).batches(0))
    assert Counter(reads) == Counter(
        (train.group_of(row), column, row) for row in range(18) for column in ("image", "audio")
    )
    cache = Cache(tmp_path)
    list(loader(train, *CACHED, cache=cache).batches(0))
    for row in (3, 7):  # forget two sounds
        want = next(want for want in wants(train) if (want.column, want.row) == ("audio", row))
        path = cache.folder / (key := Encoding(train, tiny_recipe(*CACHED), Networks()).key(want))[:2] / key
        path.unlink()
    reads.clear()
    list(loader(train, *CACHED, cache=cache).batches(0))
    assert sorted(reads) == [(train.group_of(row), "audio", row) for row in (3, 7)]


def wants(split: Split) -> Iterator:
    return (Want(column, row) for column in ("image", "audio") for row in range(len(split)))


@given(epoch=st.integers(0, 50), start=st.integers(0, 8), accumulation=st.integers(1, 3), pairing=st.booleans())
@of_fixture
def test_any_step_of_an_epoch_can_be_begun_with(
    train: Split, epoch: int, start: int, accumulation: int, pairing: bool
) -> None:
    changes = ("batch_size=2", f"accumulation={accumulation}", f"pairing={'label' if pairing else 'partner'}")
    whole = list(loader(train, *changes).batches(epoch))
    assert same(list(loader(train, *changes).batches(epoch, start)), whole[start * accumulation :])


def test_what_lies_before_the_beginning_is_not_read(train: Split, reads: list) -> None:
    list(loader(train).batches(0, start_step=3))
    order = epoch_order(train.group_sizes, 0, 0).rows
    needed = {int(order[position % 18]) for position in range(12, 20)}
    assert {row for _, _, row in reads} == needed


@given(epoch=st.integers(0, 50), processes=st.integers(1, 4), accumulation=st.integers(1, 3), size=st.integers(1, 5))
@of_fixture
def test_several_processes_see_what_one_with_more_accumulation_sees(
    train: Split, epoch: int, processes: int, accumulation: int, size: int
) -> None:
    one = loader(train, f"batch_size={size}", f"accumulation={accumulation * processes}")
    several = [loader(train, f"batch_size={size}", f"accumulation={accumulation}") for _ in range(processes)]
    parts = [list(each.batches(epoch, 0, rank, processes)) for rank, each in enumerate(several)]
    steps = one.steps_per_epoch()
    assert {each.steps_per_epoch(processes) for each in several} == {steps}
    joined = [
        batch
        for step in range(steps)
        for part in parts
        for batch in part[step * accumulation : (step + 1) * accumulation]
    ]
    assert same(joined, list(one.batches(epoch)))


def test_pictures_of_the_label_are_drawn_anew_in_each_epoch(train: Split) -> None:
    """Of three labels with six pictures each; what is drawn is another picture of the clip's own label and split."""
    own = {}
    for batch in loader(train).batches(0):
        own |= {
            moments.numpy().tobytes(): label
            for moments, label in zip(batch.moments, batch.labels.tolist(), strict=True)
        }
    drawn = []
    for epoch in range(6):
        batches = list(loader(train, "pairing=label").batches(epoch))
        shown = {}
        for batch in batches:
            for pair_id, moments, label in zip(batch.pair_ids, batch.moments, batch.labels.tolist(), strict=True):
                assert own[moments.numpy().tobytes()] == label
                shown[pair_id] = moments.numpy().tobytes()
        drawn.append(shown)
    assert len({tuple(sorted(shown.items())) for shown in drawn}) == 6
    assert len({shown for each in drawn for shown in each.values()}) == 18
    assert same(list(loader(train, "pairing=label").batches(2)), list(loader(train, "pairing=label").batches(2)))


def test_a_drawn_picture_is_encoded_once_though_several_clips_show_it(train: Split, tmp_path: Path) -> None:
    networks = Networks()
    batches = list(Loader(train, tiny_recipe("pairing=label"), networks, Cache(tmp_path)).batches(0))
    distinct = {moments.numpy().tobytes() for batch in batches for moments in batch.moments}
    assert networks.asked["moments"] == len(distinct) < 18


def test_a_random_crop_is_another_one_in_another_epoch(train: Split) -> None:
    def shown(epoch: int) -> dict[str, bytes]:
        batches = loader(train, "crop=random", "cache_latents=false").batches(epoch)
        return {
            pair_id: moments.numpy().tobytes()
            for batch in batches
            for pair_id, moments in zip(batch.pair_ids, batch.moments, strict=True)
        }

    first, again, second = shown(0), shown(0), shown(1)
    assert first == again
    assert sum(first[pair_id] != second[pair_id] for pair_id in first) > 6


def test_validation_is_the_same_at_every_pass_and_for_any_number_of_processes(train: Split) -> None:
    changes = ("pairing=label", "crop=random", "cache_latents=false")
    loaded = loader(train, *changes)
    whole = list(loaded.validation_batches())
    assert ids(whole) == train.pairs["pair_id"].to_pylist()
    assert [len(batch) for batch in whole] == [4, 4, 4, 4, 2]
    assert same(whole, list(loaded.validation_batches()))
    parts = [list(loaded.validation_batches(rank, 3)) for rank in range(3)]
    dealt = [batch for batches in itertools.zip_longest(*parts) for batch in batches if batch]
    assert same(whole, dealt)
    assert ids(list(loaded.validation_batches(max_items=6))) == ids(whole)[:6]
    plain = loader(train)  # own pictures, the middle
    moments = {i: m for b in plain.batches(0) for i, m in zip(b.pair_ids, b.moments, strict=True)}
    assert all(torch.equal(m, moments[i]) for b in whole for i, m in zip(b.pair_ids, b.moments, strict=True))


def test_a_damaged_entry_of_the_cache_is_made_anew(train: Split, tmp_path: Path, reads: list) -> None:
    whole = list(loader(train, *CACHED, cache=Cache(tmp_path)).batches(0))
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in paths[:5]:
        path.write_bytes(path.read_bytes()[:-9])
    reads.clear()
    assert same(whole, list(loader(train, *CACHED, cache=Cache(tmp_path)).batches(0)))
    assert len(reads) == 5
    reads.clear()
    assert same(whole, list(loader(train, *CACHED, cache=Cache(tmp_path)).batches(0)))
    assert reads == []


def test_a_cache_that_is_full_slows_down_and_changes_nothing(train: Split, tmp_path: Path, reads: list) -> None:
    cache = Cache(tmp_path, 30_000)
    whole = list(loader(train, *CACHED).batches(0))
    assert same(whole, list(loader(train, *CACHED, cache=cache).batches(0)))
    reads.clear()
    assert same(whole, list(loader(train, *CACHED, cache=cache).batches(0)))
    assert 0 < len(reads) < 36
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 30_000


def test_clips_that_are_too_short_for_the_recipe_are_refused(train: Split) -> None:
    with pytest.raises(ConfigurationError, match=r"duration_s: 2: the clips of .* have 1 s: .* --set duration_s=1"):
        loader(train, "duration_s=2")


def test_a_clip_is_called_by_its_title_or_else_by_the_name_of_its_pair(tiny_release: Release, tmp_path: Path) -> None:
    shutil.copytree(tiny_release.folder / "data", tmp_path / "data")
    given = ["<b>[bold]$x$", None, " "]
    path = min((tmp_path / "data").glob("validation-*.parquet"))
    table = pq.read_table(path)
    titles = pa.array([*given, *table["music_title"].to_pylist()[3:]], pa.string())
    place = table.schema.get_field_index("music_title")
    pq.write_table(table.set_column(place, table.schema.field(place), titles), path)
    split = split_of(tmp_path, "validation")
    first = split.pairs["pair_id"].to_pylist()[:3]
    assert loader(split).titles(first[::-1]) == [first[2], first[1], given[0]]
