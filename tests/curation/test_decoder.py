import os
import stat
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from curation import audio, decoder
from curation.errors import ItemError
from rules.schema import AudioSettings
from tests import media

SETTINGS = AudioSettings()
SHORT = AudioSettings(clip_s=1.0)


def refusal(path: Path, settings: AudioSettings = SHORT) -> ItemError:
    with pytest.raises(ItemError) as caught:
        audio.measure(path, settings)
    return caught.value


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return media.encode(tmp_path_factory.mktemp("decoder") / "x.m4a", media.tune(40))


# Processes


@pytest.fixture
def starts_logged(tmp_path, monkeypatch) -> Path:
    """Put a program that notes its process id in ffmpeg's place."""
    log, program = tmp_path / "pids", tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho $$ >> {log}\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    return log


def test_measuring_starts_one_decoder(recording, starts_logged):
    audio.measure(recording, SHORT)
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


@pytest.mark.parametrize("title", ["received signal 99", "received signal 15", "No space left on device"])
def test_a_damaged_recording_cannot_pass_for_a_machine_in_trouble_by_its_title(tmp_path, title):
    lines = f"{title}\n[info] Exiting normally, {title}.\n[error] {title}"
    path = media.encode(tmp_path / "x.flac", media.noise(10), "-metadata", f"title={lines}")
    content, draws = bytearray(path.read_bytes()), np.random.default_rng(0)
    for first in range(20_000, len(content) - 100, 1_000):
        content[first : first + 40] = draws.bytes(40)
    path.write_bytes(content)
    assert refusal(path).reason == "undecodable_audio"


def test_recording_with_many_damaged_packets_is_undecodable(tmp_path):
    path = media.encode(tmp_path / "x.m4a", media.noise(10), "-movflags", "+faststart")
    content, draws = bytearray(path.read_bytes()), np.random.default_rng(0)
    for first in range(20_000, len(content), 1_000):
        content[first : first + 40] = draws.bytes(len(content[first : first + 40]))
    path.write_bytes(content)
    assert refusal(path).reason == "undecodable_audio"
