"""The audio half of CLAP (Wu et al. 2023, arXiv 2211.06687) by transformers: what music sounds like.

It hears 10 s at once, so a clip's vector is the mean of the unit vectors of its windows; the last one and a short clip
are repeated until they fill one, as in its training.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from curation.torch_imports import import_torchvision
from evaluation.features import Features, Wave
from evaluation.features._extracting import STAND_IN, Extracting
from evaluation.features._weights import Published, found, reading
from rules.errors import ConfigurationError
from training import transformers_networks
from training.encoders.clap import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Clap

import_torchvision()
from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapModel  # noqa: E402

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"sounds"})
VERSION = 1
PUBLISHED = (
    Published("CLAP (larger_clap_music)", "laion/larger_clap_music"),
    Published("CLAP (larger_clap_music_and_speech)", "laion/larger_clap_music_and_speech"),
    Published("CLAP (clap-htsat-unfused)", "laion/clap-htsat-unfused"),
)


class _Audio(nn.Module):
    """Windows of 10 s -> unit vectors."""

    def __init__(self, whole: ClapModel | ClapAudioModelWithProjection) -> None:
        super().__init__()
        self.audio_model = whole.audio_model
        self.audio_projection = whole.audio_projection
        self._hearing = [Clap(whole.audio_model)]  # in a list: its weights are those of audio_model

    def forward(self, windows: Tensor) -> Tensor:
        spectra = self._hearing[0].to(windows.device).spectra(windows)
        pooled = self.audio_model(spectra.unsqueeze(1)).pooler_output
        return nn.functional.normalize(self.audio_projection(pooled), dim=1)


class _Extractor(Extracting):
    sample_rate_hz = SAMPLE_RATE_HZ

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> Features:
        def one(wave: Wave) -> Features:
            windows = _windows(self.heard(wave, sample_rate_hz, min_samples=1))
            vectors = self.passed(windows, lambda window: window, self.network)
            mean: Features = vectors.mean(axis=0, keepdims=True)
            return mean

        return self.joined([one(wave) for wave in waves])


def _windows(samples: Tensor) -> list[Tensor]:
    parts = samples.split(WINDOW_SAMPLES)
    return [part.repeat(-(-WINDOW_SAMPLES // len(part)))[:WINDOW_SAMPLES] for part in parts]


def _misfit(sizes: ClapAudioConfig) -> str:
    """Say why a network cannot hear windows of 10 s; nothing if it can."""
    n_frames = 1 + WINDOW_SAMPLES // HOP_SAMPLES
    most = sizes.spec_size * (sizes.spec_size // sizes.num_mel_bins)
    if sizes.enable_fusion:
        return "expected a CLAP model without fusion"
    return f"spec_size: expected one that takes {n_frames} frames at once, not {most}" if most < n_frames else ""


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is None:
        kind, written = ClapAudioModelWithProjection, network.random or {}
        drawn = transformers_networks.draw(kind, ClapAudioConfig, written, "random", seed, "clap")
        if told := _misfit(drawn.config):
            raise ConfigurationError(f"random: {told}")
        return _Extractor(f"{STAND_IN}random CLAP", _Audio(drawn), drawn.config.projection_dim, VERSION)
    weights = found(network, "CLAP", PUBLISHED, transformers_networks.FILES)

    def read() -> ClapModel:
        whole = transformers_networks.read(ClapModel, weights.path, ["clap"])
        if told := _misfit(whole.config.audio_config):
            raise ConfigurationError(f"{weights.path}: {told}")
        return whole

    whole = reading(read, PUBLISHED)
    return _Extractor(weights.name, _Audio(whole), whole.config.projection_dim, VERSION)
