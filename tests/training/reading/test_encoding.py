"""An entry of the cache is found again by what it was made from, and by nothing else."""

from dataclasses import replace

import pytest
import torch

from curation.releases import Release
from tests.training.loaders import Networks, tiny_recipe
from training.data import Split, open_revision
from training.reading.encoding import Encoding, Want

IMAGE, SOUND = Want("image", 3), Want("audio", 3)


@pytest.fixture(scope="module")
def train(tiny_release: Release) -> Split:
    found = open_revision(str(tiny_release.folder)).split("train")
    assert found is not None
    return found


def keys(split: Split, *changes: str, networks: Networks | None = None) -> tuple[str | None, str | None]:
    encoding = Encoding(split, tiny_recipe(*changes), networks or Networks())
    return encoding.key(IMAGE), encoding.key(SOUND)


def differing(first: tuple[str | None, str | None], second: tuple[str | None, str | None]) -> set[str]:
    return {name for name, one, other in zip(("image", "sound"), first, second, strict=True) if one != other}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("image_size_px=64", {"image"}),
        ("duration_s=0.75", {"sound"}),
        ("encoder.blocks=[1, 2]", {"sound"}),
        ("encoder.random.heads=2", {"sound"}),
        ("base.random.vae.norm_num_groups=4", {"image"}),
        ("cache_features=false", {"sound"}),
        ("seed=7", set()),
        ("pairing=label", set()),
        ("optimizer.learning_rate=1", set()),
    ],
)
def test_a_setting_gives_another_key_only_to_what_it_decides(train: Split, change: str, expected: set[str]) -> None:
    usual = ("cache_features=true",)
    assert differing(keys(train, *usual), keys(train, *usual, change)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("base_sha256", {"vae": "of another", "encoder": "of an encoder"}, {"image"}),
        ("base_sha256", {"vae": "of a vae", "encoder": "of another"}, {"sound"}),
        ("feature_dtype", torch.float32, {"sound"}),
        ("sample_rate_hz", 48_000, {"sound"}),
    ],
    ids=["vae", "encoder", "dtype", "rate"],
)
def test_another_network_gives_another_key(train: Split, name: str, value: object, expected: set[str]) -> None:
    networks = Networks()
    setattr(networks, name, value)
    usual = ("cache_features=true",)
    assert differing(keys(train, *usual), keys(train, *usual, networks=networks)) == expected


def test_sound_as_it_is_needs_no_network_and_its_key_knows_none(train: Split) -> None:
    networks = Networks()
    networks.base_sha256 = {"vae": "of a vae", "encoder": "of another"}
    assert differing(keys(train), keys(train, networks=networks)) == set()


def test_every_row_has_keys_of_its_own_and_other_settings_of_media_others(train: Split) -> None:
    encoding = Encoding(train, tiny_recipe(), Networks())
    found = {encoding.key(Want(column, row)) for column in ("image", "audio") for row in range(len(train))}
    assert len(found) == 2 * len(train)
    other = Split(replace(train.revision, media="others"), "train", [], [train.pairs], [train.group_sizes.tolist()])
    assert differing(keys(train), keys(other)) == {"image", "sound"}


def test_what_is_drawn_has_no_key(train: Split) -> None:
    encoding = Encoding(train, tiny_recipe(), Networks())
    assert encoding.key(Want("image", 3, crop=("crop", 0, 1, 2))) is None
    without = Encoding(train, tiny_recipe("cache_latents=false"), Networks())
    assert without.key(IMAGE) is None


def test_features_are_of_one_clip_alone_and_moments_of_one_picture(train: Split) -> None:
    networks = Networks()
    encoding = Encoding(train, tiny_recipe("cache_features=true"), networks)
    entry = encoding.encoded(SOUND, torch.arange(8_000, dtype=torch.int16))
    assert {name: (value.dtype, tuple(value.shape)) for name, value in entry.items()} == {
        "features": (torch.bfloat16, (20, 40)),
        "mask": (torch.bool, (20,)),
    }
    assert networks.asked == {"features": 1}
    waves = Encoding(train, tiny_recipe(), networks)
    assert waves.encoded(SOUND, torch.arange(8_000, dtype=torch.int16))["wave"].dtype == torch.int16
    assert not waves.needs_network("audio")
    assert waves.needs_network("image")
