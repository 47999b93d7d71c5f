"""DINOv2 and CLAP beside what transformers itself makes of pictures and sounds."""

import numpy as np
import pytest
import torch

from curation.torch_imports import import_torchvision
from evaluation.features.dinov2 import DEVIATION, MEAN
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded, pictures, save_clap, waves

import_torchvision()
from transformers import ClapFeatureExtractor, ClapModel, Dinov2Model  # noqa: E402
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil  # noqa: E402

CLAP_HZ = 48_000


def test_dinov2_sees_what_its_published_processor_shows(saved, published):
    # facebook/dinov2-large: preprocessor_config.json
    processor = BitImageProcessorPil(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        resample=3,
        image_mean=list(MEAN),
        image_std=list(DEVIATION),
    )
    model = Dinov2Model.from_pretrained(saved("dinov2")).eval()
    with torch.inference_mode():
        seen = [model(**processor(picture, return_tensors="pt")).pooler_output[0] for picture in pictures()]
    np.testing.assert_allclose(published("dinov2").images(pictures()), torch.stack(seen), rtol=1e-4, atol=1e-4)


def test_clap_hears_what_transformers_hears(saved, published):
    model = ClapModel.from_pretrained(saved("clap")).eval()
    extractor = ClapFeatureExtractor(frequency_min=50, frequency_max=14_000, truncation="rand_trunc")  # as published
    wave = waves(CLAP_HZ, 1, duration_s=10)[0]
    heard = extractor(wave / 32_768, sampling_rate=CLAP_HZ, return_tensors="pt")
    with torch.inference_mode():
        expected = model.get_audio_features(heard["input_features"], torch.zeros(1, 1)).pooler_output
    np.testing.assert_allclose(published("clap").sounds([wave], CLAP_HZ), expected, rtol=1e-3, atol=1e-4)


def test_a_long_clip_is_the_mean_of_its_windows_and_a_rest_is_repeated(published):
    network = published("clap")
    wave = waves(CLAP_HZ, 1, duration_s=15)[0]
    first, rest = wave[: 10 * CLAP_HZ], wave[10 * CLAP_HZ :]
    whole = network.sounds([wave], CLAP_HZ)
    parts = network.sounds([first, np.concatenate([rest, rest])], CLAP_HZ)
    np.testing.assert_allclose(whole[0], parts.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"enable_fusion": True}, "expected a CLAP model without fusion"),
        ({"spec_size": 64, "num_mel_bins": 16}, "spec_size: expected one that takes 1001 frames at once, not 256"),
    ],
    ids=["fusion", "short"],
)
def test_a_clap_that_cannot_hear_windows_of_ten_seconds_is_refused(sizes, told, tmp_path):
    with pytest.raises(ConfigurationError, match=f"^weights: {tmp_path / 'clap'}: {told}"):
        loaded("clap", save_clap(tmp_path / "clap", **sizes))
    with pytest.raises(ConfigurationError, match=f"^random: {told}"):
        loaded("clap", random={**{"depths": [1, 1], "num_attention_heads": [2, 2]}, **sizes})
