"""Compare images.encode with Pillow's own decode, resize and save: `python -m benchmarks.encode_images`.

The outputs are compared before anything is timed. The two take turns over the same files, and CPU seconds are counted,
so that other work on the machine disturbs both alike; medians of the rounds are printed. Exit status 1: below the goal.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from curation import images
from rules.schema import ImageSettings
from tests import pictures

GROUPS = {"large": (3000, 2000), "small": (900, 700)}  # px
DISTINCT = 4  # pictures of each size; the other files hold mirrored and turned copies
MIN_PSNR_DB = 35.0
GOAL = 1.0  # images per CPU second, in those of the plain loop
SETTINGS = ImageSettings()


def encode_plainly(path: Path) -> bytes:
    """Return what a plain script would make of a JPEG."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    scale = min(1.0, SETTINGS.max_side_px / max(upright.size))
    size = (round(upright.width * scale), round(upright.height * scale))
    out = io.BytesIO()
    upright.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=SETTINGS.jpeg_quality)
    return out.getvalue()


def encode(path: Path) -> bytes:
    """Return the JPEG that is published."""
    return images.encode(path, SETTINGS)


def make(folder: Path, group: str, count: int) -> list[Path]:
    """Write JPEGs of one size."""
    turns = [None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180]
    originals = [pictures.photo(*GROUPS[group], seed=seed) for seed in range(min(DISTINCT, count))]
    paths = []
    for number in range(count):
        turn, image = turns[number // DISTINCT % len(turns)], originals[number % DISTINCT]
        image = image if turn is None else image.transpose(turn)
        paths.append(pictures.saved(folder / f"{group}-{number:03}.jpg", image, quality=90))
    return paths


def psnr_db(ours: bytes, plain: bytes) -> float:
    """Return the peak signal-to-noise ratio of two JPEGs; their sizes must be the same."""
    first, second = (np.asarray(Image.open(io.BytesIO(data)), np.float64) for data in (ours, plain))
    if first.shape != second.shape:
        sys.exit(f"the sizes differ: {first.shape} and {second.shape}")
    error = float(((first - second) ** 2).mean())
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def rate(work: Callable[[Path], bytes], paths: list[Path]) -> float:
    """Return images per CPU second of one pass."""
    start_s = time.process_time()
    for path in paths:
        work(path)
    return len(paths) / (time.process_time() - start_s)


def wall_s(paths: list[Path], threads: int) -> float:
    """Return the wall time of one pass in seconds."""
    start_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(encode, paths))
    return time.perf_counter() - start_s


def compare(group: str, paths: list[Path], rounds: int) -> Iterator[str]:
    """Yield the lines of one group's result."""
    worst_db = min(psnr_db(encode(path), encode_plainly(path)) for path in paths[:DISTINCT])
    if worst_db < MIN_PSNR_DB:
        sys.exit(f"{group}: only {worst_db:.1f} dB between the two outputs; expected {MIN_PSNR_DB} dB")
    ours, plain = [], []
    for number in range(rounds):
        turns = [(encode, ours), (encode_plainly, plain)]
        for work, found in turns if number % 2 else reversed(turns):
            found.append(rate(work, paths))
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    one_s, two_s = (statistics.median(wall_s(paths, threads) for _ in range(rounds)) for threads in (1, 2))
    yield f"{group}: {len(paths)} JPEGs of {GROUPS[group][0]} x {GROUPS[group][1]} px, {rounds} rounds"
    yield f"  equality: same sizes, at least {worst_db:.1f} dB (needed: {MIN_PSNR_DB})"
    yield f"  images.encode {statistics.median(ours):.1f} per CPU second, plain loop {statistics.median(plain):.1f}"
    yield f"  ratio {ratio:.2f} (goal: {GOAL}) {'reached' if ratio >= GOAL else 'MISSED'}"
    yield f"  2 threads take {two_s:.2f} s of wall time, 1 takes {one_s:.2f} s: {one_s / two_s:.2f} times as fast"


def main() -> None:
    """Print both groups' results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64, help="files of each size")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for group in GROUPS:
            for line in compare(group, make(Path(folder), group, chosen.images), chosen.rounds):
                print(line, flush=True)
                missed |= "MISSED" in line
    sys.exit(missed)


if __name__ == "__main__":
    main()
