import pytest
import torch
from torch.testing import assert_close

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from tests.training.hearing import drawn, hear, noise, read
from training.encoders.wav2vec2 import MODEL_TYPES

import_torchvision()
from transformers import Wav2Vec2FeatureExtractor  # noqa: E402

every_kin = pytest.mark.parametrize("model_type", MODEL_TYPES)


@every_kin
def test_it_hears_what_transformers_hears(model_type):
    network = drawn("wav2vec2", model_type=model_type)
    wave = noise(1, 8000) + 0.05
    inputs = Wav2Vec2FeatureExtractor(do_normalize=True)(wave[0].numpy(), sampling_rate=16_000, return_tensors="pt")
    states = network.network(inputs["input_values"], output_hidden_states=True).hidden_states
    assert_close(hear(network, wave, [1, 2]), torch.cat(states[1:3], dim=-1), atol=1e-4, rtol=1e-3)


@every_kin
def test_blocks_are_the_outputs_of_its_layers(model_type):
    network = drawn("wav2vec2", model_type=model_type)
    outputs = []
    for layer in network.network.encoder.layers:
        layer.register_forward_hook(
            lambda _layer, _inputs, output: outputs.append(output[0] if isinstance(output, tuple) else output)
        )
    assert torch.equal(hear(network, noise(1, 8000), [1, 2]), torch.cat(outputs, dim=-1))


@every_kin
def test_a_network_is_read_as_what_its_folder_tells(model_type, tmp_path):
    network = drawn("wav2vec2", model_type=model_type)
    network.network.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path)
    loaded, wave = read("wav2vec2", tmp_path), noise(1, 8000)
    assert loaded.network.config.model_type == model_type
    assert torch.equal(hear(loaded, wave, [2]), hear(network, wave, [2]))


@pytest.mark.parametrize("does", [True, False])
def test_clips_are_normalized_if_they_were_in_training(does, tmp_path):
    drawn("wav2vec2").network.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(do_normalize=does).save_pretrained(tmp_path)
    assert read("wav2vec2", tmp_path).normalizes is does


def test_weights_that_do_not_tell_how_they_were_trained_are_refused(tmp_path):
    drawn("wav2vec2").network.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"preprocessor_config\.json: expected do_normalize"):
        read("wav2vec2", tmp_path)


def test_there_are_as_many_tokens_as_the_network_makes():
    network = drawn("wav2vec2")
    for_each = [network._n_tokens(n_samples) for n_samples in (399, 400, 719, 720, 16_000, 480_000)]
    assert for_each == [0, 1, 1, 2, 49, 1499]
    assert for_each[-1] == network.network._get_feat_extract_output_lengths(480_000)


def test_nothing_is_drawn_by_chance_in_training_but_dropout():
    network = drawn(
        "wav2vec2", hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0
    )
    wave = noise(2, 8000)
    quiet = hear(network, wave, [2])
    network.train()
    assert torch.equal(hear(network, wave, [2]), quiet)
    assert "masked_spec_embed" not in dict(network.network.named_parameters())


def test_weights_of_another_network_are_refused(tmp_path):
    drawn("ast").network.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="expected data2vec-audio or .* not audio-spectrogram-transformer"):
        read("wav2vec2", tmp_path)


def test_another_kind_of_network_is_refused():
    with pytest.raises(ConfigurationError, match=r"encoder\.random\.model_type 'bert': expected one of data2vec-audio"):
        drawn("wav2vec2", model_type="bert")
