import io
import subprocess
import sys
import wave
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import audio
from curation.errors import ItemError
from rules.schema import AudioSettings
from tests import media

SETTINGS = AudioSettings()
SHORT = AudioSettings(clip_s=1.0)
TINY = AudioSettings(sample_rate_hz=8_000, channels=1, clip_s=0.5)
CLIP_FRAMES = 1_323_000


def frames_of(clip: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(clip)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    tone = np.concatenate([media.silence(2.5), media.tune(66, seed=1)])
    return media.encode(tmp_path_factory.mktemp("audio") / "x.m4a", tone)


@pytest.fixture(scope="module")
def whole(recording) -> np.ndarray:
    """An independent decode of the recording, with none of our options; shape (frames, 2)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", recording, "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<i2").reshape(-1, 2)


# What measure finds


def test_windows_are_whole_clips_from_the_first_sound_on(recording):
    measured = audio.measure(recording, SETTINGS)
    assert [window.start_sample for window in measured.windows] == [110_250, 110_250 + CLIP_FRAMES]
    assert measured.duration_s == pytest.approx(68.5, abs=0.05)


def test_same_recording_gives_the_same_measurements(recording):
    assert audio.measure(recording, SETTINGS) == audio.measure(recording, SETTINGS)


def test_window_in_trailing_silence_is_not_listed(tmp_path):
    path = media.encode(tmp_path / "x.flac", np.concatenate([media.sine(1.5), media.silence(5)]))
    assert [window.start_sample for window in audio.measure(path, SHORT).windows] == [0, 44_100]


def test_silence_within_a_recording_is_listed_with_its_share(tmp_path):
    parts = [media.sine(1), media.silence(1), media.sine(0.5), media.silence(0.5)]
    path = media.encode(tmp_path / "x.flac", np.concatenate(parts))
    assert [window.silence_share for window in audio.measure(path, SHORT).windows] == [0, 1, 0.5]


def test_short_recording_keeps_as_little_leading_silence_as_a_clip_needs(tmp_path):
    path = media.encode(tmp_path / "x.flac", np.concatenate([media.silence(0.8), media.sine(0.6)]))
    (window,) = audio.measure(path, SHORT).windows
    assert window.start_sample == round(0.4 * 44_100)
    assert window.silence_share == 0.4


def test_silent_recording_has_one_window_without_music(tmp_path):
    path = media.encode(tmp_path / "x.flac", media.silence(3.2))
    (window,) = audio.measure(path, SHORT).windows
    assert (window.silence_share, window.loudness_lufs, window.peak_dbfs) == (1, None, None)
    assert (window.tempo_bpm, window.key, window.onset_rate_hz) == (None, None, None)


def test_loudness_and_peak_of_a_sine(tmp_path):
    """At 997 Hz the K filter makes up for the constant of the formula; two channels make up for a sine's 3 dB."""
    path = media.encode(tmp_path / "x.flac", media.sine(5, 997, 0.1))
    window = audio.measure(path, AudioSettings(clip_s=5.0)).windows[0]
    assert window.loudness_lufs == pytest.approx(-20, abs=0.1)
    assert window.peak_dbfs == -20


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_is_as_loud_as_stereo_of_the_same_samples(tmp_path, channels):
    path = media.encode(tmp_path / "x.wav", media.sine(1, 997, 0.1), channels=channels)
    assert audio.measure(path, SHORT).windows[0].peak_dbfs == -20


def test_hard_clipping_is_measured_and_a_touch_of_full_scale_is_not(tmp_path):
    clipped = media.encode(tmp_path / "clipped.wav", media.sine(1, 441, 4.0).clip(-1, 1))
    touching = media.encode(tmp_path / "touching.wav", media.sine(1, 441, 1.0))
    # |4 sin x| is above 1 for 1 - 2/pi arcsin(1/4) of the time
    assert audio.measure(clipped, SHORT).windows[0].clipped_share == pytest.approx(0.839, abs=0.02)
    assert audio.measure(touching, SHORT).windows[0].clipped_share == 0


@pytest.mark.parametrize("beats_per_minute", [90, 120, 160])
def test_tempo_and_onsets_of_a_click_track(tmp_path, beats_per_minute):
    path = media.encode(tmp_path / "x.flac", media.clicks(20, beats_per_minute))
    window = audio.measure(path, AudioSettings(clip_s=15.0)).windows[0]
    assert window.tempo_bpm == pytest.approx(beats_per_minute, rel=0.05)
    assert window.onset_rate_hz == pytest.approx(beats_per_minute / 60, rel=0.1)


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ((0, 4, 7, 12, 0, 4, 7, 2, 5, 9, 11), "C major"),
        ((9, 12, 16, 9, 12, 16, 11, 14, 17), "A minor"),
        ((7, 11, 14, 7, 11, 14, 9, 12, 18), "G major"),
    ],
)
def test_key_of_a_scale(tmp_path, steps, name):
    path = media.encode(tmp_path / "x.flac", media.tune(10, scale=steps))
    assert audio.measure(path, AudioSettings(clip_s=10.0)).windows[0].key == name


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """In fresh processes; 2 hours held would be 115 MB at this rate, in 16 bits."""
    script = (
        "import sys; from pathlib import Path; from resource import *\n"
        "from curation import audio; from rules.schema import AudioSettings\n"
        "audio.measure(Path(sys.argv[1]), AudioSettings(sample_rate_hz=8_000, channels=1))\n"
        "print(*(getrusage(who).ru_maxrss for who in (RUSAGE_SELF, RUSAGE_CHILDREN)))"
    )
    peaks = []
    for minutes in (2, 120):
        path = tmp_path / f"{minutes}.flac"
        media.ffmpeg("-f", "lavfi", "-i", f"sine=d=1:r=8000,apad=whole_dur={minutes * 60}", path)
        done = subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True, text=True)
        peaks.append([int(word) for word in done.stdout.split()])
    assert np.subtract(peaks[1], peaks[0]).max() < 40_000  # KB


# Windows: arithmetic


@settings(deadline=None)
@given(
    blocks=st.lists(st.booleans(), max_size=40),
    rest=st.integers(0, 799),
    chunk_blocks=st.integers(1, 7),
)
def test_windows_are_contiguous_whole_and_begin_with_the_first_sound(blocks, rest, chunk_blocks):
    ramp = np.arange(len(blocks) * 800 + rest) % 1_000 + 1_000
    loud = np.append(np.repeat(blocks, 800), np.zeros(rest))
    samples = (ramp * loud).astype(np.int16)[:, None]
    step = chunk_blocks * 800
    chunks = [samples[first : first + step] for first in range(0, len(samples), step)]
    if len(samples) < 4_000:
        with pytest.raises(ItemError, match="too_short"):
            list(audio.windows(chunks, TINY))
        return
    found = list(audio.windows(chunks, TINY))
    first = min(blocks.index(True) * 800 if True in blocks else len(samples), len(samples) - 4_000)
    assert [start for start, _ in found] == list(range(first, len(samples) - 3_999, 4_000))
    assert all(np.array_equal(clip, samples[start : start + 4_000]) for start, clip in found)


# Formats


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.opus", []),
        ("x.ogg", []),
        ("x.mp3", []),
        ("x.m4a", []),
        ("x.flac", []),
        ("x.wav", ["-ar", "8000", "-ac", "1"]),
        ("x.wav", ["-c:a", "pcm_f32le", "-ar", "96000"]),
        ("x.mka", ["-ac", "6"]),
        ("x.wma", []),
        ("x.aiff", []),
    ],
)
def test_any_format_gives_exact_clips(tmp_path, name, options):
    path = media.encode(tmp_path / name, media.sine(3, 440), *options).rename(tmp_path / "blob")
    measured = audio.measure(path, SHORT)
    clips = [frames_of(clip) for clip in audio.cut(path, SHORT, [w.start_sample for w in measured.windows])]
    assert measured.duration_s == pytest.approx(3, abs=0.1)
    assert {clip.shape for clip in clips} == {(44_100, 2)}
    assert {int(np.abs(np.fft.rfft(clip[:, 1])).argmax()) for clip in clips} == {440}


def test_sound_of_a_video_is_read(tmp_path):
    path = tmp_path / "x.mp4"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=d=4:s=64x64", "-f", "lavfi", "-i", "sine=d=2", path)
    assert len(audio.measure(path, SHORT).windows) == 2


# Clips


def test_clips_are_the_samples_that_were_measured(recording, whole):
    starts = [window.start_sample for window in audio.measure(recording, SETTINGS).windows]
    clips = [frames_of(clip) for clip in audio.cut(recording, SETTINGS, starts)]
    assert [len(clip) for clip in clips] == [CLIP_FRAMES, CLIP_FRAMES]
    assert all(np.array_equal(clip, whole[s : s + CLIP_FRAMES]) for s, clip in zip(starts, clips, strict=True))


def test_clip_is_a_plain_wav_file_the_same_each_time(recording):
    (clip,) = audio.cut(recording, SHORT, [7])
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(frames_of(clip).tobytes())
    assert clip == buffer.getvalue()
    assert [clip] == list(audio.cut(recording, SHORT, [7]))


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.integers(0, 9_000), max_size=6))
def test_any_ascending_starts_give_their_samples(recording, whole, steps):
    starts = np.cumsum(steps).tolist()
    clips = [frames_of(clip) for clip in audio.cut(recording, AudioSettings(clip_s=0.1), starts)]
    assert all(np.array_equal(clip, whole[s : s + 4_410]) for s, clip in zip(starts, clips, strict=True))


@pytest.mark.parametrize("starts", [[44_100, 0], [-1]])
def test_starts_that_descend_or_are_negative_are_refused_before_decoding(tmp_path, starts):
    with pytest.raises(ValueError, match="ascend"):
        audio.cut(tmp_path / "nothing", SHORT, starts)


def test_recording_that_ends_before_its_clip_is_undecodable(recording):
    clips = audio.cut(recording, SETTINGS, [0, 60 * 44_100])
    next(clips)
    with pytest.raises(ItemError, match="undecodable_audio: ends before the clip at frame 2646000 does"):
        next(clips)


def test_decoder_version_names_every_tool():
    assert [word for word in ("ffmpeg", "librosa", "pyloudnorm", "soxr") if word not in audio.decoder_version()] == []
