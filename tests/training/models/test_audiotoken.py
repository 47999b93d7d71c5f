"""What a model hears and finds, and which settings do not fit it."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from rules.errors import ConfigurationError
from tests.training.audiotokens import (
    HEARS,
    HIGH,
    LOW,
    batch_of,
    build,
    draws_of,
    gradient,
    shared,
)
from training.models.audiotoken import AudioToken


def found(model: AudioToken, waves: Tensor, lengths: Tensor) -> Tensor:
    """Return what the U-Net finds in the first item when it hears the first wave."""
    batch = dataclasses.replace(batch_of(model, LOW), waves=waves[None], lengths=lengths[None])
    kept: list[Tensor] = []
    hook = model.unet.register_forward_hook(lambda _module, _given, gave: kept.append(gave.sample))
    model.validation_loss(batch, draws_of(model, batch))
    hook.remove()
    return kept[0]


def test_other_music_changes_the_noise_that_is_found() -> None:
    model, whole = shared(*HEARS), torch.tensor(16000)
    assert torch.equal(found(model, LOW, whole), found(model, LOW, whole))
    assert not torch.allclose(found(model, LOW, whole), found(model, HIGH, whole), rtol=1e-3)


def test_music_behind_the_end_of_a_clip_changes_nothing() -> None:
    model, length = shared(*HEARS), torch.tensor(8000)
    louder = torch.cat([LOW[:8000], HIGH[8000:]])
    assert torch.equal(found(model, LOW, length), found(model, louder, length))
    assert not torch.equal(found(model, LOW, torch.tensor(16000)), found(model, louder, torch.tensor(16000)))


@pytest.mark.parametrize("changes", [(), HEARS], ids=["embedder", "encoder"])
def test_a_clip_has_one_token_in_evaluation_whatever_is_beside_it(changes: tuple[str, ...]) -> None:
    model = build(*changes).train()
    first = model.embed([LOW])
    assert torch.equal(first[0], model.embed([HIGH, LOW])[1])
    assert model.training
    assert first.shape == (1, model.width)
    assert first.dtype == torch.float32
    assert not first.requires_grad


def test_in_training_dropout_gives_a_clip_several_tokens() -> None:
    model = build().train()
    batch = batch_of(model, LOW)
    torch.manual_seed(0)
    assert not torch.equal(model.tokens(batch), model.tokens(batch))


def test_features_given_are_as_good_as_the_music_itself() -> None:
    model = shared()
    from_features = batch_of(model, LOW, HIGH)
    from_music = dataclasses.replace(
        from_features, features=None, mask=None, waves=torch.stack([LOW, HIGH]), lengths=torch.tensor([16000, 16000])
    )
    assert torch.allclose(model.tokens(from_features), model.tokens(from_music), atol=1e-5)


def test_latents_are_those_of_the_vae() -> None:
    model = shared()
    pixels = gradient(0)
    expected = model.vae.encode(pixels[None].float() / 127.5 - 1).latent_dist
    mean, log_variance = model.moments(pixels).chunk(2)
    assert torch.allclose(mean, expected.mean[0], atol=1e-6)
    assert torch.allclose(log_variance.clamp(-30, 20), expected.logvar[0], atol=1e-6)
    assert not mean.requires_grad


def test_the_loss_is_that_of_the_paper() -> None:
    model = build("loss.l2=0.02", "pooling_dropout=0").train()
    batch = batch_of(model, LOW, HIGH)
    draws = draws_of(model, batch)
    mean, log_variance = batch.moments.chunk(2, dim=1)
    latents = 0.18215 * (mean + (log_variance / 2).exp() * draws.latent)
    signal = model.noise.alphas_cumprod[draws.timesteps].reshape(2, 1, 1, 1)
    tokens = model.tokens(batch)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * draws.noise
    predicted = model.unet(noisy, draws.timesteps, model.conditioning(tokens)).sample
    cosine = nn.functional.cosine_similarity(tokens, model.conditioning.label_embeddings[batch.labels])
    expected = {
        "noise": ((predicted - draws.noise) ** 2).mean(),
        "l1": 0.01 * tokens.abs().mean(),
        "l2": 0.02 * (tokens**2).sum(1).mean(),
        "label": 0.01 * ((1 - cosine) ** 2).mean(),
    }
    loss = model(batch, draws)
    assert {n: p.item() for n, p in loss.parts.items()} == pytest.approx({n: p.item() for n, p in expected.items()})
    assert loss.total.item() == pytest.approx(sum(part.item() for part in expected.values()))


def test_min_snr_weighs_each_item_by_its_time_step() -> None:
    model = build("loss.min_snr_gamma=5", "loss.l1=0", "loss.label=0")
    batch = batch_of(model, LOW, HIGH)
    draws = dataclasses.replace(draws_of(model, batch), timesteps=torch.tensor([5, 900]))
    plain = model.validation_loss(batch, draws)
    weights = (5 / model.noise.snr(draws.timesteps)).clamp(max=1)
    assert weights[0] < 0.1
    assert weights[1] == 1
    assert model(batch, draws).total.item() == pytest.approx((weights * plain).mean().item())


def test_validation_is_plain_repeatable_and_keeps_the_mode() -> None:
    model = build().train()
    batch = batch_of(model, LOW, HIGH)
    draws = draws_of(model, batch)
    first = model.validation_loss(batch, draws)
    assert torch.equal(first, model.validation_loss(batch, draws))
    assert first.shape == (2,)
    assert not first.requires_grad
    assert model.training
    assert model.eval()(batch, draws).parts["noise"].item() == pytest.approx(first.mean().item())


def test_an_image_that_the_vae_cannot_shrink_is_refused() -> None:
    deep = "base.random.vae.block_out_channels=[8, 8, 8, 8, 8]"
    types = [f"base.random.vae.{way}_block_types=[{', '.join([kind] * 5)}]" for way, kind in
             (("down", "DownEncoderBlock2D"), ("up", "UpDecoderBlock2D"))]  # fmt: skip
    with pytest.raises(ConfigurationError, match="image_size_px: 24: expected a multiple of 16"):
        build(deep, *types, "image_size_px=24")


def test_blocks_that_the_encoder_has_not_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="blocks"):
        build("encoder.blocks=[1, 4]")


def test_what_is_too_short_to_be_heard_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="duration_s: 0.1 s: expected at least 0.175 s, which the encoder"):
        build("duration_s=0.1")
    with pytest.raises(ConfigurationError, match="the clip: 0.1 s: expected at least"):
        shared().embed([LOW, LOW[:1600]])
