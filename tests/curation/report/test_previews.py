"""Thumbnails, previews and spectrograms: small, the same each time, and true to what they stand for."""

import io
import subprocess
import sys
from base64 import b64decode

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from curation.report import previews
from tests.curation.report import synthetic_release as made


def content(uri: str) -> bytes:
    return b64decode(uri.partition(",")[2])


def decoded(uri: str) -> np.ndarray:
    command = [get_ffmpeg_exe(), "-v", "error", "-f", "mp3", "-i", "pipe:", "-f", "s16le", "pipe:"]
    pcm = subprocess.run(command, input=content(uri), capture_output=True, check=True).stdout
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32_768


def test_thumbnail_is_small_and_keeps_the_shape() -> None:
    small = previews.thumbnail(made.gradient(1, 1000, 500), previews.SMALL)
    assert (small.width_px, small.height_px) == (240, 120)
    assert Image.open(io.BytesIO(content(small.uri))).size == (240, 120)


def test_a_small_picture_is_not_enlarged() -> None:
    assert previews.thumbnail(made.gradient(1, 48, 36), previews.LARGE).width_px == 48


@pytest.mark.parametrize("size", [previews.SMALL, previews.LARGE])
def test_even_noise_stays_within_the_bytes(size: previews.Size) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size.side_px, size.side_px, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "JPEG", quality=92)
    assert len(content(previews.thumbnail(picture.getvalue(), size).uri)) <= size.max_bytes


def test_a_preview_is_the_middle_ten_seconds_faded() -> None:
    preview = previews.preview(made.sine(1, 14.0))
    sound = decoded(preview.sound_uri)
    edge = previews.PREVIEW_SAMPLE_RATE_HZ // 20
    assert preview.duration_s == previews.PREVIEW_S
    assert len(sound) / previews.PREVIEW_SAMPLE_RATE_HZ == pytest.approx(previews.PREVIEW_S, abs=0.1)
    assert np.abs(sound[:edge]).max() < 0.3 * np.abs(sound).max()
    assert np.abs(sound[-edge:]).max() < 0.3 * np.abs(sound).max()


def test_a_preview_is_raised_to_the_peak_but_not_by_more_than_the_limit() -> None:
    loud = np.abs(decoded(previews.preview(made.sine(1, 3.0)).sound_uri)).max()  # -12.2 dBFS and 9 dB of gain
    assert 20 * np.log10(loud) == pytest.approx(-12.2 + previews.MAX_GAIN_DB, abs=0.7)


def test_a_short_clip_has_a_short_preview() -> None:
    assert previews.preview(made.sine(1, 0.5)).duration_s == 0.5


def test_the_same_clip_gives_the_same_preview() -> None:
    assert previews.preview(made.sine(2, 2.0)) == previews.preview(made.sine(2, 2.0))


def test_a_preview_of_noise_stays_within_the_bytes() -> None:
    noise = (np.random.default_rng(0).standard_normal(441_000) * 0.3).clip(-1, 1).astype(np.float32)
    assert len(previews.spectrogram_png(noise, 44_100)) <= previews.SPECTROGRAM_MAX_BYTES
    bytes_per_s = previews.PREVIEW_BITRATE_BPS / 8
    sound = content(previews.preview(made.sine(1, 12.0)).sound_uri)
    assert len(sound) <= bytes_per_s * previews.PREVIEW_S * 1.02  # and the encoder's frame of delay


def test_a_spectrogram_shows_high_tones_above_low_ones() -> None:
    time_s = np.arange(44_100) / 44_100
    brightest = []
    for pitch_hz in (200.0, 5_000.0):
        tone = np.sin(2 * np.pi * pitch_hz * time_s).astype(np.float32)
        image = Image.open(io.BytesIO(previews.spectrogram_png(tone, 44_100))).convert("L")
        brightest.append(int(np.asarray(image).mean(axis=1).argmax()))
    assert brightest[1] < brightest[0] - 20


def test_silence_has_a_dark_spectrogram() -> None:
    image = Image.open(io.BytesIO(previews.spectrogram_png(np.zeros(44_100, np.float32), 44_100)))
    assert image.size[1] == previews.SPECTROGRAM_HEIGHT_PX


def test_pydub_is_used_without_its_warning() -> None:
    code = (
        "from tests.curation.report.synthetic_release import sine; from curation.report import previews;"
        "previews._excerpt(sine(1))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env={"PATH": ""})
    assert (done.returncode, done.stderr) == (0, "")
