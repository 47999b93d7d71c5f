"""What every family of encoders owes to those who use it."""

import json

import pytest
import torch
from torch.testing import assert_close

from rules.errors import ConfigurationError
from tests.training.hearing import TINY, drawn, hear, noise, read
from training import encoders

every_family = pytest.mark.parametrize("name", encoders.names())


@pytest.fixture(scope="module")
def networks():
    return {name: drawn(name) for name in encoders.names()}


def one_second(network, n_clips=2, seed=0):
    return noise(n_clips, network.sample_rate_hz, seed)


def test_each_family_has_a_tiny_network_here():
    assert sorted(TINY) == encoders.names()


def test_a_family_that_there_is_not_is_refused_with_a_suggestion():
    with pytest.raises(ConfigurationError, match=r"no encoder is called 'beat'.*did you mean beats\?"):
        encoders.get("beat")


@every_family
def test_it_gives_one_vector_of_all_blocks_for_each_token(name, networks):
    network = networks[name]
    waves = one_second(network)
    blocks = range(1, network.n_blocks + 1)
    features, mask = network(waves, torch.full((2,), waves.shape[1]), blocks)
    assert features.shape == (2, mask.shape[1], network.n_blocks * network.width)
    assert features.dtype == torch.float32
    assert mask.shape[1] > 0
    assert mask.dtype == torch.bool
    assert mask.all()


@every_family
def test_blocks_are_joined_in_the_order_that_is_asked_for(name, networks):
    network = networks[name]
    waves = one_second(network)
    blocks = (network.n_blocks, 1)
    expected = torch.cat([hear(network, waves, [block]) for block in blocks], dim=-1)
    assert_close(hear(network, waves, blocks), expected)


@every_family
def test_what_lies_behind_the_end_of_a_clip_changes_nothing_at_all(name, networks):
    network = networks[name]
    waves = one_second(network)
    lengths = torch.tensor([waves.shape[1], waves.shape[1] // 2])
    with_zeros, with_nan = waves.clone(), waves.clone()
    with_zeros[1, lengths[1] :] = 0
    with_nan[1, lengths[1] :] = float("nan")
    features, mask = network(with_zeros, lengths, [1])
    others, other_mask = network(with_nan, lengths, [1])
    assert torch.equal(others, features)
    assert torch.equal(other_mask, mask)


@every_family
def test_a_clip_sounds_the_same_alone_and_beside_a_longer_one(name, networks):
    network = networks[name]
    waves = one_second(network)
    length = waves.shape[1] // 2
    features, mask = network(waves, torch.tensor([waves.shape[1], length]), [1])
    alone = hear(network, waves[1:, :length])[0]
    assert mask[1].sum() == len(alone)
    assert_close(features[1, : len(alone)], alone, atol=2e-6, rtol=1e-5)
    assert not features[1, len(alone) :].any()


@every_family
def test_the_same_clip_gives_the_same_features_in_evaluation(name, networks):
    network = networks[name]
    waves = one_second(network)
    assert not network.training
    assert torch.equal(hear(network, waves), hear(network, waves))


@every_family
def test_another_sound_gives_other_features(name, networks):
    network = networks[name]
    assert not torch.allclose(hear(network, one_second(network)), hear(network, one_second(network, seed=1)))


@every_family
def test_a_clip_that_is_too_short_for_a_token_has_none(name, networks):
    network = networks[name]
    waves = one_second(network)
    features, mask = network(waves, torch.tensor([waves.shape[1], network.min_samples - 1]), [1])
    assert mask.any(dim=1).tolist() == [True, False]
    assert not features[1].any()


@every_family
def test_the_shortest_clip_has_a_token(name, networks):
    network = networks[name]
    features, mask = network(noise(1, network.min_samples), torch.tensor([network.min_samples]), [1])
    assert mask.any()
    assert features.isfinite().all()


@every_family
def test_a_batch_that_is_too_short_for_a_token_is_the_callers_mistake(name, networks):
    network = networks[name]
    n_samples = network.min_samples - 1
    with pytest.raises(ValueError, match=f"{n_samples} samples"):
        network(torch.zeros(1, n_samples), torch.tensor([n_samples]), [1])


@every_family
def test_blocks_that_it_has_not_are_refused(name, networks):
    network = networks[name]
    with pytest.raises(ConfigurationError, match=f"expected numbers from 1 to {network.n_blocks}"):
        encoders.check_blocks(network, [1, network.n_blocks + 1])


@every_family
def test_its_weights_depend_on_the_seed_alone(name, networks):
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again, other = drawn(name), drawn(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(again.state_dict()[key], weight) for key, weight in networks[name].state_dict().items())
    assert any(not torch.equal(other.state_dict()[key], weight) for key, weight in again.state_dict().items())


@every_family
def test_gradients_reach_it_only_where_it_is_trained(name):
    network = drawn(name)
    waves = one_second(network)
    blocks = [network.n_blocks]
    assert hear(network, waves, blocks).requires_grad
    hear(network, waves, blocks).square().sum().backward()
    assert next(network.parameters()).grad.any()
    network.requires_grad_(False)
    assert not hear(network, waves, blocks).requires_grad


@every_family
def test_dropout_is_at_work_in_training_only(name):
    network = drawn(name)
    waves = one_second(network)
    quiet = hear(network, waves, [network.n_blocks])
    network.train()
    torch.manual_seed(0)
    first, second = (hear(network, waves, [network.n_blocks]) for _ in range(2))
    assert not torch.equal(first, second)
    network.eval()
    assert torch.equal(hear(network, waves, [network.n_blocks]), quiet)


@every_family
def test_training_keeps_nothing_beside_the_weights(name):
    network = drawn(name)
    before = {key: weight.clone() for key, weight in network.state_dict().items()}
    network.train()
    hear(network, one_second(network))
    assert all(torch.equal(weight, before[key]) for key, weight in network.state_dict().items())


@every_family
def test_gradient_checkpointing_gives_the_same_gradients(name):
    network = drawn(name)
    waves = one_second(network)
    network.train()

    def pass_and_back():
        kept = []
        network.zero_grad()
        torch.manual_seed(0)  # of the dropout
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
        ):
            result = hear(network, waves, [network.n_blocks])
        result.square().sum().backward()
        return len(kept), {key: weight.grad for key, weight in network.named_parameters() if weight.grad is not None}

    n_kept, gradients = pass_and_back()
    network.enable_gradient_checkpointing()
    n_kept_with, gradients_with = pass_and_back()
    assert n_kept_with < n_kept / 1.5
    assert gradients
    assert_close(gradients_with, gradients)


@every_family
def test_it_hears_in_half_precision_what_it_hears_in_full(name, networks):
    network = networks[name]
    waves = one_second(network)
    lengths = torch.tensor([waves.shape[1], network.min_samples - 1])
    in_full, mask = network(waves, lengths, [1])
    with torch.autocast("cpu", torch.bfloat16):
        in_half, same_mask = network(waves, lengths, [1])
    assert_close(in_half.float(), in_full, atol=0.1, rtol=0)
    assert torch.equal(same_mask, mask)


@every_family
def test_a_setting_that_there_is_not_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"encoder\.random\.widht: expected one of the keys"):
        drawn(name, widht=8)


@every_family
@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
def test_whoever_has_no_weights_is_told_where_to_get_them(name, is_there, tmp_path):
    weights = tmp_path / "weights"
    if is_there:
        weights.mkdir()
    with pytest.raises(
        ConfigurationError, match="https://.* `--set encoder.weights=PATH`, .*`--encoder PATH`"
    ) as refusal:
        read(name, weights)
    assert str(weights) in str(refusal.value)


@pytest.mark.parametrize("name", [name for name in encoders.names() if name != "beats"])
def test_code_beside_weights_is_not_even_offered_to_be_run(name, tmp_path, monkeypatch):
    told = {"model_type": "strange", "auto_map": {"AutoConfig": "strange.Strange"}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / "strange.py").write_text("raise SystemExit('it has run')")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ConfigurationError, match="it cannot be read"):
        read(name, tmp_path)
