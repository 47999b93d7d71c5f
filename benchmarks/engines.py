"""How the media work of a build scales over cores: `python -m benchmarks.engines`.

Pictures are measured, recordings decoded and measured, and clips cut, on media made here: by one thread, by several, by
processes, and by workers of a Dask cluster, as Dask starts them and as the README does. Every way must write the same
files; its peer is one thread in this run. Efficiency is the CPU time of one thread divided by that of all hands, with
their start: below 1, something is paid for running together.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import distributed
import numpy as np
import pyarrow as pa
import soundfile
from PIL import Image

import rules
from curation import measure
from curation.batches import Each, in_threads
from curation.cutting import Released, cut_batch, cut_batches
from curation.releases import publish
from curation.store import Home, file_sha256

RATE_HZ, RECORDING_S, CLIP_S = 44_100, 125, 30
SIDE_PX = 1_600
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "134217728", "MALLOC_MMAP_THRESHOLD_": "33554432"}


@dataclass(frozen=True)
class Media:
    """Blobs of made media."""

    pictures: list[str]
    recordings: list[str]


def made(home: Home, pictures: int, recordings: int) -> Media:
    """Put noise to look at and to listen to into the blobs."""
    file = home.root / "file"
    home.root.mkdir(parents=True)
    kept = Media([], [])
    for number in range(pictures):
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        small.resize((SIDE_PX, SIDE_PX * 3 // 4), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        kept.pictures.append(home.put_blob([file.read_bytes()], 1 << 30)[0])
    for number in range(recordings):
        rng = np.random.default_rng(number)
        frequencies = rng.uniform(110, 880, RECORDING_S * 4).repeat(RATE_HZ // 4)
        wave = 0.3 * np.sin(2 * np.pi * np.cumsum(frequencies) / RATE_HZ)
        soundfile.write(file, wave, RATE_HZ, format="FLAC")
        kept.recordings.append(home.put_blob([file.read_bytes()], 1 << 30)[0])
    file.unlink()
    return kept


def stages(home: Home, media: Media, each: Each) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each step with what runs it."""
    rule_set = publish(rules.load("museart18"), None)
    steps = measure.steps(rule_set)
    for name, blobs in (("image", media.pictures), ("music", media.recordings)):
        batches = measure.pending(home, steps[name], pa.chunked_array([pa.array(blobs)]))
        yield f"measure {name}", lambda batches=batches: each(measure.measure_batch, batches, "measure")
    clips = [
        {"pair_id": f"{at:04}-{start}", "music_sha256": recording, "music_start_s": float(start)}
        for at, recording in enumerate(media.recordings)
        for start in range(0, RECORDING_S - CLIP_S, CLIP_S)
    ]
    rows = [row | {"image_sha256": media.pictures[at % len(media.pictures)]} for at, row in enumerate(clips)]
    cuts = cut_batches(home, home.root / "work", rule_set, pa.Table.from_pylist(rows), Released({}, {}))
    yield "cut clips", lambda: each(cut_batch, cuts, "cut")


@contextmanager
def threads(hands: int) -> Iterator[Each]:
    """Give threads of this process."""
    yield in_threads(hands)


@contextmanager
def processes(hands: int) -> Iterator[Each]:
    """Give processes of this machine."""
    with ProcessPoolExecutor(hands, get_context("spawn")) as pool:
        yield lambda work, batches, stage: list(pool.map(work, batches))


@contextmanager
def dask(hands: int, environment: Mapping[str, str]) -> Iterator[Each]:
    """Give workers of a Dask cluster on this machine, one thread each."""
    os.environ |= environment
    options = {"n_workers": hands, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield lambda work, batches, stage: client.gather(client.map(work, batches, pure=False))


def cpu_s() -> float:
    """Return the CPU time of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def written(home: Home) -> dict[str, str]:
    """Return what was made of the blobs."""
    files = [path for name in ("derived", "work") for path in (home.root / name).rglob("*") if path.is_file()]
    return {path.relative_to(home.root).as_posix(): file_sha256(path) for path in files}


def copied(blobs: Home, root: Path) -> Home:
    """Return a work folder with nothing but the blobs."""
    shutil.copytree(blobs.root / "blobs", root / "blobs", copy_function=os.link)
    return Home(root)


def main() -> None:
    """Run every step every way, once to warm up, and print wall time, the ratio to one thread and the efficiency."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--recordings", type=int, default=16)
    parser.add_argument("--hands", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    hands = arguments.hands
    ways = {"1 thread": threads(1), f"{hands} threads": threads(hands)}
    ways |= {f"{hands} processes": processes(hands), f"dask, {hands} workers": dask(hands, {})}
    ways |= {f"dask, {hands} workers, as the README starts them": dask(hands, MALLOC)}
    with tempfile.TemporaryDirectory() as place:
        blobs = Home(Path(place) / "made")
        media = made(blobs, arguments.pictures, arguments.recordings)
        first: dict[str, float] = {}
        expected: dict[str, str] = {}
        for way, opened in ways.items():
            before = cpu_s()
            with opened as each:
                for home in (copied(blobs, Path(place) / way / "warm"), copied(blobs, Path(place) / way / "timed")):
                    wall = dict(timed(home, media, each))
            used_s = cpu_s() - before
            first = first or wall | {"cpu": used_s}
            expected = expected or written(home)
            if written(home) != expected:
                raise SystemExit(f"{way} wrote other files than one thread")
            told = ", ".join(f"{step} {wall_s:.1f} s ({first[step] / wall_s:.2f}x)" for step, wall_s in wall.items())
            print(f"{way:45} {told}; efficiency {first['cpu'] / used_s:.2f}")


def timed(home: Home, media: Media, each: Each) -> Iterator[tuple[str, float]]:
    """Yield how many seconds each step took."""
    for step, run in stages(home, media, each):
        start = time.perf_counter()
        run()
        yield step, time.perf_counter() - start


if __name__ == "__main__":
    main()
