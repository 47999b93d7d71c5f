"""CPU seconds that media cost at each step: `python -m benchmarks.scale_media`; constants of benchmarks.scale.

JPEGs of 1,600 x 1,200 px and recordings of 4 minutes (m4a, 128 kbit/s) are made, and each goes through what a build
does with it. CPU seconds of this process and of the decoders that it starts.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import cut_clips
from curation import audio, collect, images
from curation.sources import Entry
from curation.store import Home
from rules.schema import AudioSettings, ImageSettings
from tests import pictures

SIDES_PX, DURATION_S = (1600, 1200), 240


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds that something takes, those of its child processes too."""
    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def main() -> None:
    """Print the cost of each step for one picture, one recording, one clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Home(folder / "home")
        shown = [pictures.photo(*SIDES_PX, seed=seed) for seed in range(4)]
        paths = [
            pictures.saved(folder / f"{number}.jpg", shown[number % 4], quality=90)
            for number in range(arguments.pictures)
        ]
        cut_clips.DURATION_S = DURATION_S
        recording = cut_clips.make_recording(folder)
        images.measure(paths[0], ImageSettings())  # what is loaded once is not counted
        audio.measure(recording, AudioSettings())
        count, settings = len(paths), AudioSettings()
        clip = round(settings.clip_s * settings.sample_rate_hz)
        starts = list(range(0, DURATION_S * settings.sample_rate_hz - clip + 1, clip))
        collected = cpu_s(lambda: [collect.fetch(home, Entry(path.name, "1", path)) for path in paths])
        print(f"a picture: {paths[0].stat().st_size:,} bytes, collected in {1e3 * collected / count:.1f} CPU-ms")
        measured = cpu_s(lambda: [images.measure(path, ImageSettings()) for path in paths])
        encoded = cpu_s(lambda: [images.encode(path, ImageSettings()) for path in paths])
        print(f"  measured in {1e3 * measured / count:.1f}, encoded in {1e3 * encoded / count:.1f} CPU-ms")
        heard = cpu_s(lambda: audio.measure(recording, settings))
        print(f"a recording of {DURATION_S} s: {recording.stat().st_size:,} bytes, measured in {heard:.2f} CPU-s")
        cut = cpu_s(lambda: list(audio.cut(recording, settings, starts)))
        print(f"  {len(starts)} clips cut in {cut:.2f} CPU-s, {1e3 * cut / len(starts):.0f} CPU-ms a clip")


if __name__ == "__main__":
    main()
