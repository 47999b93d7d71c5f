"""Log mel spectra as Kaldi computes them: what BEATs and AST were trained on.

Windows of 25 ms each 10 ms, the constant part removed, preemphasis, 512 points of Fourier, 128 mel filters from 20 Hz
to half the rate, no dither, only whole windows. Equal to `torchaudio.compliance.kaldi.fbank` with those settings.
Reference: Povey et al. 2011, The Kaldi Speech Recognition Toolkit (src/feat of https://github.com/kaldi-asr/kaldi).
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
FOURIER_POINTS = 512  # the next power of two
MEL_BINS = 128
LOWEST_HZ = 20.0
PREEMPHASIS = 0.97
POVEY_POWER = 0.85  # of a Hann window
SMALLEST_ENERGY = torch.finfo(torch.float32).eps  # Kaldi's floor under the logarithm


class FilterBank(nn.Module):
    """Waveform -> normalized log mel energies; differentiable, in float32 also where autocast is on."""

    window: Tensor
    filters: Tensor

    def __init__(self, window: Literal["povey", "hann"], full_scale: float, mean: float, deviation: float) -> None:
        """Choose what a published network was trained with.

        Args:
            window: what a window of samples is multiplied with.
            full_scale: what a sample of 1.0 becomes.
            mean: of the log energies, which becomes 0.
            deviation: of the log energies; twice that becomes 1.
        """
        super().__init__()
        self.full_scale, self.mean, self.deviation = full_scale, mean, deviation
        shape = torch.hann_window(WINDOW_SAMPLES, periodic=False)
        self.register_buffer("window", shape.pow(POVEY_POWER) if window == "povey" else shape, persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """Return normalized log mel energies, float32, shape (n_clips, frames(n_samples), MEL_BINS).

        Args:
            waves: float32, shape (n_clips, n_samples) at SAMPLE_RATE_HZ, range [-1, 1], at least WINDOW_SAMPLES.
        """
        device = "cpu" if waves.is_meta else waves.device.type  # there is no autocast on the meta device
        with torch.autocast(device, enabled=False):
            windows = (waves.float() * self.full_scale).unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES)
            windows = windows - windows.mean(dim=-1, keepdim=True)
            before = torch.cat([windows[..., :1], windows[..., :-1]], dim=-1)
            spectra = torch.fft.rfft((windows - PREEMPHASIS * before) * self.window, n=FOURIER_POINTS)
            power = spectra.real.square() + spectra.imag.square()
            energies = (power @ self.filters).clamp(min=SMALLEST_ENERGY).log()
            return (energies - self.mean) / (2 * self.deviation)

    def normalized(self, energy: float) -> float:
        """Return what a log energy becomes."""
        return (energy - self.mean) / (2 * self.deviation)


def frames(n_samples: int) -> int:
    """Return the number of whole windows."""
    return max(0, 1 + (n_samples - WINDOW_SAMPLES) // HOP_SAMPLES)


def frames_of(lengths: Tensor) -> Tensor:
    """Return the number of whole windows of each clip, int64, shape (n_clips,)."""
    return (1 + (lengths - WINDOW_SAMPLES).div(HOP_SAMPLES, rounding_mode="floor")).clamp(min=0)


def mel_filters() -> Tensor:
    """Return triangles of height 1 on the mel scale, float32, shape (FOURIER_POINTS // 2 + 1, MEL_BINS).

    In float32 throughout, as torchaudio: the lowest filters hold one point of Fourier each or none, close to an edge,
    and there the rounding shows.
    """
    lowest, highest = (1127 * math.log(1 + hertz / 700) for hertz in (LOWEST_HZ, SAMPLE_RATE_HZ / 2))
    step = (highest - lowest) / (MEL_BINS + 1)
    number = torch.arange(MEL_BINS)
    left, center, right = (lowest + (number + shift) * step for shift in (0, 1, 2))
    hertz = SAMPLE_RATE_HZ / FOURIER_POINTS * torch.arange(FOURIER_POINTS // 2)
    mel = 1127 * (1 + hertz / 700).log()[:, None]
    rising, falling = (mel - left) / (center - left), (right - mel) / (right - center)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return nn.functional.pad(triangles, (0, 0, 0, 1))  # half the rate is in none
