"""Wav2CLIP (Wu et al. 2021, arXiv 2110.11499): a clip as a vector in the space of CLIP ViT-B/32.

A ResNet-18 over the log spectrogram of 16 kHz audio and two linear layers that bring it into CLIP's space. Names and
shapes are those of the published file, so it loads as it is. A clip is heard whole, and alone: its spectrogram is
normalized by its own mean and deviation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from evaluation.features import Features, Wave
from evaluation.features._extracting import STAND_IN, Extracting
from evaluation.features._weights import Published, found, reading
from rules.errors import ConfigurationError
from training.weights import content_of, differences, seeded
from training.written_settings import validated

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"sounds"})
VERSION = 1
# Of the authors' package wav2clip 0.1.0, like the numbers below.
PUBLISHED = (
    Published(
        "Wav2CLIP", "https://github.com/descriptinc/lyrebird-wav2clip/releases/download/v0.1.0-alpha/Wav2CLIP.pt"
    ),
)
SAMPLE_RATE_HZ = 16_000
FOURIER_POINTS, HOP_SAMPLES = 512, 353
SMALLEST_POWER, SMALLEST_DEVIATION = 1e-7, 1e-9
MIN_SAMPLES = FOURIER_POINTS // 2 + 1  # half a window is mirrored at either end
BLOCKS_OF_STAGE, STAGES = 2, 4  # of a ResNet-18 (He et al. 2015, arXiv 1512.03385)
PARTS = ("audio_encoder.", "audio_transform.")  # beside them the file has what was needed in its training alone


class Sizes(BaseModel):
    """Sizes of a network; those of the published one if nothing is said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Annotated[int, Field(ge=1, description="channels of the first stage; a vector has eight times as many")] = 64


class Spectrogram(nn.Module):
    """Waves -> normalized log power, each clip by itself, shape (n_clips, 1, n_frequencies, n_frames)."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FOURIER_POINTS))

    def forward(self, waves: Tensor) -> Tensor:
        power = self.power(waves).add(SMALLEST_POWER).log().flatten(1)
        # All in one, as the authors do it, the clips of a batch would share mean and deviation.
        deviation, mean = torch.std_mean(power, dim=1, keepdim=True)
        normalized = (power - mean) / (deviation + SMALLEST_DEVIATION)
        return normalized.view(len(waves), 1, FOURIER_POINTS // 2 + 1, -1)

    def power(self, waves: Tensor) -> Tensor:
        """Return power, shape (n_clips, FOURIER_POINTS // 2 + 1, 1 + n_samples // HOP_SAMPLES)."""
        fourier = torch.stft(
            waves, FOURIER_POINTS, HOP_SAMPLES, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        return fourier.real.square() + fourier.imag.square()


class Block(nn.Module):
    """Two convolutions, and what enters them added to what they give."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        inside = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        beside = x if self.downsample is None else self.downsample(x)
        summed: Tensor = inside + beside
        return summed.relu()


class Encoder(nn.Module):
    """Waves -> the mean over time and frequency of the last stage, shape (n_clips, 8 * width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        self.conv1 = nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage in range(STAGES):
            n_in, n_out = width * 2 ** max(0, stage - 1), width * 2**stage
            first = Block(n_in, n_out, stride=2 if stage else 1)
            rest = [Block(n_out, n_out, stride=1) for _ in range(BLOCKS_OF_STAGE - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))

    def forward(self, waves: Tensor) -> Tensor:
        x = self.pool(self.bn1(self.conv1(self.spectrogram(waves))).relu())
        for stage in range(STAGES):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean(dim=(2, 3))


class Transform(nn.Module):
    """A vector of the encoder -> one in CLIP's space."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # In training there is dropout between the two; the number of the second counts it.
        self.sequential = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Identity(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        transformed: Tensor = self.sequential(x)
        return transformed


class Wav2Clip(nn.Module):
    """Waves, float32 in [-1, 1), shape (n_clips, n_samples) -> vectors, shape (n_clips, 8 * width)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width * 2 ** (STAGES - 1)
        self.audio_encoder = Encoder(sizes.width)
        self.audio_transform = Transform(width)
        self.width = width

    def forward(self, waves: Tensor) -> Tensor:
        transformed: Tensor = self.audio_transform(self.audio_encoder(waves))
        return transformed


class _Extractor(Extracting):
    sample_rate_hz = SAMPLE_RATE_HZ

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> Features:
        def one(wave: Wave) -> Features:
            heard = self.heard(wave, sample_rate_hz, MIN_SAMPLES)
            return self.passed([heard], lambda clip: clip, self.network)  # clips differ in their lengths

        return self.joined([one(wave) for wave in waves])


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is None:
        sizes = validated(Sizes, network.random or {}, "random")
        with seeded(seed, "wav2clip"):
            drawn = Wav2Clip(sizes)
        return _Extractor(f"{STAND_IN}random Wav2CLIP", drawn, drawn.width, VERSION)
    weights = found(network, "Wav2CLIP", PUBLISHED, files=())
    read = reading(lambda: _read(weights.path), PUBLISHED)
    return _Extractor(weights.name, read, read.width, VERSION)


def _read(path: Path) -> Wav2Clip:
    """Read a published file.

    Raises:
        ConfigurationError: it is missing, damaged or not of Wav2CLIP.
    """
    content = content_of(path)
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ConfigurationError(f"{path}: it is not of Wav2CLIP: expected weights by their names")
    weights = {name: weight for name, weight in content.items() if name.startswith(PARTS)}
    first = getattr(weights.get("audio_encoder.conv1.weight"), "shape", ())
    network = Wav2Clip(Sizes(width=first[0] if first else 64))
    if told := differences(network, weights):
        raise ConfigurationError(f"{path}: it is not of Wav2CLIP: {told}")
    window = network.audio_encoder.spectrogram.window
    if not torch.allclose(weights["audio_encoder.spectrogram.window"], window, atol=1e-4):
        raise ConfigurationError(f"{path}: its window is not that of Hann: it hears other spectrograms than Wav2CLIP")
    network.load_state_dict(weights)
    return network
