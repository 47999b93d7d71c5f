import io
import os
import stat
import subprocess
import sys
import wave
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import audio, decoder
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


def decode_whole(path: Path) -> np.ndarray:
    """An independent decode of a stereo recording at 44.1 kHz, with none of our options."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<i2").reshape(-1, 2)


def refusal(path: Path, settings: AudioSettings = SHORT) -> ItemError:
    with pytest.raises(ItemError) as caught:
        audio.measure(path, settings)
    return caught.value


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    tone = np.concatenate([media.silence(2.5), media.tune(66, seed=1)])
    return media.encode(tmp_path_factory.mktemp("audio") / "x.m4a", tone)


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
    """In fresh processes; 2 hours held would be 1.2 GB."""
    script = (
        "import sys; from pathlib import Path; from resource import *\n"
        "from curation import audio; from rules.schema import AudioSettings\n"
        "audio.measure(Path(sys.argv[1]), AudioSettings())\n"
        "print(*(getrusage(who).ru_maxrss for who in (RUSAGE_SELF, RUSAGE_CHILDREN)))"
    )
    peaks = []
    for minutes in (2, 120):
        path = tmp_path / f"{minutes}.flac"
        media.ffmpeg("-f", "lavfi", "-i", f"sine=d=1:r=44100,apad=whole_dur={minutes * 60}", path)
        done = subprocess.run([sys.executable, "-c", script, path], check=True, capture_output=True, text=True)
        peaks.append([int(word) for word in done.stdout.split()])
    assert np.subtract(peaks[1], peaks[0]).max() < 50_000  # KB


# Windows: arithmetic


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


def test_clips_are_the_samples_that_were_measured(recording):
    starts = [window.start_sample for window in audio.measure(recording, SETTINGS).windows]
    clips = [frames_of(clip) for clip in audio.cut(recording, SETTINGS, starts)]
    whole = decode_whole(recording)
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


@given(steps=st.lists(st.integers(0, 9_000), max_size=6))
def test_any_ascending_starts_give_their_samples(recording, steps):
    starts = np.cumsum(steps).tolist()
    settings = AudioSettings(clip_s=0.1)
    clips = [frames_of(clip) for clip in audio.cut(recording, settings, starts)]
    whole = decode_whole(recording)
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


# Decoder processes


@pytest.fixture
def starts_logged(tmp_path, monkeypatch) -> Path:
    """Put a program that notes its process id in ffmpeg's place."""
    log, program = tmp_path / "pids", tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho $$ >> {log}\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    return log


def test_measuring_starts_one_decoder(recording, starts_logged):
    audio.measure(recording, SETTINGS)
    assert len(starts_logged.read_text().split()) == 1


def test_cutting_three_clips_starts_one_decoder(recording, starts_logged):
    assert len(list(audio.cut(recording, SHORT, [0, 44_100, 441_000]))) == 3
    assert len(starts_logged.read_text().split()) == 1


def test_cutting_nothing_starts_none(recording, starts_logged):
    assert list(audio.cut(recording, SHORT, [])) == []
    assert not starts_logged.exists()


def test_decoder_is_ended_when_its_clips_are_no_longer_wanted(recording, starts_logged):
    clips = audio.cut(recording, SHORT, [0, 44_100])
    next(clips)
    clips.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(starts_logged.read_text()), 0)


def test_decoder_that_hangs_is_ended(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexec sleep 3600\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    monkeypatch.setattr(decoder, "STALL_S", 0.2)
    assert refusal(tmp_path / "x").detail == "the decoder gave nothing for 0.2 s"


def test_decoder_that_says_much_does_not_block(tmp_path, recording, monkeypatch):
    program = tmp_path / "ffmpeg"
    real = imageio_ffmpeg.get_ffmpeg_exe()
    program.write_text(f'#!/bin/sh\nhead -c 3000000 /dev/zero | tr "\\0" x >&2\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    assert len(list(audio.cut(recording, SHORT, [0]))) == 1


def test_decoder_version_names_every_tool():
    assert [word for word in ("ffmpeg", "librosa", "pyloudnorm", "soxr") if word not in audio.decoder_version()] == []


# Refusals


def test_recording_shorter_than_a_clip_is_too_short(tmp_path):
    error = refusal(media.encode(tmp_path / "x.flac", media.sine(12.6)), SETTINGS)
    assert (error.reason, error.detail) == ("too_short", "12.600 s; a clip has 30 s")


def test_recording_over_the_limit_is_too_long(recording, monkeypatch):
    monkeypatch.setattr(audio, "MAX_DURATION_S", 36)
    error = refusal(recording)
    assert (error.reason, error.detail) == ("too_long", "more than 0.01 hours")


def test_video_without_sound_has_no_audio(tmp_path):
    path = tmp_path / "x.mp4"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", path)
    assert refusal(path).reason == "no_audio"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html><body>404</body></html>" * 50,
        np.random.default_rng(0).bytes(50_000),
        b"RIFF\0\0\0\0WAVE",
    ],
    ids=["empty", "html", "garbage", "header"],
)
def test_what_is_no_recording_is_undecodable_and_its_path_stays_untold(tmp_path, content):
    path = tmp_path / "blob"
    path.write_bytes(content)
    error = refusal(path)
    assert error.reason == "undecodable_audio"
    assert str(tmp_path) not in error.detail
    assert "0x" not in error.detail  # an address differs from run to run


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile {name}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{name}\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{name}</BaseURL></MPD>',
    ],
    ids=["concat", "hls", "dash"],
)
@pytest.mark.parametrize("name", ["blob", "x.m3u8", "x.ffconcat", "x.mpd"])
def test_playlist_is_refused_and_what_it_names_is_not_opened(tmp_path, recording, playlist, name):
    path = tmp_path / name
    path.write_text(playlist.format(name=os.path.relpath(recording, tmp_path)))
    assert refusal(path).reason == "undecodable_audio"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.m4a", ["-movflags", "+faststart"]),
        ("x.m4a", []),
        ("x.mp3", []),
        ("x.flac", []),
        ("x.mka", []),
        ("x.wav", []),
        ("x.aiff", []),
    ],
)
def test_recording_that_was_cut_off_is_undecodable(tmp_path, name, options):
    path = media.encode(tmp_path / name, media.noise(10), *options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    assert refusal(path).reason == "undecodable_audio"


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"\x12\x34\x56" * 500], ids=["tag", "junk"])
def test_whole_recording_with_something_after_it_is_kept(tmp_path, tail):
    path = media.encode(tmp_path / "x.mp3", media.noise(3))
    path.write_bytes(path.read_bytes() + tail)
    assert len(audio.measure(path, SHORT).windows) == 3


def test_recording_with_many_damaged_packets_is_undecodable(tmp_path):
    path = media.encode(tmp_path / "x.m4a", media.noise(10), "-movflags", "+faststart")
    content, draws = bytearray(path.read_bytes()), np.random.default_rng(0)
    for first in range(20_000, len(content), 1_000):
        content[first : first + 40] = draws.bytes(len(content[first : first + 40]))
    path.write_bytes(content)
    assert refusal(path).reason == "undecodable_audio"
