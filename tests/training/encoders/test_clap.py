import pytest
import torch
from torch.testing import assert_close

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from tests.training.hearing import TINY, drawn, hear, noise, read
from training.encoders.clap import Clap

import_torchvision()
from transformers import ClapAudioConfig, ClapAudioModel, ClapConfig, ClapFeatureExtractor, ClapModel  # noqa: E402

TEN_SECONDS = 480_000
THEIRS = ClapFeatureExtractor(frequency_min=50, frequency_max=14_000, truncation="rand_trunc")


def heard_by_transformers(network, wave):
    inputs = THEIRS(wave.numpy(), sampling_rate=48_000, return_tensors="pt")["input_features"]
    return network.network(inputs).last_hidden_state.flatten(2).transpose(1, 2)[0]


def test_it_has_the_published_sizes():
    with torch.device("meta"):
        network = Clap(ClapAudioModel(ClapAudioConfig()))
    assert (network.sample_rate_hz, network.width, network.n_blocks) == (48_000, 768, 1)
    assert network._n_tokens(TEN_SECONDS) == 64


def test_a_clip_of_ten_seconds_is_heard_as_transformers_hears_it():
    network = drawn("clap")
    wave = noise(1, TEN_SECONDS)
    assert_close(hear(network, wave)[0], heard_by_transformers(network, wave[0]), atol=1e-4, rtol=1e-3)


def test_its_spectra_are_those_of_transformers():
    wave = noise(1, TEN_SECONDS)
    theirs = THEIRS(wave[0].numpy(), sampling_rate=48_000, return_tensors="pt")["input_features"][0]
    assert_close(drawn("clap").spectra(wave), theirs, atol=1e-3, rtol=0)  # dB


def test_a_shorter_clip_is_repeated_as_transformers_repeats_it():
    network = drawn("clap")
    wave = noise(1, TEN_SECONDS // 4)
    assert_close(hear(network, wave)[0], heard_by_transformers(network, wave[0]), atol=1e-4, rtol=1e-3)


def test_a_longer_clip_is_heard_in_windows_each_by_itself():
    network = drawn("clap")
    wave = noise(1, TEN_SECONDS + TEN_SECONDS // 2)
    parts = [hear(network, part) for part in wave.split(TEN_SECONDS, dim=1)]
    assert torch.equal(hear(network, wave), torch.cat(parts, dim=1))


def test_its_output_is_the_normalized_one_of_the_last_stage():
    network = drawn("clap")
    outputs = []
    network.network.audio_encoder.norm.register_forward_hook(lambda _norm, _inputs, output: outputs.append(output))
    heard = hear(network, noise(1, 48_000))[0]
    ours, theirs = (sorted(map(tuple, tokens.tolist())) for tokens in (heard, outputs[0][0]))
    assert ours == theirs  # in another order: the bands of frequency are put back in time


def test_weights_in_the_layout_of_the_published_ones_are_read(tmp_path):
    network = drawn("clap")
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 9}
    audio = {**TINY["clap"], "hidden_size": 16}
    whole = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=4))
    whole.audio_model.load_state_dict(network.network.state_dict())
    whole.save_pretrained(tmp_path)
    wave = noise(1, 48_000)
    assert torch.equal(hear(read("clap", tmp_path), wave), hear(network, wave))


def test_a_model_with_fusion_is_refused():
    with pytest.raises(ConfigurationError, match="expected a CLAP model without fusion"):
        drawn("clap", enable_fusion=True, fusion_type="channel_map")


def test_weights_of_another_network_are_refused(tmp_path):
    drawn("wav2vec2").network.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="expected clap, not wav2vec2.*laion/larger_clap_music"):
        read("clap", tmp_path)
