import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from tests.training.hearing import TINY, drawn, hear, noise, read
from training.encoders.beats import Beats, PositionConvolution, Sizes, buckets

import_torchvision()
from transformers.models.wavlm.modeling_wavlm import WavLMAttention  # noqa: E402

TINY_SIZES = Sizes(**TINY["beats"])


def random_beats(seed=0, **changes):
    """A tiny network whose every weight is far from where it begins."""
    network = drawn("beats", **changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def test_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = Beats(Sizes())
    assert sum(parameter.numel() for parameter in network.parameters()) == 90_311_792


@pytest.mark.parametrize(("duration_s", "n_tokens"), [(5, 248), (10, 496), (30, 1496)])
def test_it_has_the_published_number_of_tokens(duration_s, n_tokens):
    with torch.device("meta"):
        network = Beats(Sizes())
        features, mask = network(torch.zeros(2, 16_000 * duration_s), torch.zeros(2, dtype=torch.int64), [4, 8, 12])
    assert features.shape == (2, n_tokens, 2304)
    assert mask.shape == (2, n_tokens)


@settings(max_examples=30, deadline=None)
@given(quarter=st.integers(1, 100), further=st.integers(1, 800), n_tokens=st.integers(1, 200))
def test_buckets_are_those_of_wavlm(quarter, further, n_tokens):
    sizes = Sizes(buckets=4 * quarter, max_distance=quarter + further)
    wavlm = WavLMAttention(4, 2, num_buckets=sizes.buckets, max_distance=sizes.max_distance)
    distances = torch.arange(-n_tokens, n_tokens + 1) * 7
    assert torch.equal(buckets(distances, sizes), wavlm._relative_positions_bucket(distances))


def test_the_bias_of_a_token_for_another_is_that_of_their_distance():
    network = drawn("beats")
    table = network.encoder.layers[0].self_attn.relative_attention_bias.weight
    bias = network._position_bias(6)
    expected = [[table[buckets(torch.tensor([j - i]), TINY_SIZES)[0]] for j in range(6)] for i in range(6)]
    assert_close(bias, torch.stack([torch.stack(row) for row in expected]).permute(2, 0, 1))


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # in the code of WavLM
def test_attention_is_that_of_wavlm_where_the_query_is_the_token_itself():
    network = random_beats()
    ours = network.encoder.layers[0].self_attn
    wavlm = WavLMAttention(TINY_SIZES.width, TINY_SIZES.heads).eval()
    with torch.no_grad():
        ours.q_proj.weight.copy_(torch.eye(TINY_SIZES.width))  # WavLM opens its gate by the token, BEATs by the query
        ours.q_proj.bias.zero_()
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        getattr(wavlm, part).load_state_dict(getattr(ours, part).state_dict())
    wavlm.rel_attn_embed.load_state_dict(ours.relative_attention_bias.state_dict())
    wavlm.gru_rel_pos_linear.load_state_dict(ours.grep_linear.state_dict())
    wavlm.gru_rel_pos_const.data.copy_(ours.grep_a)
    x = noise(2, 24 * TINY_SIZES.width).view(2, 24, -1)
    mask = torch.arange(24) < torch.tensor([[24], [17]])
    expected = wavlm(x, attention_mask=mask.long())[0]
    assert_close(ours(x, network._position_bias(24), mask), expected, atol=1e-5, rtol=1e-4)


def test_the_convolution_over_time_is_torchs_own_with_weight_norm():
    ours = PositionConvolution(TINY_SIZES)
    nn.init.normal_(ours.weight_g)
    nn.init.normal_(ours.bias)
    width, taps = TINY_SIZES.width, TINY_SIZES.position_width
    theirs = nn.Conv1d(width, width, taps, padding=taps // 2, groups=TINY_SIZES.position_groups)
    theirs = nn.utils.parametrizations.weight_norm(theirs, dim=2)
    theirs.parametrizations.weight.original0.data.copy_(ours.weight_g)
    theirs.parametrizations.weight.original1.data.copy_(ours.weight_v)
    theirs.bias.data.copy_(ours.bias)
    x = noise(2, 40 * width).view(2, 40, width)
    assert_close(ours(x), theirs(x.transpose(1, 2))[..., :-1].transpose(1, 2), atol=1e-5, rtol=1e-4)


def slow_blocks(network, x):
    """The outputs of all blocks for the tokens of one clip, token by token as the authors' code computes them."""
    weights = {name: weight.double() for name, weight in network.state_dict().items()}
    width, heads = network.width, network.sizes.heads
    size, alpha = width // heads, (2 * network.n_blocks) ** 0.25
    table = weights["encoder.layers.0.self_attn.relative_attention_bias.weight"]

    def linear(name, value):
        return weights[f"{name}.weight"] @ value + weights[f"{name}.bias"]

    def norm(name, value):
        centered = value - value.mean()
        return centered / (centered.square().mean() + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    outputs = []
    for number in range(network.n_blocks):
        block = f"encoder.layers.{number}"
        attention = f"{block}.self_attn"
        q, k, v = ([linear(f"{attention}.{part}_proj", token) for token in x] for part in "qkv")
        after = []
        for i, token in enumerate(x):
            heard = []
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                gates = linear(f"{attention}.grep_linear", q[i][part])
                gate_a, gate_b = torch.sigmoid(gates[:4].sum()), torch.sigmoid(gates[4:].sum())
                gate = gate_a * (gate_b * weights[f"{attention}.grep_a"][0, head, 0, 0] - 1) + 2
                scores = torch.stack([q[i][part] @ k[j][part] / math.sqrt(size) / 32 for j in range(len(x))])
                scores = (scores - scores.max()) * 32
                bias = [table[buckets(torch.tensor([j - i]), network.sizes)[0], head] for j in range(len(x))]
                shares = (scores + gate * torch.stack(bias)).softmax(0)
                heard.append(sum(share * v[j][part] for j, share in enumerate(shares)))
            summed = linear(f"{attention}.out_proj", torch.cat(heard)) + alpha * token
            token = norm(f"{attention}_layer_norm", summed)
            hidden = linear(f"{block}.fc1", token)
            hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
            after.append(norm(f"{block}.final_layer_norm", linear(f"{block}.fc2", hidden) + alpha * token))
        x = after
        outputs.append(torch.stack(x))
    return outputs


def slow_tokens(network, wave):
    """The tokens of one clip before the first block, patch by patch."""
    sizes = network.sizes
    spectra = network.filter_bank(wave[None])[0]
    tokens = []
    for frame in range(0, len(spectra) - 15, 16):  # the patches of one time stand together, the lowest first
        for low in range(0, 128, 16):
            patch = (
                network.patch_embedding.weight[:, 0].flatten(1) @ spectra[frame : frame + 16, low : low + 16].flatten()
            )
            tokens.append(network.post_extract_proj(network.layer_norm(patch)))
    x = torch.stack(tokens)
    convolution = network.encoder.pos_conv[0]
    weight = (
        convolution.weight_v * convolution.weight_g / convolution.weight_v.square().sum((0, 1), keepdim=True).sqrt()
    )
    half, group = sizes.position_width // 2, sizes.width // sizes.position_groups
    padded = nn.functional.pad(x, (0, 0, half, half))
    after = x.clone()
    for channel in range(sizes.width):
        seen = slice(channel // group * group, (channel // group + 1) * group)
        for t in range(len(x)):
            heard = (padded[t : t + 2 * half, seen].T * weight[channel]).sum() + convolution.bias[channel]
            after[t, channel] += nn.functional.gelu(heard)
    return list(network.encoder.layer_norm(after).double())


def test_the_whole_network_is_the_formulas_written_out():
    network = random_beats()
    wave = noise(1, network.min_samples + 16 * 160)
    with torch.no_grad():
        expected = slow_blocks(network, slow_tokens(network, wave[0]))
        features = hear(network, wave, [1, 2])[0]
    assert features.shape == (16, 2 * network.width)
    assert_close(features.double(), torch.cat(expected, dim=-1), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("length", "n_counted"), [(2799, 0), (2800, 8), (2800 + 2559, 8), (2800 + 2560, 16), (16_000, 48)]
)
def test_a_token_counts_if_all_its_frames_are_of_the_clips_own_samples(length, n_counted):
    _, mask = drawn("beats")(noise(1, 16_000), torch.tensor([length]), [1])
    assert mask[0].tolist() == [True] * n_counted + [False] * (48 - n_counted)


def test_a_clip_without_a_token_has_finite_gradients():
    network = drawn("beats")
    features, _ = network(noise(2, 8000), torch.tensor([8000, 0]), [2])
    features.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


def test_all_of_it_is_trained_where_its_last_block_is_heard():
    network = random_beats()
    hear(network, noise(1, 8000), [2]).square().sum().backward()
    still = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    # what all keys have in common makes no difference to a softmax
    assert set(still) <= {f"encoder.layers.{number}.self_attn.k_proj.bias" for number in range(2)}


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout", "hidden_dropout"])
def test_each_dropout_is_at_work_in_training_only(kind):
    network = drawn("beats", **{"attention_dropout": 0.0, kind: 0.5})
    wave = noise(1, 8000)
    quiet = hear(network, wave)
    assert torch.equal(hear(network, wave), quiet)
    network.train()
    torch.manual_seed(0)
    assert not torch.equal(hear(network, wave), quiet)


def published(network, **cfg):
    """What torch.load gives of a published file of these sizes."""
    sizes = network.sizes
    model = dict(network.state_dict())
    shared = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
    model |= {shared.format(number): model[shared.format(0)] for number in range(1, sizes.blocks)}
    told = {
        "encoder_layers": sizes.blocks,
        "encoder_embed_dim": sizes.width,
        "encoder_ffn_embed_dim": sizes.hidden,
        "encoder_attention_heads": sizes.heads,
        "activation_fn": "gelu",
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.05,
        "dropout_input": 0.0,
        "layer_norm_first": False,
        "conv_bias": False,
        "conv_pos": sizes.position_width,
        "conv_pos_groups": sizes.position_groups,
        "relative_position_embedding": True,
        "num_buckets": sizes.buckets,
        "max_distance": sizes.max_distance,
        "gru_rel_pos": True,
        "deep_norm": True,
        "input_patch_size": 16,
        "layer_wise_gradient_decay_ratio": 0.6,
        "embed_dim": sizes.patch_width,
        "finetuned_model": False,
    }
    return {"cfg": told | cfg, "model": model}


def test_its_weights_have_the_published_names_and_shapes():
    of_a_block = {
        "self_attn.grep_a": [1, 12, 1, 1],
        "self_attn.grep_linear.weight": [8, 64],
        "self_attn.grep_linear.bias": [8],
        **{f"self_attn.{part}_proj.weight": [768, 768] for part in ("q", "k", "v", "out")},
        **{f"self_attn.{part}_proj.bias": [768] for part in ("q", "k", "v", "out")},
        **{
            f"{norm}.{part}": [768]
            for norm in ("self_attn_layer_norm", "final_layer_norm")
            for part in ("weight", "bias")
        },
        "fc1.weight": [3072, 768],
        "fc1.bias": [3072],
        "fc2.weight": [768, 3072],
        "fc2.bias": [768],
    }
    expected = {
        "patch_embedding.weight": [512, 1, 16, 16],
        "layer_norm.weight": [512],
        "layer_norm.bias": [512],
        "post_extract_proj.weight": [768, 512],
        "post_extract_proj.bias": [768],
        "encoder.pos_conv.0.weight_g": [1, 1, 128],
        "encoder.pos_conv.0.weight_v": [768, 48, 128],
        "encoder.pos_conv.0.bias": [768],
        "encoder.layer_norm.weight": [768],
        "encoder.layer_norm.bias": [768],
        "encoder.layers.0.self_attn.relative_attention_bias.weight": [320, 12],
        **{f"encoder.layers.{number}.{name}": shape for number in range(12) for name, shape in of_a_block.items()},
    }
    with torch.device("meta"):
        weights = Beats(Sizes()).state_dict()
    assert {name: list(weight.shape) for name, weight in weights.items()} == expected


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("is_finetuned", [False, True], ids=["pretrained", "fine-tuned"])
def test_a_published_file_is_read_by_name(tmp_path, is_zip, is_finetuned):
    network = random_beats(attention_dropout=0.0)
    content = published(network, finetuned_model=is_finetuned)
    if is_finetuned:
        content["model"] |= {"predictor.weight": torch.zeros(5, 32), "predictor.bias": torch.zeros(5)}
        content["label_dict"] = {0: "/m/09x0r"}
    torch.save(content, tmp_path / "beats.pt", _use_new_zipfile_serialization=is_zip)
    loaded = read("beats", tmp_path / "beats.pt")
    assert not loaded.training
    assert loaded.sizes == network.sizes
    wave = noise(1, 8000)
    assert torch.equal(hear(loaded, wave, [1, 2]), hear(network, wave, [1, 2]))


def test_the_dropout_of_training_is_what_the_file_tells(tmp_path):
    torch.save(published(drawn("beats"), dropout=0.2, attention_dropout=0.3, activation_dropout=0.4), tmp_path / "b.pt")
    sizes = read("beats", tmp_path / "b.pt").sizes
    assert (sizes.dropout, sizes.attention_dropout, sizes.hidden_dropout) == (0.2, 0.3, 0.4)


def refusal(path):
    with pytest.raises(ConfigurationError) as error:
        read("beats", path)
    message = str(error.value)
    assert message.startswith(f"encoder.weights: {path}: ")
    assert "https://github.com/microsoft/unilm/tree/master/beats" in message
    assert "`--set encoder.weights=PATH`" in message
    return message


def test_a_missing_file_is_told_with_the_folder_in_which_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/BEATs_iter3_plus_AS2M.pt: there is no such file"):
        read("beats", "BEATs_iter3_plus_AS2M.pt")


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, is_zip, share):
    path = tmp_path / "beats.pt"
    torch.save(published(drawn("beats")), path, _use_new_zipfile_serialization=is_zip)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "it is damaged or not a file of torch's" in refusal(path)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it ran",))

    torch.save({"cfg": Trap(), "model": {}}, tmp_path / "beats.pt")
    assert "damaged or not a file of torch's" in refusal(tmp_path / "beats.pt")


@pytest.mark.parametrize(
    "content", [[1, 2], {"model": {}}, {"cfg": {}, "model": 3}], ids=["list", "no cfg", "no names"]
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    assert "expected the parts cfg and model" in refusal(tmp_path / "other.pt")


def test_a_file_of_another_build_is_refused_with_what_is_other(tmp_path):
    content = published(drawn("beats"), layer_norm_first=True)
    del content["cfg"]["num_buckets"]
    torch.save(content, tmp_path / "other.pt")
    assert "its cfg is not that of BEATs: no num_buckets, layer_norm_first True" in refusal(tmp_path / "other.pt")


def test_names_that_are_missing_or_too_many_or_of_other_shape_are_told(tmp_path):
    content = published(drawn("beats"))
    del content["model"]["encoder.layers.1.fc2.bias"]
    content["model"] |= {f"quantize.{number}": torch.zeros(2) for number in range(5)}
    content["model"]["layer_norm.bias"] = torch.zeros(3)
    torch.save(content, tmp_path / "other.pt")
    assert (
        "it is not of BEATs: without encoder.layers.1.fc2.bias; with quantize.0, quantize.1, quantize.2 and 2 more; "
        "of other shape layer_norm.bias" in refusal(tmp_path / "other.pt")
    )


def test_position_biases_that_differ_are_refused(tmp_path):
    content = published(drawn("beats"))
    name = "encoder.layers.1.self_attn.relative_attention_bias.weight"
    content["model"][name] = content["model"][name] + 1
    torch.save(content, tmp_path / "other.pt")
    assert "the position biases of its blocks differ" in refusal(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("heads", 5, "encoder.random: width 32: expected a multiple of heads and of position_groups"),
        ("width", 0, r"encoder\.random\.width: Input should be greater than or equal to 1"),
        ("dropout", "much", r"encoder\.random\.dropout: Input should be a valid number"),
        ("max_distance", 80, r"encoder\.random: max_distance 80: expected more than a quarter of buckets"),
    ],
)
def test_a_network_that_cannot_be_is_refused(setting, value, told):
    with pytest.raises(ConfigurationError, match=told):
        drawn("beats", **{setting: value})


@pytest.mark.parametrize("content", [b"a:b", b"0", b"\x80\x02.", b"(."], ids=["words", "digit", "no object", "mark"])
def test_a_file_that_is_none_of_torchs_is_refused(tmp_path, content):
    (tmp_path / "beats.pt").write_bytes(content)
    assert "it is damaged or not a file of torch's" in refusal(tmp_path / "beats.pt")
