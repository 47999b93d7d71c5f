"""Low-rank matrices, and the parts of an encoder that are heard."""

import pytest
import torch

from rules.errors import ConfigurationError
from tests.training.audiotokens import (
    HEARS,
    LORA,
    LOW,
    batch_of,
    build,
    draws_of,
    shared,
)


def test_what_no_output_depends_on_is_not_trained() -> None:
    model = build(*HEARS, "encoder.blocks=[1, 2]")
    of_last = {name: p.requires_grad for name, p in model.encoder.named_parameters() if "layers.2." in name}
    assert of_last
    assert not any(of_last.values())
    assert any(parameter.requires_grad for parameter in model.encoder.parameters())


def test_low_rank_matrices_change_nothing_at_first() -> None:
    plain, lora = shared(), shared(*LORA)
    batch = batch_of(plain, LOW)
    draws = draws_of(plain, batch)
    assert torch.equal(plain.validation_loss(batch, draws), lora.validation_loss(batch, draws))


def test_low_rank_matrices_of_modules_that_there_are_not_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="train.lora.modules: to_qqq: "):
        build(*LORA, "train.lora.modules=[to_qqq]")
