"""AST, the Audio Spectrogram Transformer (Gong et al. 2021, arXiv 2104.01778), as transformers has it.

It hears 1,024 frames (10.24 s) at once, in patches of 16 x 16 that overlap; a longer clip is heard in windows of that
length, each by itself. It cannot leave padding out: behind the end of a clip it hears frames of zeros, as in its
training; patches with any of these do not count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from curation.torch_imports import import_torchvision
from training import recipe
from training.encoders._filter_bank import HOP_SAMPLES, MEL_BINS, SAMPLE_RATE_HZ, WINDOW_SAMPLES, FilterBank, frames
from training.encoders._transformers import by_length, draw, folder, read

import_torchvision()
from transformers import ASTConfig, ASTModel  # noqa: E402

MEAN, DEVIATION = -4.2677393, 4.5689974  # of log energies in AudioSet, as the published models have them
SPECIAL_TOKENS = 2  # class and distillation, which stand for no sound
GET_THEM = "One is https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593."


class Ast(nn.Module):
    """Waveform -> outputs of blocks; see `training.encoders.Encoder`."""

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, network: ASTModel) -> None:
        super().__init__()
        self.network = network
        self.sizes = network.config
        self.width, self.n_blocks = self.sizes.hidden_size, self.sizes.num_hidden_layers
        self.min_samples = WINDOW_SAMPLES + (self.sizes.patch_size - 1) * HOP_SAMPLES
        self._rows = int((MEL_BINS - self.sizes.patch_size) // self.sizes.frequency_stride + 1)
        self.filter_bank = FilterBank("hann", 1.0, MEAN, DEVIATION)

    def enable_gradient_checkpointing(self) -> None:
        self.network.activation_checkpointing_enable()

    def forward(self, waves: Tensor, lengths: Tensor, blocks: Sequence[int]) -> tuple[Tensor, Tensor]:
        width = len(blocks) * self.width
        return by_length(waves, lengths, width, self._n_tokens, lambda clips: self._hear(clips, blocks))

    def _n_tokens(self, n_samples: int) -> int:
        """Return the number of patches that are made of a clip's own frames."""
        whole, rest = divmod(frames(n_samples), self.sizes.max_length)
        return int(whole * self._steps(self.sizes.max_length) + self._steps(rest)) * self._rows

    def _steps(self, n_frames: int) -> int:
        return max(0, int((n_frames - self.sizes.patch_size) // self.sizes.time_stride + 1))

    def _hear(self, clips: Tensor, blocks: Sequence[int]) -> Tensor:
        """Return features of clips of one length, shape (n_clips, n_tokens, width), in order of time."""
        spectra = self.filter_bank(clips)
        heard = [self._window(part, blocks) for part in spectra.split(self.sizes.max_length, dim=1)]
        return torch.cat(heard, dim=1)

    def _window(self, spectra: Tensor, blocks: Sequence[int]) -> Tensor:
        """Return features of at most as many frames as are heard at once."""
        steps = self._steps(spectra.shape[1])
        if steps == 0:
            return spectra.new_zeros(len(spectra), 0, len(blocks) * self.width)
        missing = self.sizes.max_length - spectra.shape[1]
        padded = nn.functional.pad(spectra, (0, 0, 0, missing), value=self.filter_bank.normalized(0.0))
        states = self.network(padded, output_hidden_states=True).hidden_states
        joined = torch.cat([states[block] for block in blocks], dim=-1)[:, SPECIAL_TOKENS:]
        in_time = joined.unflatten(1, (self._rows, -1)).transpose(1, 2)  # they are listed row after row
        return in_time[:, :steps].flatten(1, 2)


def load(encoder: recipe.Encoder, seed: int) -> Ast:
    if encoder.weights is None:
        network = draw(ASTModel, ASTConfig, encoder.random or {}, seed)
    else:
        network = read(ASTModel, folder(encoder.weights, GET_THEM), ["audio-spectrogram-transformer"], GET_THEM)
    loaded = Ast(network)
    loaded.eval()
    return loaded
