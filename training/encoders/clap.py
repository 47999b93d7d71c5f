"""The audio half of CLAP (Wu et al. 2023, arXiv 2211.06687), as transformers has it; the models without fusion.

It hears 10 s at once: a longer clip is heard in windows of that length, a shorter one and a shorter rest are repeated
until they fill one, as in its training. So all tokens are of the clip's own samples. Its stages differ in the width and
number of their tokens, so there is one block to have: the normalized output of the last stage.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from training import recipe
from training.encoders._transformers import by_length, draw, folder, read

import_torchvision()
from transformers import ClapAudioConfig, ClapAudioModel, ClapModel  # noqa: E402
from transformers.audio_utils import mel_filter_bank  # noqa: E402

SAMPLE_RATE_HZ = 48_000
WINDOW_SAMPLES = 10 * SAMPLE_RATE_HZ
FOURIER_POINTS, HOP_SAMPLES = 1024, 480
LOWEST_HZ, HIGHEST_HZ = 50, 14_000  # of the mel filters of all published models
SMALLEST_POWER = 1e-10
GET_THEM = "One is https://huggingface.co/laion/larger_clap_music."


class Clap(nn.Module):
    """Waveform -> output of the last stage; see `training.encoders.Encoder`."""

    sample_rate_hz = SAMPLE_RATE_HZ
    n_blocks = 1
    min_samples = 1

    window: Tensor
    filters: Tensor

    def __init__(self, network: ClapAudioModel) -> None:
        super().__init__()
        if network.config.enable_fusion:
            raise ConfigurationError(f"encoder: expected a CLAP model without fusion. {GET_THEM}")
        self.network = network
        sizes = network.config
        shrinks = 2 ** (len(sizes.depths) - 1)
        self.width = sizes.patch_embeds_hidden_size * shrinks
        self.tokens_per_window = int(network.audio_encoder.patch_embed.grid_size[0] // shrinks) ** 2
        filters = mel_filter_bank(
            num_frequency_bins=FOURIER_POINTS // 2 + 1,
            num_mel_filters=sizes.num_mel_bins,
            min_frequency=LOWEST_HZ,
            max_frequency=HIGHEST_HZ,
            sampling_rate=SAMPLE_RATE_HZ,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(FOURIER_POINTS), persistent=False)

    def train(self, mode: bool = True) -> "Clap":
        super().train(mode)
        # a token of a clip must not depend on the clips beside it, and two processes must not keep two means
        self.network.audio_encoder.batch_norm.eval()
        return self

    def enable_gradient_checkpointing(self) -> None:
        for stage in self.network.audio_encoder.layers:  # they can do it, only the model as a whole does not offer it
            stage.gradient_checkpointing = True
            stage._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def forward(self, waves: Tensor, lengths: Tensor, blocks: Sequence[int]) -> tuple[Tensor, Tensor]:
        features, mask = by_length(waves, lengths, self.width, self._n_tokens, self._hear)
        return torch.cat([features] * len(blocks), dim=-1), mask

    def _n_tokens(self, n_samples: int) -> int:
        return -(-n_samples // WINDOW_SAMPLES) * self.tokens_per_window

    def _hear(self, clips: Tensor) -> Tensor:
        """Return features of clips of one length, shape (n_clips, n_tokens, width)."""
        return torch.cat([self._window(part) for part in clips.split(WINDOW_SAMPLES, dim=1)], dim=1)

    def _window(self, clips: Tensor) -> Tensor:
        times = -(-WINDOW_SAMPLES // clips.shape[1])
        full = clips.repeat(1, times)[:, :WINDOW_SAMPLES]
        heard = self.network(self.spectra(full).unsqueeze(1)).last_hidden_state
        features: Tensor = heard.flatten(2).transpose(1, 2)
        return features

    def spectra(self, clips: Tensor) -> Tensor:
        """Return log mel power in dB, float32, shape (n_clips, 1 + n_samples // HOP_SAMPLES, n_mel_bins)."""
        with torch.autocast("cpu" if clips.is_meta else clips.device.type, enabled=False):
            fourier = torch.stft(
                clips.float(),
                FOURIER_POINTS,
                HOP_SAMPLES,
                window=self.window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )
            power = (fourier.real.square() + fourier.imag.square()).transpose(1, 2)
            return 10 * (power @ self.filters).clamp(min=SMALLEST_POWER).log10()


def load(encoder: recipe.Encoder, seed: int) -> Clap:
    if encoder.weights is None:
        network = draw(ClapAudioModel, ClapAudioConfig, encoder.random or {}, seed)
    else:
        network = read(ClapModel, folder(encoder.weights, GET_THEM), ["clap"], GET_THEM).audio_model
    loaded = Clap(network)
    loaded.eval()
    return loaded
