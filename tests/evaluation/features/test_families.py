"""The contract of every family, on tiny networks that are saved as real ones are published, and on random ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation import features, networks
from evaluation.features import Extractor, Features, _extracting
from evaluation.networks import Network
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import DINOV2, WIDTHS, loaded, pictures, waves

FAMILIES = features.names()
RANDOM = {
    "clap": networks.load("stand-ins").sound.random,
    "dinov2": DINOV2,
    "open_clip": networks.load("stand-ins").pairing.image.random,
    "wav2clip": {"width": 2},
}
every_family = pytest.mark.parametrize("family", FAMILIES)
with_weights = pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"efficientnet_lite"}))
with_random = pytest.mark.parametrize("family", sorted(RANDOM))


def vectors(extractor: Extractor, kind: str, n: int = 3) -> Features:
    if kind == "sounds":
        rate_hz = extractor.sample_rate_hz
        assert rate_hz is not None
        return extractor.sounds(waves(rate_hz, n), rate_hz)
    return extractor.images(pictures(n)) if kind == "images" else extractor.texts(["a red tree", "music", "blue"][:n])


def all_vectors(family: str, extractor: Extractor, n: int = 3) -> list[Features]:
    return [vectors(extractor, kind, n) for kind in sorted(features.get(family).KINDS)]


def test_each_family_is_tested():
    assert set(FAMILIES) == set(WIDTHS)


@every_family
def test_a_vector_comes_of_each_item(family, published):
    extractor = published(family)
    assert extractor.width == WIDTHS[family]
    for made in all_vectors(family, extractor):
        assert made.shape == (3, extractor.width)
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert np.linalg.norm(made[0] - made[1]) > 0


@every_family
def test_what_an_item_gives_does_not_depend_on_its_neighbors(family, published):
    extractor = published(family)
    for together, alone in zip(all_vectors(family, extractor, 3), all_vectors(family, extractor, 1), strict=True):
        np.testing.assert_array_equal(together[:1], alone)


@every_family
@pytest.mark.parametrize("at_once", [2, 4])
def test_batches_that_are_filled_up_give_the_same_vectors(family, at_once, published, monkeypatch):
    extractor = published(family)
    alone = all_vectors(family, extractor)
    monkeypatch.setitem(_extracting.AT_ONCE, "cpu", at_once)  # as on a GPU, which takes more than one
    for filled, before in zip(all_vectors(family, extractor), alone, strict=True):
        np.testing.assert_allclose(filled, before, rtol=1e-3, atol=1e-5)


@every_family
def test_no_items_give_no_vectors(family, published):
    extractor = published(family)
    assert [made.shape for made in all_vectors(family, extractor, 0)] == [(0, extractor.width)] * len(
        features.get(family).KINDS
    )


@every_family
def test_what_a_family_does_not_take_is_refused(family, published):
    extractor = published(family)
    others = {"images", "sounds", "texts"} - features.get(family).KINDS
    assert others
    for kind in sorted(others):
        with pytest.raises(TypeError, match=extractor.name.replace("(", r"\(").replace(")", r"\)")):
            extractor.sounds([], 16_000) if kind == "sounds" else getattr(extractor, kind)([])


@every_family
def test_a_network_read_twice_is_the_same(family, published, saved):
    first, again = published(family), loaded(family, saved(family))
    assert again.weights_sha256 == first.weights_sha256
    for one, other in zip(all_vectors(family, first), all_vectors(family, again), strict=True):
        np.testing.assert_array_equal(one, other)


@with_weights
def test_somebodys_own_weights_are_not_called_as_published_ones(family, published, saved):
    known = {each.name for each in features.get(family).PUBLISHED}
    extractor = published(family)
    assert extractor.name not in known
    assert extractor.name.endswith(f" of {saved(family).name}")
    assert not extractor.is_stand_in


@with_random
def test_random_weights_depend_on_the_seed_alone_and_stand_in(family):
    drawn = [features.get(family).load(Network(name=family, random=RANDOM[family]), seed) for seed in (1, 1, 2)]
    first, same, other = (each.weights_sha256 for each in drawn)
    assert first == same != other
    assert drawn[0].is_stand_in
    assert drawn[0].name.startswith("stand-in: random ")


@with_random
def test_a_setting_that_there_is_not_is_refused(family):
    with pytest.raises(ConfigurationError, match=r"^random\.widht: expected one of the keys"):
        loaded(family, random={**RANDOM[family], "widht": 8})


@with_weights
@pytest.mark.parametrize("content", ["missing", "empty", "no_weights", "half"])
def test_whoever_has_no_good_weights_is_told_where_to_get_them(family, content, saved, tmp_path):
    good = saved(family)
    path = tmp_path / good.name
    if content != "missing":
        _spoil(good, path, content)
    with pytest.raises(ConfigurationError) as refusal:
        loaded(family, path)
    message = str(refusal.value)
    assert message.startswith("weights: ")
    assert str(path) in message
    assert "Get them from https://" in message


def _spoil(good: Path, path: Path, how: str) -> None:
    files = [good] if good.is_file() else sorted(good.iterdir())
    if good.is_dir():
        path.mkdir()
    for file in files:
        target = path / file.name if good.is_dir() else path
        is_weights = file.suffix in (".safetensors", ".pt", ".pth")
        content = file.read_bytes()
        spoiled = {"empty": b"", "no_weights": b"{}" * 50, "half": content[: len(content) // 2]}[how]
        target.write_bytes(spoiled if is_weights else content)


@with_weights
def test_weights_of_another_network_are_refused(family, saved, tmp_path):
    other = saved("dinov2" if saved(family).is_dir() and family != "dinov2" else "clap")
    if saved(family).is_file():
        other = tmp_path / "other.pt"
        torch.save({"layer.weight": torch.zeros(3)}, other)
    with pytest.raises(ConfigurationError, match=r"^weights: .* Get them from https://"):
        loaded(family, other)


class _Harm:
    def __reduce__(self):
        return Path.touch, (Path(self.target),)


@pytest.mark.parametrize("family", ["inception", "wav2clip"])
def test_nothing_in_a_file_of_weights_is_run(family, tmp_path):
    harm, path = _Harm(), tmp_path / "weights.pt"
    harm.target = str(tmp_path / "was_run")
    torch.save({"audio_encoder.conv1.weight": harm}, path)
    with pytest.raises(ConfigurationError, match="damaged or not a file"):
        loaded(family, path)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("family", ["clap", "wav2clip"])
def test_waves_of_another_rate_are_refused(family, published):
    with pytest.raises(ValueError, match=r"hears (16000|48000) Hz, not 44100 Hz"):
        published(family).sounds(waves(44_100, 1), 44_100)


@pytest.mark.parametrize("family", ["clap", "wav2clip"])
def test_waves_in_two_channels_or_not_of_16_bits_are_refused(family, published):
    rate_hz = published(family).sample_rate_hz
    wave = waves(rate_hz, 1)[0]
    for wrong in (np.stack([wave, wave]), wave.astype(np.float32)):
        with pytest.raises(ValueError, match=r"expected int16 of shape \(n_samples,\)"):
            published(family).sounds([wrong], rate_hz)
