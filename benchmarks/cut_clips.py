"""python -m benchmarks.cut_clips: a 10-minute m4a into 20 WAV files, by artune, by pydub and by ffmpeg's segmenter.

CPU seconds of this process and its children, so that neither the disk nor another core counts; rounds alternate and
medians are compared. pydub loads the recording once, with the same ffmpeg; told the codec, it does without ffprobe,
which the imageio-ffmpeg wheel lacks.
"""

import argparse
import resource
import statistics
import subprocess
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from pydub import AudioSegment

from curation import audio
from rules.schema import AudioSettings

SETTINGS = AudioSettings()
DURATION_S = 600
CLIP_FRAMES = round(SETTINGS.clip_s * SETTINGS.sample_rate_hz)
GOALS = {"pydub": 1.6, "segment": 0.8}


def _ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *arguments], check=True)


def make_recording(folder: Path) -> Path:
    """Write an m4a of a tone and noise, DURATION_S long."""
    path = folder / "recording.m4a"
    sources = [f"sine=440:d={DURATION_S}:r=44100", f"anoisesrc=d={DURATION_S}:a=0.3:seed=3:r=44100"]
    inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    _ffmpeg(*inputs, "-filter_complex", "amix=2", "-ac", "2", "-ar", "44100", "-b:a", "128k", path)
    return path


def _cut_by_artune(recording: Path, folder: Path) -> None:
    starts = range(0, DURATION_S * SETTINGS.sample_rate_hz, CLIP_FRAMES)
    for number, clip in enumerate(audio.cut(recording, SETTINGS, starts)):
        (folder / f"{number:02d}.wav").write_bytes(clip)


def _cut_by_pydub(recording: Path, folder: Path) -> None:
    AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()
    whole = AudioSegment.from_file(str(recording), format="m4a", codec="aac")
    for number, first_ms in enumerate(range(0, DURATION_S * 1000, round(SETTINGS.clip_s * 1000))):
        clip = whole[first_ms : first_ms + round(SETTINGS.clip_s * 1000)]
        clip.export(folder / f"{number:02d}.wav", format="wav").close()


def _cut_by_segment(recording: Path, folder: Path) -> None:
    target = folder / "%02d.wav"
    _ffmpeg("-threads", "1", "-i", recording, "-vn", "-f", "segment", "-segment_time", f"{SETTINGS.clip_s:g}", target)


def _cpu_seconds(work: Callable[[Path, Path], None], recording: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        before = _used()
        work(recording, Path(folder))
        return _used() - before


def _used() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _cut_frames(work: Callable[[Path, Path], None], recording: Path) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        work(recording, Path(folder))
        clips = []
        for path in sorted(Path(folder).iterdir()):
            with wave.open(str(path)) as file:
                clips.append(np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int32))
        return clips


def _check_equal(recording: Path) -> None:
    """Raise unless artune's clips are exact and those of pydub, which counts in milliseconds, are the same."""
    ours, theirs = _cut_frames(_cut_by_artune, recording), _cut_frames(_cut_by_pydub, recording)
    sizes = {clip.size for clip in ours} | {clip.size for clip in theirs}
    if len(ours) != len(theirs) or sizes != {CLIP_FRAMES * SETTINGS.channels}:
        raise SystemExit(f"{len(ours)} and {len(theirs)} clips of {sorted(sizes)} samples")
    difference = max(int(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    if difference > 1:
        raise SystemExit(f"samples differ by up to {difference}")
    print(f"{len(ours)} clips of {CLIP_FRAMES:,} frames; largest difference to pydub's samples: {difference}")
    frames = sorted({clip.size // SETTINGS.channels for clip in _cut_frames(_cut_by_segment, recording)})
    print(f"frames of the segmenter's clips: {frames[0]:,} to {frames[-1]:,}")


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    ways = {"artune": _cut_by_artune, "pydub": _cut_by_pydub, "segment": _cut_by_segment}
    with tempfile.TemporaryDirectory() as folder:
        recording = make_recording(Path(folder))
        _check_equal(recording)
        seconds = {name: [] for name in ways}
        for _ in range(rounds):
            for name, work in ways.items():
                seconds[name].append(_cpu_seconds(work, recording))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    clips = round(DURATION_S / SETTINGS.clip_s)
    for name, each in seconds.items():
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"{name:8} {medians[name]:.2f} CPU-s ({spread}), {clips / medians[name]:.1f} clips per CPU-s")
    for name, goal in GOALS.items():
        print(f"artune is {medians[name] / medians['artune']:.2f} times as fast as {name} (goal {goal})")


if __name__ == "__main__":
    main()
