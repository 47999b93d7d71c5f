"""Peak memory of a whole build with few and with many pictures: `python -m benchmarks.build_memory`.

Both builds run in processes of their own, on the same 20 recordings; the peak is the operating system's own account.
The smaller build is the peer.
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

RECORDINGS, RECORDING_S, RATE_HZ = 20, 95, 44_100
STYLES = [("Digital art", "Illustration"), ("Fantasy art", "Poster"), ("Contemporary", "Sketch and study")]
SUB_GENRES = [("Electronic", "Digital"), ("Heavy metal", "Instrumental"), ("Rock", "Popular")]


def make_collection(folder: Path, pictures: int) -> None:
    """Make noise to look at and to listen to, with tags of three labels."""
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "style", "genre", "music_genre", "music_features"])
        for number in range(pictures):
            rng = np.random.default_rng(number)
            small = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
            small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
            writer.writerow([f"{number}.jpg", *STYLES[number % 3], "", ""])
        for number in range(RECORDINGS):
            rng = np.random.default_rng(number)
            frequencies = rng.uniform(110, 880, RECORDING_S * 4).repeat(RATE_HZ // 4)
            wave = 0.3 * np.sin(2 * np.pi * np.cumsum(frequencies) / RATE_HZ)
            soundfile.write(folder / f"{number}.flac", wave, RATE_HZ)
            writer.writerow([f"{number}.flac", "", "", *SUB_GENRES[number % 3]])


def build(folder: Path, home: Path) -> None:
    """Build in this process and print pairs and peak in MB."""
    import rules
    from curation import building
    from curation.batches import in_threads
    from curation.store import Home

    release = building.build(Home(home), [f"folder:{folder}"], rules.load("museart18"), in_threads(2))
    pairs = sum(release.manifest["pairs"].values()) if release else 0
    print(pairs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def main() -> None:
    """Build both collections and print the ratio of their peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, nargs=2, default=[60, 6_000])
    parser.add_argument("--build", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.build:
        build(*arguments.build)
        return
    peaks = []
    with tempfile.TemporaryDirectory() as place:
        for pictures in arguments.pictures:
            folder = Path(place) / f"media{pictures}"
            make_collection(folder, pictures)
            command = [sys.executable, "-m", "benchmarks.build_memory", "--build", str(folder), f"{folder}-home"]
            pairs, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            peaks.append(float(peak))
            print(f"{pictures:6,} pictures: {pairs} pairs, peak {float(peak):,.0f} MB")
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
