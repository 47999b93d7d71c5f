"""wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477) and its kin of the same build, as transformers has them.

WavLM, HuBERT, UniSpeech and data2vec-audio are read by the same code: what the weights or settings are of, they tell.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from training import recipe
from training.encoders._settings import WHERE
from training.encoders._transformers import by_length, draw, folder, read

import_torchvision()
from transformers import AutoConfig, AutoModel  # noqa: E402

MODEL_TYPES = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
SMALLEST_VARIANCE = 1e-7  # as transformers normalizes waveforms
GET_THEM = "One is https://huggingface.co/microsoft/wavlm-base-plus."


class Wav2Vec2(nn.Module):
    """Waveform -> outputs of blocks; see `training.encoders.Encoder`."""

    sample_rate_hz = 16_000

    def __init__(self, network: nn.Module, *, normalizes: bool) -> None:
        """Wrap a network.

        Args:
            network: of transformers.
            normalizes: each clip to mean 0 and variance 1, as in its training.
        """
        super().__init__()
        self.network, self.normalizes = network, normalizes
        sizes = network.config
        sizes.layerdrop = 0.0  # a block without a gradient would stop several processes
        sizes.apply_spec_augment = False  # it draws by numpy's global state, which no checkpoint holds
        if hasattr(network, "masked_spec_embed"):
            del network.masked_spec_embed  # which only that would train
        self.width, self.n_blocks = sizes.hidden_size, sizes.num_hidden_layers
        self.convolutions = list(zip(sizes.conv_kernel, sizes.conv_stride, strict=True))
        self.min_samples = 1
        for kernel, stride in reversed(self.convolutions):
            self.min_samples = (self.min_samples - 1) * stride + kernel

    def enable_gradient_checkpointing(self) -> None:
        self.network.activation_checkpointing_enable()

    def forward(self, waves: Tensor, lengths: Tensor, blocks: Sequence[int]) -> tuple[Tensor, Tensor]:
        width = len(blocks) * self.width
        return by_length(waves, lengths, width, self._n_tokens, lambda clips: self._hear(clips, blocks))

    def _n_tokens(self, n_samples: int) -> int:
        for kernel, stride in self.convolutions:
            n_samples = max(0, (n_samples - kernel) // stride + 1)
        return n_samples

    def _hear(self, clips: Tensor, blocks: Sequence[int]) -> Tensor:
        """Return features of clips of one length, shape (n_clips, n_tokens, width)."""
        if self.normalizes:
            variance, mean = torch.var_mean(clips, dim=1, correction=0, keepdim=True)
            clips = (clips - mean) / (variance + SMALLEST_VARIANCE).sqrt()
        states = self.network(clips, output_hidden_states=True).hidden_states
        return torch.cat([states[block] for block in blocks], dim=-1)


def load(encoder: recipe.Encoder, seed: int) -> Wav2Vec2:
    if encoder.weights is None:
        loaded = Wav2Vec2(_drawn(encoder.random or {}, seed), normalizes=True)
    else:
        path = folder(encoder.weights, GET_THEM)
        loaded = Wav2Vec2(read(AutoModel, path, MODEL_TYPES, GET_THEM), normalizes=_normalizes(path))
    loaded.eval()
    return loaded


def _drawn(written: Mapping[str, object], seed: int) -> nn.Module:
    model_type = written.get("model_type", "wav2vec2")
    if model_type not in MODEL_TYPES:
        raise ConfigurationError(f"{WHERE}.model_type {model_type!r}: expected one of {', '.join(MODEL_TYPES)}")
    configure = type(AutoConfig.for_model(model_type))
    settings = {key: value for key, value in written.items() if key != "model_type"}
    network: nn.Module = draw(AutoModel.from_config, configure, settings, seed)
    return network


def _normalizes(path: Path) -> bool:
    """Say whether clips were normalized in training."""
    told = path / "preprocessor_config.json"
    try:
        return bool(json.loads(told.read_bytes())["do_normalize"])
    except (OSError, ValueError, LookupError, TypeError):
        raise ConfigurationError(f"encoder.weights: {told}: expected do_normalize, true or false") from None
