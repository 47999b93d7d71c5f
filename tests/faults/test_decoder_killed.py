"""ffmpeg ended from outside, by hand or for want of memory: the machine's fault, never the recording's."""

import errno
import os
import signal
from pathlib import Path

import imageio_ffmpeg
import pytest

from curation import audio
from curation.audio import TRIES
from curation.decoder import Decoder, DecoderEnded
from rules.schema import AudioSettings
from tests import media
from tests.faults.conftest import Undisturbed
from tests.faults.machines import Machine

SHORT = AudioSettings(clip_s=1.0)
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]  # of the last two ffmpeg makes an end of its own


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return media.encode(tmp_path_factory.mktemp("killed") / "x.m4a", media.tune(40))  # 7 MB of PCM


@pytest.mark.parametrize("number", SIGNALS)
def test_a_decoder_killed_while_a_recording_is_measured_is_no_fault_of_the_recording(recording, number):
    with Decoder(recording, 44_100, 2, with_fingerprint=True) as decoder:
        chunks = decoder.chunks(44_100, 3600)
        next(chunks)
        assert decoder._process.poll() is None
        decoder._process.send_signal(number)
        with pytest.raises(DecoderEnded, match=f"was ended by {number.name} while it decoded it"):
            list(chunks)


def test_a_decoder_killed_between_two_clips_is_no_fault_of_the_recording(recording, tmp_path, monkeypatch):
    program, pid = tmp_path / "ffmpeg", tmp_path / "pid"
    program.write_text(f'#!/bin/sh\necho $$ > {pid}\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    clips = audio.cut(recording, SHORT, [0, 39 * 44_100])
    next(clips)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    with pytest.raises(DecoderEnded, match="SIGKILL"):
        next(clips)


def killed_so_often(folder: Path, times: int) -> tuple[str, Path]:
    """Return a program that decodes a part and dies by SIGKILL so often, and is ffmpeg then; and what it notes."""
    real, log, program = imageio_ffmpeg.get_ffmpeg_exe(), folder / "starts", folder / "ffmpeg"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *pipe:1*) ;; *) exec {real} "$@" ;; esac\n'
        f'echo >> {log}\nif [ $(wc -l < {log}) -le {times} ]; then {real} "$@" | head -c 3000; kill -KILL $$; fi\n'
        f'exec {real} "$@"\n'
    )
    program.chmod(0o755)
    return str(program), log


def test_a_recording_whose_decoder_was_killed_is_decoded_once_more(recording, tmp_path, monkeypatch):
    expected = audio.listen(recording, SHORT)
    program, log = killed_so_often(tmp_path, TRIES - 1)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", program)
    assert audio.listen(recording, SHORT) == expected
    assert len(log.read_text()) == TRIES


def test_a_build_whose_decoders_are_killed_says_so_rejects_nothing_and_goes_on(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home, (program, _) = tmp_path / "home", killed_so_often(tmp_path, 1_000)
    done = machine.run(
        "build",
        home=str(home),
        folder=str(undisturbed.folder),
        environment={"IMAGEIO_FFMPEG_EXE": program},
    )
    assert done.code == 3, done.said
    assert "ffmpeg was ended by SIGKILL while it decoded it" in done.said
    assert "the same command goes on" in done.said
    assert list(home.glob("derived/recordings-*/*")) == []
    assert machine.run("build", home=str(home), folder=str(undisturbed.folder)).code == 0
    assert undisturbed.is_like(home)


def test_a_decoder_that_has_no_room_to_write_is_no_fault_of_the_recording(recording, tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"  # /dev/full takes nothing: what chromaprint writes at the end fails
    real = imageio_ffmpeg.get_ffmpeg_exe()
    program.write_text(f'#!/bin/bash\nargs=(-y "$@"); args[-1]=/dev/full\nexec {real} "${{args[@]}}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    with pytest.raises(OSError, match="No space left") as caught:
        audio.listen(recording, SHORT)
    assert caught.value.errno == errno.ENOSPC
