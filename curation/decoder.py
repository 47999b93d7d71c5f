"""One ffmpeg process that turns a blob into PCM, told which containers it may open and ended on every path."""

import errno
import os
import re
import selectors
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self, cast

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from curation.errors import ItemError, TransientError

STALL_S = 120  # a decoder that gives nothing for so long hangs
MAX_ERROR_RATE = 0.1  # share of packets that may be damaged; each one missing shifts all that follows
MISSING_S = 2.0  # a file that decodes to less than it declares, by more than this, was cut off
PIPE_BYTES = 1 << 20  # 64 KB, the default, costs a switch between the processes for each 0.4 s
LOG_BYTES = 1 << 20
SAMPLE_BYTES = 2

# Who sends these means the process and not the recording: a person, a service manager, a kernel short of memory or
# that lets nobody compute for longer.
_SENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
FROM_OUTSIDE = {-number for number in _SENT}
DISK_FULL = 256 - errno.ENOSPC  # how ffmpeg ends that cannot write, even where its log has no room either

# Demuxers that read one file and open no other: no playlist (hls, dash, concat), no picture, no device. Names of
# `ffmpeg -demuxers`; ffmpeg tells them by content, a blob has no extension.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,matroska,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,nut,ogg,oma,qoa,rm,shn,sox,tak,truehd,tta,voc,w64,wav,wv,xwma"
)

# A decoder's frames are of about 1,024 samples, and ffmpeg passes each between three threads: fewer, larger ones save a
# third of the time. Larger ones gain nothing more.
MERGE_FRAMES = "asetnsamples=n=16384:p=0,"
# ffmpeg takes 3 dB off mono that becomes stereo, which would change its loudness and hide its clipping.
MONO_TO_STEREO = "volume=volume='if(eq(nb_channels,1),sqrt(2),1)':precision=float,"
RESAMPLE = "aresample=resampler=soxr"  # leaves a recording that has the rate already as it is

# The log holds what the file says of itself, too, in lines that are indented. ffmpeg's own begin with their level, and
# where it caught a signal, wrote what it had and ended with a code of its own, the last one tells.
_SIGNAL = re.compile(r"^\[info\] Exiting normally, received signal (\d+)\.\s*\Z", re.MULTILINE)
_ERROR = re.compile(r"^(?:\[[^\]]*\] )*\[(?:error|fatal)\] (.*)$", re.MULTILINE)
_DURATION = re.compile(r"^\[info\]   Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_STREAM = re.compile(r"^\[info\]   Stream #0:\d+(?!.*\(attached pic\)).*: (?:Audio|Video): ", re.MULTILINE)
_CUT_WAV = re.compile(r"^\[in#0/wav[^\]]*\] \[warning\] corrupt input packet", re.MULTILINE)


class DecoderEnded(TransientError):
    """Something outside ended a decoder: what it was decoding may be whole."""


class Decoder:
    """A running ffmpeg that gives 16-bit PCM, channels interleaved; leaving the context ends it.

    Args:
        with_fingerprint: let the same process fingerprint the whole recording.
    """

    def __init__(self, path: Path, rate_hz: int, channels: int, *, with_fingerprint: bool = False) -> None:
        self.frames = 0  # given out by `chunks`
        self._path = path.absolute()
        self._rate_hz = rate_hz
        self._channels = channels
        self._with_fingerprint = with_fingerprint

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self._log = Path(self._folder.name, "log")  # a file cannot fill up, as a pipe that nobody reads does
        self._fingerprint = Path(self._folder.name, "fingerprint")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                pipesize=PIPE_BYTES,
            )
        _schedule_in_batches(self._process.pid)
        self._pcm = cast(FileIO, self._process.stdout)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._pcm, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._ready.close()
        self._pcm.close()
        self._process.wait()
        self._folder.cleanup()

    def fill(self, view: memoryview) -> int:
        """Read into `view` until it is full or the recording ends; return the number of bytes read.

        Raises:
            ItemError: "undecodable_audio" if the decoder hangs.
        """
        count = 0
        while count < len(view):
            if not self._ready.select(STALL_S):
                raise ItemError("undecodable_audio", f"the decoder gave nothing for {STALL_S} s")
            got = self._pcm.readinto(view[count:])
            if not got:
                break
            count += got
        return count

    def skip(self, size_bytes: int) -> int:
        """Read and forget; return the number of bytes read."""
        scratch = memoryview(bytearray(min(size_bytes, PIPE_BYTES)))
        count = 0
        while count < size_bytes:
            got = self.fill(scratch[: size_bytes - count])
            count += got
            if not got:
                break
        return count

    def chunks(self, frames: int, max_duration_s: float) -> Iterator[npt.NDArray[np.int16]]:
        """Yield the whole recording as int16 of shape (frames, channels), the last chunk shorter.

        Raises:
            ItemError: "too_long", as soon as it is; or as `finish`, at the end.
        """
        frame_bytes = self._channels * SAMPLE_BYTES
        while True:
            buffer = bytearray(frames * frame_bytes)
            whole = self.fill(memoryview(buffer)) // frame_bytes
            self.frames += whole
            if self.frames > max_duration_s * self._rate_hz:
                raise ItemError("too_long", f"more than {max_duration_s / 3600:g} hours")
            if whole:
                samples = np.frombuffer(buffer, "<i2", count=whole * self._channels)
                yield samples.reshape(whole, self._channels)
            if whole < frames:
                break
        self.finish()
        if not self.frames:
            raise ItemError("undecodable_audio", "nothing in it can be decoded")
        self._refuse_cut_off()

    def finish(self) -> None:
        """Wait for the end of the process, all of whose output was read.

        Raises:
            ItemError: "no_audio", or "undecodable_audio" if it failed.
            DecoderEnded: it was ended from outside.
            OSError: its folder for temporary files is full.
        """
        try:
            code = self._process.wait(STALL_S)
        except subprocess.TimeoutExpired:
            raise ItemError("undecodable_audio", f"the decoder did not end within {STALL_S} s") from None
        if not code:
            return
        log = self._read_log()
        self._excuse(code, log)
        if "matches no streams" in log:
            raise ItemError("no_audio", "nothing in it is sound")
        found = _ERROR.search(log)
        words = found[1].replace(str(self._path), "the file") if found else f"it ended with {code}"
        raise ItemError("undecodable_audio", "ffmpeg: " + words.replace(f" '{CONTAINERS}'", ""))

    def _excuse(self, code: int, log: str) -> None:
        """Raise what this machine is to blame for: it must not become a rejection of the recording."""
        caught = _SIGNAL.search(log)
        number = int(caught[1]) if caught else -code
        if -number in FROM_OUTSIDE:
            raise DecoderEnded(
                f"{self._path}: ffmpeg was ended by {signal.Signals(number).name} while it decoded it, as a kernel "
                "does that is short of memory; the same command goes on from there"
            )
        if code == DISK_FULL or any(os.strerror(errno.ENOSPC) in words for words in _ERROR.findall(log)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._folder.name)

    def fingerprint(self) -> bytes:
        """Return chromaprint's raw items, little-endian uint32, of a recording read to its end."""
        return self._fingerprint.read_bytes()

    def _refuse_cut_off(self) -> None:
        """Raise "undecodable_audio" if the file declares clearly more sound than there is.

        ffmpeg ends without an error there, and its strict mode (-xerror) takes MP3, Ogg, Matroska and MPEG-TS that are
        cut off for whole and refuses whole MP3 with a foreign tag at the end. A declared length tells for MP4, MP3 with
        a Xing header, FLAC, Matroska and AIFF; of Ogg and MPEG-TS no trace is left. A length that ffmpeg itself only
        estimates says nothing, nor does one that may be that of a picture track.
        """
        log = self._read_log()
        of_input = log.partition("[info] Stream mapping:")[0]
        declared = _DURATION.search(of_input)
        if declared and "Estimating duration" not in of_input and len(_STREAM.findall(of_input)) == 1:
            hours, minutes, seconds = declared.groups()
            declared_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            decoded_s = self.frames / self._rate_hz
            if declared_s > decoded_s + MISSING_S:
                raise ItemError("undecodable_audio", f"cut off: {decoded_s:.1f} of {declared_s:.1f} s are there")
        if _CUT_WAV.search(log):
            raise ItemError("undecodable_audio", "cut off: the WAV file ends within a packet")

    def _read_log(self) -> str:
        with self._log.open("rb") as log:
            return log.read(LOG_BYTES).decode(errors="replace")

    def _command(self) -> list[str]:
        filters = MERGE_FRAMES + (MONO_TO_STEREO if self._channels == 2 else "") + RESAMPLE
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
        command += ["-max_error_rate", str(MAX_ERROR_RATE), "-filter_threads", "1"]
        command += ["-threads", "1", "-flags", "bitexact", "-vn", "-sn", "-dn"]
        command += ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS, "-i", f"file:{self._path}"]
        command += ["-map", "0:a:0", "-af", filters, "-ar", str(self._rate_hz), "-ac", str(self._channels)]
        command += ["-f", "s16le", "pipe:1"]
        if self._with_fingerprint:
            # chromaprint refuses more than two channels
            command += [
                "-map",
                "0:a:0",
                "-ac",
                "2",
                "-f",
                "chromaprint",
                "-fp_format",
                "raw",
                f"file:{self._fingerprint}",
            ]
        return command


def _schedule_in_batches(pid: int) -> None:
    """Let Linux wake the threads of a process late: ffmpeg's hand each other every packet, 26,000 in 10 minutes.

    Two thirds of the switches between them go, and 35 % of the CPU time. Only speed depends on it.
    """
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def ffmpeg_version() -> str:
    """Return the first line that `ffmpeg -version` prints."""
    return _version_of(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def _version_of(executable: str) -> str:
    done = subprocess.run([executable, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout.decode(errors="replace").partition("\n")[0].strip()
