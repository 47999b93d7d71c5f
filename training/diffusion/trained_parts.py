"""What is trained of networks that were trained before."""

from collections.abc import Sequence

import torch
from torch import nn

from rules.errors import ConfigurationError
from training import encoders, recipe
from training.diffusion.libraries import LoraConfig, UNet2DConditionModel
from training.weights import seeded


def keep_in(network: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights of a network to a dtype."""
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)


def train_what_is_heard(encoder: encoders.Encoder, blocks: Sequence[int]) -> None:
    """Let those parameters of an encoder be trained on which the outputs of some blocks depend.

    The others, as of later blocks, never get a gradient, and processes that train together would wait for it.
    """
    assert isinstance(encoder, nn.Module)  # noqa: S101 - a protocol cannot say so
    encoder.requires_grad_(True)
    parameters = list(encoder.parameters())
    device = parameters[0].device
    n_samples = torch.full((1,), encoder.min_samples, device=device)
    with torch.enable_grad():
        heard, _ = encoder(torch.zeros(1, encoder.min_samples, device=device), n_samples, blocks)
        found = torch.autograd.grad(heard.sum(), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.requires_grad_(gradient is not None)


def add_lora(unet: UNet2DConditionModel, lora: recipe.Lora, seed: int) -> None:
    """Add low-rank matrices to a U-Net, in float32, and let them alone be trained; they change nothing at first.

    Raises:
        ConfigurationError: the U-Net has no such modules.
    """
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.modules))
    try:
        with seeded(seed, "lora"):
            unet.add_adapter(config)
    except ValueError as error:
        raise ConfigurationError(f"train.lora.modules: {', '.join(lora.modules)}: {error}") from None
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # also where what lies beside it is kept in less
