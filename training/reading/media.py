"""Pictures and sounds as the networks take them: decoded, resampled once, cut to one size."""

import errno
import io
import math
import struct
import wave as wav_files
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import soxr
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from curation.decoder import SAMPLE_BYTES, Decoder
from curation.errors import ItemError
from curation.images import DAMAGE, FORMATS, JPEG_DRAFT_GAP, MAX_PIXELS, REDUCING_GAP, UPRIGHT
from rules.errors import ConfigurationError

VERSION = 1  # raise it when the same content gives other samples or pixels: it is part of the keys of the cache

Wave = npt.NDArray[np.int16]
Pixels = npt.NDArray[np.uint8]
Content: TypeAlias = bytes | pa.Buffer

FULL_SCALE = 32_768


@dataclass(frozen=True, slots=True)
class Clip:
    """What a release says of a clip."""

    sample_rate_hz: int
    duration_s: float


def wave(content: Content | None, sample_rate_hz: int, duration_s: float, clip: Clip) -> Wave:
    """Return the beginning of a published clip, shape (round(duration_s * sample_rate_hz),), mono.

    Args:
        content: a WAV file of 16-bit PCM.
        sample_rate_hz: that is wanted.
        clip: what the file has to be.

    Raises:
        ItemError: "undecodable_audio": it is not that, or of another rate or length.
    """
    if content is None:
        raise ItemError("undecodable_audio", "the row has no sound")
    try:
        with wav_files.open(pa.BufferReader(content), "rb") as file:
            rate_hz, channels, frames = file.getframerate(), file.getnchannels(), file.getnframes()
            if file.getsampwidth() != SAMPLE_BYTES:
                raise ItemError("undecodable_audio", f"{8 * file.getsampwidth()} bits: expected 16-bit PCM")
            if rate_hz != clip.sample_rate_hz:
                raise ItemError(
                    "undecodable_audio", f"{rate_hz} Hz: expected {clip.sample_rate_hz}, as the release says"
                )
            if frames != round(clip.duration_s * rate_hz):
                expected = round(clip.duration_s * rate_hz)
                raise ItemError("undecodable_audio", f"{frames:,} samples: expected {expected:,}, as the release says")
            heard = min(frames, math.ceil(duration_s * rate_hz))
            samples = np.frombuffer(file.readframes(heard), "<i2")
    except (wav_files.Error, EOFError, OSError, ValueError, RuntimeError, struct.error) as error:
        raise ItemError("undecodable_audio", f"not WAV: {error or type(error).__name__}") from error
    if len(samples) != heard * channels:
        raise ItemError("undecodable_audio", f"cut off: {len(samples) // channels:,} of {frames:,} samples are there")
    result = mono(samples.reshape(heard, channels), rate_hz, sample_rate_hz)
    return _of_length(result, round(duration_s * sample_rate_hz))


def mono(samples: Wave, rate_hz: int, sample_rate_hz: int) -> Wave:
    """Return the mean of the channels at another rate, by soxr.

    Args:
        samples: shape (n_samples, n_channels), at `rate_hz`.
    """
    # Band by band: numpy's mean over an axis of two takes seven times as long.
    channels = [samples[:, channel].astype(np.float32) for channel in range(samples.shape[1])]
    mean = sum(channels[1:], start=channels[0]) / np.float32(len(channels))
    if rate_hz != sample_rate_hz:
        mean = soxr.resample(mean, rate_hz, sample_rate_hz)
    rounded: Wave = np.rint(mean).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return rounded


def song(path: Path, sample_rate_hz: int, duration_s: float, start_s: float = 0.0) -> tuple[Wave, int]:
    """Return a part of a recording of any format, mono, and how many samples of it there are; behind them are zeros.

    Returns:
        shape (round(duration_s * sample_rate_hz),).

    Raises:
        ConfigurationError: there is no such file.
        ItemError: "undecodable_audio" or "no_audio"; "too_short" if it ends before `start_s`.
    """
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file: expected a recording, such as song.mp3")
    buffer = bytearray(round(duration_s * sample_rate_hz) * SAMPLE_BYTES)
    with Decoder(path, sample_rate_hz, 1) as decoder:
        before = round(start_s * sample_rate_hz) * SAMPLE_BYTES
        skipped = decoder.skip(before)
        got = decoder.fill(memoryview(buffer)) if skipped == before else 0
        if got < len(buffer):
            decoder.finish()
    if not got:
        said = f"it ends before {start_s:g} s" if start_s else "nothing in it can be decoded"
        raise ItemError("too_short" if start_s else "undecodable_audio", said)
    return np.frombuffer(buffer, "<i2"), got // SAMPLE_BYTES


def samples(wave: Wave) -> Tensor:
    """Return what an encoder takes: float32 in [-1, 1], of the same shape."""
    return torch.from_numpy(wave.astype(np.float32) / FULL_SCALE)


def picture(content: Content | None, size_px: int, draw: torch.Generator | None = None) -> Pixels:
    """Return a square of a picture whose shorter side becomes `size_px`: RGB, shape (3, size_px, size_px).

    Args:
        content: a file of one of `curation.images.FORMATS`.
        draw: decides over where along the longer side the square lies; in the middle without it.

    Raises:
        ItemError: "undecodable_image" or "too_many_pixels".
    """
    if content is None:
        raise ItemError("undecodable_image", "the row has no picture")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ItemError("too_many_pixels", f"{image.width:,} x {image.height:,} px")
            decoded = _resized(image, size_px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # whatever warnings count as
        raise ItemError("too_many_pixels", f"at most {MAX_PIXELS:,} px are decoded") from error
    except UnidentifiedImageError as error:
        raise ItemError("undecodable_image", f"not even the header of {', '.join(FORMATS)}") from error
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ItemError("undecodable_image", str(error) or type(error).__name__) from error
    room_x, room_y = decoded.width - size_px, decoded.height - size_px
    left, top = (_place(room, draw) for room in (room_x, room_y))
    pixels = np.asarray(decoded.crop((left, top, left + size_px, top + size_px)))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _resized(image: Image.Image, size_px: int) -> Image.Image:
    """Return an opened picture upright, in RGB on white, its shorter side `size_px`."""
    scale = size_px / min(image.size)
    size = (max(size_px, round(image.width * scale)), max(size_px, round(image.height * scale)))
    if size[0] * size[1] > MAX_PIXELS:  # a line of few pixels becomes one of many
        raise ItemError("too_many_pixels", f"{image.width:,} x {image.height:,} px become {size[0]:,} x {size[1]:,}")
    image.draft(None, (int(size[0] * JPEG_DRAFT_GAP), int(size[1] * JPEG_DRAFT_GAP)))  # JPEG only
    image.load()
    orientation = _orientation(image)
    rgb = _in_rgb(image)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    return rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb


def _orientation(image: Image.Image) -> int:
    """Return what EXIF says of a loaded picture, 1 where it says nothing that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:
        return 1


def _in_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return white
    return image.convert("RGB")


def _place(room_px: int, draw: torch.Generator | None) -> int:
    if draw is None:
        return room_px // 2
    return int(torch.randint(room_px + 1, (1,), generator=draw))


def _of_length(wave: Wave, count: int) -> Wave:
    """Cut or fill up the sample by which rounding may differ."""
    return wave[:count] if len(wave) >= count else np.pad(wave, (0, count - len(wave)))
