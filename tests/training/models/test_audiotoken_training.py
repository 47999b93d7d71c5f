"""What is trained, in which mode and precision."""

import dataclasses

import pytest
import torch

from tests.training.audiotokens import (
    ALL,
    HIGH,
    LORA,
    LOW,
    TRAINED,
    batch_of,
    build,
    draws_of,
    shared,
)


def part_of(name: str) -> str:
    return "lora" if ".lora_" in name else name.partition(".")[0]


@pytest.mark.parametrize("checkpointing", ["false", "true"])
@pytest.mark.parametrize(("changes", "parts"), TRAINED.items(), ids=["embedder", "encoder", "lora", "both", "all"])
def test_gradients_are_exactly_where_the_recipe_says(
    changes: tuple[str, ...], parts: set[str], checkpointing: str
) -> None:
    model = build(*changes, f"gradient_checkpointing={checkpointing}").train()
    batch = batch_of(model, LOW, HIGH)
    model(batch, draws_of(model, batch)).total.backward()
    table = {name: parameter.grad is not None for name, parameter in model.named_parameters()}
    assert table == {name: part_of(name) in parts for name in table}
    assert set(model.trainable()) == {name for name, has_gradient in table.items() if has_gradient}
    assert {part_of(name) for name in table} >= {"embedder", "encoder", "unet", "vae", "conditioning"}


@pytest.mark.parametrize(("changes", "parts"), TRAINED.items(), ids=["embedder", "encoder", "lora", "both", "all"])
def test_frozen_networks_are_never_in_training_mode(changes: tuple[str, ...], parts: set[str]) -> None:
    model = build(*changes)
    assert not any(module.training for module in model.modules())
    model.train()
    training = {name.partition(".")[0] for name, module in model.named_modules() if name and module.training}
    assert training == parts - {"lora"}  # low-rank matrices do the same in both modes
    model.eval()
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("changes", [LORA, ALL], ids=["lora", "all"])
def test_gradient_checkpointing_changes_no_gradient(changes: tuple[str, ...]) -> None:
    gradients = []
    for checkpointing in ("false", "true"):
        model = build(*changes, f"gradient_checkpointing={checkpointing}").train()
        batch = batch_of(model, LOW, HIGH)
        torch.manual_seed(4)  # of dropout
        model(batch, draws_of(model, batch)).total.backward()
        gradients.append({name: parameter.grad for name, parameter in model.trainable().items()})
    for name, gradient_of in gradients[0].items():
        assert torch.allclose(gradient_of, gradients[1][name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize(
    ("changes", "precision"),
    [((), "bf16"), ((), "fp16"), (LORA, "bf16"), (ALL, "bf16")],
    ids=["embedder", "embedder-fp16", "lora", "all"],
)
def test_mixed_precision_trains_in_float32_and_freezes_in_less(changes: tuple[str, ...], precision: str) -> None:
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    model = build(*changes, f"mixed_precision={precision}").train()
    batch = batch_of(model, LOW, HIGH)
    draws = draws_of(model, batch)
    with torch.autocast("cpu", dtype):
        loss = model(batch, draws)
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert {parameter.dtype for parameter in model.trainable().values()} == {torch.float32}
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.trainable().values())
    assert {parameter.dtype for parameter in model.conditioning.text_encoder.parameters()} == {dtype}
    exact = build(*changes).eval()
    with torch.autocast("cpu", dtype):
        error = model.validation_loss(batch, draws)
    features = None if batch.features is None else batch.features.float()
    in_float32 = exact.validation_loss(dataclasses.replace(batch, features=features), draws)
    assert torch.allclose(error, in_float32, rtol=0.05)


def test_features_are_kept_in_what_they_are_cast_to_anyway() -> None:
    exact, less = shared(), shared("mixed_precision=bf16")
    assert less.features(LOW)[0].dtype == less.feature_dtype == torch.bfloat16
    assert torch.equal(less.features(LOW)[0], exact.features(LOW)[0].bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        features, mask = exact.features(LOW)
        tokens = [less.embedder(f[None], mask[None]) for f in (features, features.bfloat16().float())]
    assert torch.equal(*tokens)
