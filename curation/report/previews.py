"""Small stand-ins for media: a thumbnail of a picture, a short preview of a clip and its mel spectrogram."""

import io
import warnings
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from curation import compiled

if TYPE_CHECKING:
    from pydub import AudioSegment

# The first is a good one; the others keep dense textures within the bytes.
THUMBNAIL_QUALITIES = (82, 70, 55, 40)

PREVIEW_S = 10
PREVIEW_SAMPLE_RATE_HZ = 32_000  # MP3 at this bit rate has nothing above 12 kHz anyway
PREVIEW_BITRATE_BPS = 48_000
FADE_IN_MS, FADE_OUT_MS = 400, 1_200
PEAK_DBFS = -3.0
MAX_GAIN_DB = 9.0  # a quiet piece becomes audible and stays quiet

SPECTROGRAM_WIDTH_PX = 480
SPECTROGRAM_HEIGHT_PX = 96  # one mel band a row
SPECTROGRAM_RANGE_DB = 75.0
SPECTROGRAM_MAX_HZ = 12_000.0  # what the preview can hold
SPECTROGRAM_MAX_BYTES = 30_000  # of noise: 480 x 96 px at 5 bits, and the palette
LEVELS = 32
FFT_SAMPLES = 2048  # 46 ms at 44.1 kHz
# From silence to full scale: ink, aubergine, vermilion, amber, cream. Even in lightness, so that it reads in gray too.
COLORS = ((22, 19, 20), (62, 27, 58), (150, 42, 52), (214, 98, 43), (240, 177, 82), (252, 242, 219))


@dataclass(frozen=True, slots=True)
class Size:
    """How large a thumbnail may be: its longer side, and its file where quality can bring it there."""

    side_px: int
    max_bytes: int


SMALL = Size(240, 20_000)  # noise has 19 kB at the lowest quality, a painting 4 to 19 kB at the highest
LARGE = Size(400, 54_000)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture as a data: URI, with its size."""

    uri: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Sound:
    """A short sound as a data: URI, and what is heard in it.

    Attributes:
        samples: float32 mono, shape (n_samples,), range [-1, 1].
    """

    uri: str
    duration_s: float
    samples: npt.NDArray[np.float32]
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Preview:
    """A short sound and its spectrogram, both as data: URIs, over the same span of the clip."""

    sound_uri: str
    spectrogram_uri: str
    duration_s: float


def thumbnail(picture: bytes, size: Size) -> Thumbnail:
    """Return a picture of a release made small; it is never enlarged."""
    with Image.open(io.BytesIO(picture)) as image:
        image.draft("RGB", (2 * size.side_px, 2 * size.side_px))
        small = image.convert("RGB")
    small.thumbnail((size.side_px, size.side_px), Image.Resampling.LANCZOS)
    for quality in THUMBNAIL_QUALITIES:
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= size.max_bytes:
            break
    return Thumbnail(_data_uri("image/jpeg", out.getvalue()), small.width, small.height)


def sound(clip: bytes) -> Sound:
    """Return the middle of a clip.

    Args:
        clip: a WAV file, PCM 16, as it lies in a release.
    """
    segment = _excerpt(clip)
    samples = np.frombuffer(segment.raw_data, dtype="<i2").astype(np.float32) / 32_768.0
    return Sound(
        _data_uri("audio/mpeg", _mp3(segment)), round(segment.duration_seconds, 2), samples, segment.frame_rate
    )


def preview(clip: bytes) -> Preview:
    """Return a preview of the middle of a clip.

    Args:
        clip: as of `sound`.
    """
    heard = sound(clip)
    picture = spectrogram_png(heard.samples, heard.sample_rate_hz)
    return Preview(heard.uri, _data_uri("image/png", picture), heard.duration_s)


def spectrogram_png(samples: npt.NDArray[np.float32], sample_rate_hz: int) -> bytes:
    """Return a mel spectrogram as a PNG: time to the right, pitch upwards, SPECTROGRAM_RANGE_DB below its loudest spot.

    Args:
        samples: float32 mono, shape (n_samples,), range [-1, 1], at least one.
    """
    compiled.ready()
    from librosa import power_to_db
    from librosa.feature import melspectrogram

    power = melspectrogram(
        y=samples,
        sr=sample_rate_hz,
        n_fft=FFT_SAMPLES,
        hop_length=max(1, -(-len(samples) // SPECTROGRAM_WIDTH_PX)),
        n_mels=SPECTROGRAM_HEIGHT_PX,
        fmin=30.0,
        fmax=min(SPECTROGRAM_MAX_HZ, sample_rate_hz / 2),
    )
    decibels = power_to_db(power, ref=max(float(power.max()), 1e-10), top_db=SPECTROGRAM_RANGE_DB)
    # Few levels hide the last bits of a float sum, which differ between processors, and make a small file.
    levels = np.clip(np.rint((decibels / SPECTROGRAM_RANGE_DB + 1) * (LEVELS - 1)), 0, LEVELS - 1)
    image = Image.fromarray(levels[::-1].astype(np.uint8))
    image.putpalette(_palette())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _palette() -> bytes:
    stops = np.linspace(0.0, 1.0, len(COLORS))
    levels = np.linspace(0.0, 1.0, LEVELS)
    channels = [np.interp(levels, stops, channel) for channel in np.asarray(COLORS, dtype=float).T]
    return bytes(np.rint(np.stack(channels, axis=1)).astype(np.uint8).ravel())


def _excerpt(clip: bytes) -> "AudioSegment":
    """Return the middle PREVIEW_S of a clip, mono, faded, its peak at PEAK_DBFS if MAX_GAIN_DB reaches it."""
    with warnings.catch_warnings():
        # pydub looks for ffmpeg on the PATH as it is imported and warns; _mp3 names the binary. Its own source has
        # escapes that newer Pythons warn of, and it needs audioop.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
    segment = AudioSegment(clip)
    start_ms = max(0, (len(segment) - 1000 * PREVIEW_S) // 2)
    segment = segment[start_ms : start_ms + 1000 * PREVIEW_S].set_channels(1)
    segment = segment.apply_gain(min(PEAK_DBFS - segment.max_dBFS, MAX_GAIN_DB))
    return segment.fade_in(min(FADE_IN_MS, len(segment))).fade_out(min(FADE_OUT_MS, len(segment)))


def _mp3(segment: "AudioSegment") -> bytes:
    from imageio_ffmpeg import get_ffmpeg_exe

    segment.converter = get_ffmpeg_exe()  # of this segment only: the class would keep it for everybody
    # Nothing but frames of one size: no tag with a version, no header, the same bytes each time. ffmpeg resamples,
    # because pydub's own way folds high tones down.
    bare = ["-map_metadata", "-1", "-id3v2_version", "0", "-write_xing", "0", "-fflags", "+bitexact"]
    exact = ["-flags:a", "+bitexact", "-threads", "1", "-ar", str(PREVIEW_SAMPLE_RATE_HZ)]
    out = segment.export(
        io.BytesIO(), format="mp3", codec="libmp3lame", bitrate=str(PREVIEW_BITRATE_BPS), parameters=[*bare, *exact]
    )
    content: bytes = out.getvalue()
    return content


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"
