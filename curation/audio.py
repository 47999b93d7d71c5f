"""Recordings: what is measured of each, and its clips as WAV files, cut by sample count from one ffmpeg process."""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curation import music_features
from curation.decoder import SAMPLE_BYTES, Decoder, DecoderEnded, ffmpeg_version
from curation.errors import ItemError
from rules.schema import AudioSettings

VERSION = 1  # raise it when `measure` or `cut` give other results for the same input

MAX_DURATION_S = 4 * 3600  # an opera fits; decoding stops here
BLOCK_S = 0.1  # silence is judged by blocks of this length
CHUNK_BLOCKS = 50  # blocks read at a time
WAV_HEADER_BYTES = 44
FULL_SCALE = 32_768
TRIES = 3  # of a recording whose decoder something outside ended, before whoever runs the batch hears of it
CLIPPED_RUN = 3  # a peak may touch full scale for a sample or two; a flat top is a clipped one

T = TypeVar("T")
Samples = npt.NDArray[np.int16]  # shape (frames, channels)


@dataclass(frozen=True, slots=True)
class Window:
    """One clip that could be cut: the columns of schemas.WINDOW."""

    start_sample: int
    loudness_lufs: float | None  # None where nothing is above the gate
    peak_dbfs: float | None  # None for digital silence
    silence_share: float
    clipped_share: float
    tempo_bpm: float | None  # this and the next two: None where every block is silent
    key: str | None
    onset_rate_hz: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """A recording: its fingerprint is chromaprint's raw items, little-endian uint32."""

    duration_s: float
    fingerprint: bytes
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording's length in frames at the rate that was asked for, and its fingerprint as in Measured."""

    frames: int
    fingerprint: bytes


def measure(path: Path, settings: AudioSettings) -> Measured:
    """Return the length, the fingerprint and the windows of a recording, decoded once in bounded memory.

    Windows are listed whatever their numbers say; only those that lie wholly in trailing silence are not. A recording
    that is silent throughout has one window, its last, so that there is something to reject.

    Raises:
        ItemError: "undecodable_audio", "no_audio", "too_short" or "too_long".
        DecoderEnded: something outside ended the decoder, again and again.
    """
    return _undisturbed(lambda: _measure(path, settings))


def _measure(path: Path, settings: AudioSettings) -> Measured:
    with Decoder(path, settings.sample_rate_hz, settings.channels, with_fingerprint=True) as decoder:
        chunks = decoder.chunks(CHUNK_BLOCKS * _block_frames(settings), MAX_DURATION_S)
        found = [_facts(start, samples, settings) for start, samples in windows(chunks, settings)]
        while len(found) > 1 and found[-1].silence_share == 1:
            found.pop()
        return Measured(round(decoder.frames / settings.sample_rate_hz, 3), decoder.fingerprint(), found)


def listen(path: Path, settings: AudioSettings) -> Heard:
    """Return what tells a recording from others, decoded once; the tempo and the like take most of `measure`'s time.

    Raises:
        ItemError: "undecodable_audio", "no_audio" or "too_long".
        DecoderEnded: as `measure`.
    """
    return _undisturbed(lambda: _listen(path, settings))


def _listen(path: Path, settings: AudioSettings) -> Heard:
    with Decoder(path, settings.sample_rate_hz, settings.channels, with_fingerprint=True) as decoder:
        deque(decoder.chunks(CHUNK_BLOCKS * _block_frames(settings), MAX_DURATION_S), maxlen=0)  # reads it to its end
        return Heard(decoder.frames, decoder.fingerprint())


def cut(path: Path, settings: AudioSettings, starts: Sequence[int]) -> Iterator[bytes]:
    """Yield the clip at each start as a whole WAV file: PCM 16, exactly `clip_s` long, the samples that `measure` saw.

    One decoder process serves all clips; it starts with the first and is ended when the iterator is closed.

    Args:
        starts: first frames, ascending, at `settings.sample_rate_hz`; clips may overlap.

    Raises:
        ValueError: `starts` are negative or descend.
        ItemError: "undecodable_audio" if the recording ends before a clip does.
        DecoderEnded: something outside ended the decoder.
    """
    wanted = tuple(starts)
    if any(start < 0 for start in wanted[:1]) or any(a > b for a, b in zip(wanted, wanted[1:], strict=False)):
        raise ValueError(f"starts must ascend from 0 or more: {wanted}")
    return _cut(path, settings, wanted)


def _cut(path: Path, settings: AudioSettings, starts: tuple[int, ...]) -> Iterator[bytes]:
    if not starts:
        return
    frame_bytes = settings.channels * SAMPLE_BYTES
    size = _clip_frames(settings) * frame_bytes
    clip = bytearray(WAV_HEADER_BYTES + size)
    clip[:WAV_HEADER_BYTES] = _wav_header(settings, size)
    samples = memoryview(clip)[WAV_HEADER_BYTES:]
    with Decoder(path, settings.sample_rate_hz, settings.channels) as decoder:
        read = 0  # bytes of the recording
        for start in (frame * frame_bytes for frame in starts):
            shared = max(0, read - start)  # the end of the clip before is the beginning of this one
            samples[:shared] = bytes(samples[size - shared :])
            skipped = max(0, start - read)
            if decoder.skip(skipped) < skipped or decoder.fill(samples[shared:]) < size - shared:
                decoder.finish()
                raise ItemError("undecodable_audio", f"ends before the clip at frame {start // frame_bytes} does")
            read = start + size
            yield bytes(clip)


def _undisturbed(work: Callable[[], T]) -> T:
    """Decode once more where something outside ended the decoder: a batch of hundreds need not begin anew."""
    for _ in range(TRIES - 1):
        with suppress(DecoderEnded):
            return work()
    return work()


def windows(chunks: Iterable[Samples], settings: AudioSettings) -> Iterator[tuple[int, Samples]]:
    """Yield the first frame and the samples of each window, in order and without a gap.

    The first begins with the first audible block, or as much earlier as one full clip needs.

    Args:
        chunks: int16 of shape (frames, channels); all but the last hold a whole number of 100-ms blocks.

    Raises:
        ItemError: "too_short" if not even one clip fits.
    """
    clip_frames, block_frames = _clip_frames(settings), _block_frames(settings)
    held: Samples = np.empty((0, settings.channels), np.int16)  # the silence so far, then what follows the last window
    end = 0  # of what was read
    is_leading, is_empty = True, True
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        end += len(chunk)
        if is_leading:
            audible = np.flatnonzero(~_silent_blocks(chunk, block_frames, settings.silence_dbfs))
            is_leading = not audible.size
            skip = len(held) - len(chunk) + (len(chunk) if is_leading else int(audible[0]) * block_frames)
            lead, held = held[max(0, skip - clip_frames) : skip], held[skip:]
            if is_leading:
                held = lead
                continue
        while len(held) >= clip_frames:
            yield end - len(held), held[:clip_frames]
            held, is_empty = held[clip_frames:], False
    if is_empty:
        if end < clip_frames:
            wanted = f"a clip has {settings.clip_s:g} s"
            raise ItemError("too_short", f"{end / settings.sample_rate_hz:.3f} s; {wanted}")
        if not is_leading:
            held = np.concatenate([lead, held])
        yield end - clip_frames, held[-clip_frames:]


def decoder_version() -> str:
    """Return what the measurements and the clips depend on beside this code."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("librosa", "pyloudnorm", "soxr"))
    return f"{ffmpeg_version()}; {libraries}"


def _facts(start: int, samples: Samples, settings: AudioSettings) -> Window:
    silence_share = float(_silent_blocks(samples, _block_frames(settings), settings.silence_dbfs).mean())
    peak_dbfs = _peak_dbfs(samples)
    loudness_lufs, tempo_bpm, key, onset_rate_hz = None, None, None, None
    if peak_dbfs is not None:
        scaled = samples.astype(np.float32) / np.float32(FULL_SCALE)
        loudness_lufs = music_features.loudness_lufs(scaled, settings.sample_rate_hz)
        if silence_share < 1:
            tempo_bpm, key, onset_rate_hz = music_features.describe(scaled, settings.sample_rate_hz)
    return Window(
        start_sample=start,
        loudness_lufs=loudness_lufs,
        peak_dbfs=peak_dbfs,
        silence_share=round(silence_share, 4),
        clipped_share=round(_clipped_share(samples), 6),
        tempo_bpm=tempo_bpm,
        key=key,
        onset_rate_hz=onset_rate_hz,
    )


def _silent_blocks(samples: Samples, block_frames: int, silence_dbfs: float) -> npt.NDArray[np.bool_]:
    """Tell for each block, the shorter last one included, whether its RMS over all channels is below the threshold.

    Sums of squares of 16-bit samples are exact in float64, so that no order of adding can move a block over the edge.
    """
    starts = np.arange(0, samples.size, block_frames * samples.shape[1])
    sums = np.add.reduceat(np.square(samples.reshape(-1), dtype=np.float64), starts)
    sizes = np.diff(np.append(starts, samples.size))
    silent: npt.NDArray[np.bool_] = sums < sizes * (FULL_SCALE * 10 ** (silence_dbfs / 20)) ** 2
    return silent


def _peak_dbfs(samples: Samples) -> float | None:
    peak = max(int(samples.max()), -int(samples.min()))  # abs(-32768) has no room in 16 bits
    return round(float(20 * np.log10(peak / FULL_SCALE)), 2) + 0.0 if peak else None  # + 0.0: never "-0.0"


def _clipped_share(samples: Samples) -> float:
    """Return the share of samples in runs of at least three at the same end of the scale, within a channel."""
    clipped = 0
    for is_full in (samples >= FULL_SCALE - 1, samples <= 1 - FULL_SCALE):
        if is_full.any():
            run = is_full[:-2] & is_full[1:-1] & is_full[2:]
            member = np.zeros_like(is_full)
            for offset in range(CLIPPED_RUN):
                member[offset : offset + len(run)] |= run
            clipped += int(member.sum())
    return clipped / samples.size


def _clip_frames(settings: AudioSettings) -> int:
    return round(settings.clip_s * settings.sample_rate_hz)


def _block_frames(settings: AudioSettings) -> int:
    return round(BLOCK_S * settings.sample_rate_hz)


def _wav_header(settings: AudioSettings, size_bytes: int) -> bytes:
    """Return RIFF, fmt (1: PCM) and data chunk headers: the plainest WAV there is (EBU Tech 3285, section 2)."""
    frame_bytes = settings.channels * SAMPLE_BYTES
    rate = settings.sample_rate_hz
    form = struct.pack("<HHIIHH", 1, settings.channels, rate, rate * frame_bytes, frame_bytes, SAMPLE_BYTES * 8)
    riff = struct.pack("<4sI4s4sI", b"RIFF", WAV_HEADER_BYTES - 8 + size_bytes, b"WAVE", b"fmt ", len(form))
    return riff + form + struct.pack("<4sI", b"data", size_bytes)
