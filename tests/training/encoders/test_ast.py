import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from tests.training.hearing import drawn, hear, noise, read
from training.encoders.ast import Ast

import_torchvision()
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, ASTModel  # noqa: E402

WINDOW_SAMPLES = 400 + 63 * 160  # the tiny network's: 64 frames
silent_filters = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # in transformers
ROWS = 8  # of patches above each other in the tiny network


def test_it_has_the_published_number_of_tokens():
    with torch.device("meta"):
        network = Ast(ASTModel(ASTConfig()))
    assert (network.width, network.n_blocks) == (768, 12)
    assert network._n_tokens(400 + 1023 * 160) == 1212  # of the paper: 12 rows of 101


@silent_filters
def test_a_clip_of_one_window_is_heard_as_transformers_hears_it():
    network = drawn("ast")
    wave = noise(1, WINDOW_SAMPLES)
    extractor = ASTFeatureExtractor(max_length=64)
    inputs = extractor(wave[0].numpy(), sampling_rate=16_000, return_tensors="pt")["input_values"]
    states = network.network(inputs, output_hidden_states=True).hidden_states
    heard = hear(network, wave, [1, 2])[0]
    expected = torch.cat([states[1], states[2]], dim=-1)[0, 2:]
    in_time = expected.unflatten(0, (ROWS, -1)).transpose(0, 1).flatten(0, 1)
    assert_close(heard, in_time, atol=1e-4, rtol=1e-3)


def test_blocks_are_the_outputs_of_its_layers():
    network = drawn("ast")
    outputs = []
    for layer in network.network.layers:
        layer.register_forward_hook(lambda _layer, _inputs, output: outputs.append(output))
    heard = hear(network, noise(1, WINDOW_SAMPLES), [1, 2])[0]
    expected = torch.cat(outputs, dim=-1)[0, 2:].unflatten(0, (ROWS, -1)).transpose(0, 1).flatten(0, 1)
    assert torch.equal(heard, expected)


@silent_filters
def test_the_rest_of_a_clip_is_heard_before_zeros_as_transformers_has_it():
    network = drawn("ast")
    wave = noise(1, 400 + 39 * 160)
    inputs = ASTFeatureExtractor(max_length=64)(wave[0].numpy(), sampling_rate=16_000, return_tensors="pt")[
        "input_values"
    ]
    states = network.network(inputs, output_hidden_states=True).hidden_states[1][0, 2:]
    in_time = states.unflatten(0, (ROWS, -1)).transpose(0, 1)
    assert_close(hear(network, wave)[0], in_time[: (40 - 16) // 8 + 1].flatten(0, 1), atol=1e-4, rtol=1e-3)


def test_a_longer_clip_is_heard_in_windows_each_by_itself():
    network = drawn("ast")
    wave = noise(1, 400 + 159 * 160)  # 64, 64 and 32 frames
    steps = (64 - 16) // 8 + 1
    heard = hear(network, wave)[0].unflatten(0, (-1, ROWS))
    assert len(heard) == 2 * steps + (32 - 16) // 8 + 1
    second = hear(network, wave[:, 64 * 160 : 64 * 160 + WINDOW_SAMPLES])[0].unflatten(0, (-1, ROWS))
    assert_close(heard[steps : 2 * steps], second, atol=1e-5, rtol=1e-4)


def test_a_rest_that_makes_no_patch_is_left_out():
    network = drawn("ast")
    whole = noise(1, WINDOW_SAMPLES)
    longer = torch.cat([whole, noise(1, 14 * 160, seed=1)], dim=1)
    assert_close(hear(network, longer), hear(network, whole))


def test_weights_in_the_layout_of_the_published_ones_are_read(tmp_path):
    network = drawn("ast")
    whole = ASTForAudioClassification(network.network.config)
    whole.audio_spectrogram_transformer = network.network
    whole.save_pretrained(tmp_path)
    wave = noise(1, 8000)
    assert torch.equal(hear(read("ast", tmp_path), wave), hear(network, wave))


def test_weights_in_half_precision_are_read_in_full(tmp_path):
    drawn("ast").network.half().save_pretrained(tmp_path)
    assert {parameter.dtype for parameter in read("ast", tmp_path).parameters()} == {torch.float32}


def test_weights_of_another_network_are_refused(tmp_path):
    drawn("wav2vec2").network.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="expected audio-spectrogram-transformer, not wav2vec2"):
        read("ast", tmp_path)


def test_truncated_weights_are_refused(tmp_path):
    drawn("ast").network.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ConfigurationError, match="it cannot be read"):
        read("ast", tmp_path)


def test_weights_without_a_part_are_refused_though_transformers_would_draw_it(tmp_path):
    drawn("ast").network.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["embeddings.position_embeddings"]
    save_file(weights, path)
    with pytest.raises(ConfigurationError, match=r"without embeddings\.position_embeddings\. One is https"):
        read("ast", tmp_path)


@pytest.mark.parametrize(
    ("setting", "value"), [("hidden_size", "wide"), ("num_attention_heads", 0), ("hidden_act", "no")]
)
def test_a_network_that_cannot_be_is_refused(setting, value):
    with pytest.raises(ConfigurationError, match=r"encoder\.random: "):
        drawn("ast", **{setting: value})


@pytest.mark.parametrize("content", [b"", b"0", b"(."], ids=["empty", "digit", "mark"])
def test_a_damaged_pickle_is_refused(tmp_path, content):
    drawn("ast").network.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ConfigurationError, match="it cannot be read"):
        read("ast", tmp_path)


def test_weights_that_lead_to_others_are_refused(tmp_path):
    for name, seed in (("one", 1), ("other", 2)):
        drawn("ast", seed).network.save_pretrained(tmp_path / name)
    leading = {"base_model_name_or_path": str(tmp_path / "other"), "peft_type": "LORA", "target_modules": ["q_proj"]}
    (tmp_path / "one" / "adapter_config.json").write_text(json.dumps(leading))
    with pytest.raises(ConfigurationError, match="expected a whole network, not an adapter of another"):
        read("ast", tmp_path / "one")
