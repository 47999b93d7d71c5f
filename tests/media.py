"""Small recordings, made when they are needed: waveforms by numpy, any container by ffmpeg."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

RATE_HZ = 44_100

Waveform = npt.NDArray[np.float64]  # mono, range [-1, 1]


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def silence(duration_s: float) -> Waveform:
    return np.zeros(round(duration_s * RATE_HZ))


def sine(duration_s: float, frequency_hz: float = 440.0, amplitude: float = 0.5) -> Waveform:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def noise(duration_s: float, seed: int = 0, amplitude: float = 0.1) -> Waveform:
    return np.random.default_rng(seed).normal(0, amplitude, round(duration_s * RATE_HZ)).clip(-1, 1)


def clicks(duration_s: float, beats_per_minute: float) -> Waveform:
    track = silence(duration_s)
    click = sine(0.03, 1_000) * np.linspace(1, 0, round(0.03 * RATE_HZ))
    for beat_s in np.arange(0.5, duration_s - 0.1, 60 / beats_per_minute):
        first = round(beat_s * RATE_HZ)
        track[first : first + len(click)] += click
    return track


def tune(
    duration_s: float, seed: int = 0, note_s: float = 0.25, scale: tuple[int, ...] = (0, 2, 4, 5, 7, 9, 11)
) -> Waveform:
    """Notes of a scale on C, drawn at random: the same seed gives the same tune."""
    draws = np.random.default_rng(seed).choice(scale, round(duration_s / note_s))
    decay = np.linspace(1, 0.2, round(note_s * RATE_HZ))
    notes = [
        sine(note_s, 261.626 * 2 ** (step / 12), 0.3) + sine(note_s, 523.251 * 2 ** (step / 12), 0.1) for step in draws
    ]
    return np.concatenate([note * decay for note in notes])


def encode(path: Path, waveform: Waveform, *options: str, rate_hz: int = RATE_HZ, channels: int = 2) -> Path:
    """Write a mono waveform by ffmpeg, which takes the container from the name of the file.

    Args:
        options: of the output, before its name.
    """
    pcm = np.round(waveform * 32767).astype("<i2").repeat(channels)
    source = ["-f", "s16le", "-ar", str(rate_hz), "-ac", str(channels), "-i", "pipe:0"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, *options, "-y", str(path)]
    subprocess.run(command, input=pcm.tobytes(), check=True)
    return path
