"""python -m benchmarks.evaluation_measures: measures of pairs, of as many items as the published data set has.

Each measure runs in a process of its own, which holds the features too and no torch: as it is, with 1,000 replicates,
and of 999 shufflings, where recordings have a clip each and where they have as many as come, so that some clips are
given several times. The peer is what the paper's formula says, a loop over items in torch, of one thread and of unit
vectors: it runs over all items and must find the same. CPU seconds. All five loops take about 20 minutes; name measures
to run some.
"""

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from evaluation import metrics
from evaluation.metrics._similarity import TIE
from evaluation.statistics.resampling import PERMUTATIONS, REPLICATES, bootstrap_weights, permuted_orders

ITEMS, WIDTH, N_LABELS = 24_216, 512, 18
CLIPS = 3  # of a recording on average, where recordings are uneven
STRENGTH = 0.1  # cosine of an image with what it is paired with
# Times as fast as the loop, and bytes.
GOALS = {"ais": 100, "iis": 100, "win_rate_ais": 6, "win_rate_iis": 6, "retrieval": 6}
MOST_GB = 1
# The loop adds float32 numbers: points of AIS and percent to so many, ranks by a place.
NEAR = {"ais": 1e-3, "iis": 1e-3, "win_rate_ais": 1e-3, "win_rate_iis": 1e-3, "retrieval": 0.02}
NEAR_RANK = 0.5

Scores = dict[str, float]
Pairs = tuple[np.ndarray, np.ndarray]


def made(count: int) -> Pairs:
    """Return features of images and of what they are paired with, a little alike, float32, of different lengths."""
    draws = np.random.default_rng(0)
    others = draws.standard_normal((count, WIDTH), dtype=np.float32)
    images = draws.standard_normal((count, WIDTH), dtype=np.float32)
    images += STRENGTH * others
    images *= draws.uniform(0.5, 2, (count, 1)).astype(np.float32)
    return images, others


@dataclass(frozen=True)
class Measured:
    """First of the scores, CPU seconds for all of them, and the process's peak with features and all."""

    scores: Scores
    seconds: float
    peak_gb: float


@dataclass(frozen=True)
class All:
    """One measure as it is, of replicates, and of shuffled recordings of a clip each and of some."""

    plain: Measured
    replicated: Measured
    shuffled: Measured
    uneven: Measured


def _measured(name: str, count: int, replicates: int) -> Measured:
    images, others = made(count)
    weights = bootstrap_weights(np.arange(count), 1, replicates)
    labels = np.arange(count) % N_LABELS
    metric = metrics.get(name)
    if name in ("ais", "iis"):
        return _timed(metric, lambda: metric.score(images, others, labels, N_LABELS, weights))
    return _timed(metric, lambda: metric.score(images, others, weights))


def _shuffled(name: str, count: int, clips: int) -> Measured:
    images, others = made(count)
    sizes = np.random.default_rng(2).geometric(1 / clips, count)
    recordings = np.repeat(np.arange(count), sizes)[:count]
    orders = np.fromiter(permuted_orders(recordings, 1), dtype=(np.int64, count), count=PERMUTATIONS)
    metric = metrics.get(name)
    return _timed(metric, lambda: metric.shuffled(images, others, orders))


def _timed(metric: metrics.Metric, call: Callable[[], dict[str, np.ndarray]]) -> Measured:
    start = time.process_time()
    scores = call()
    seconds = time.process_time() - start
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Measured({key: float(scores[key][0]) for key in metric.MEASURES}, seconds, peak_gb)


def measured(name: str, count: int) -> All:
    """Measure, each time in a fresh process, whose peak is that of this measure."""
    found = []
    for measure, how in ((_measured, 0), (_measured, REPLICATES), (_shuffled, 1), (_shuffled, CLIPS)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found.append(process.submit(measure, name, count, how).result())
    return All(*found)


def looped(name: str, count: int) -> tuple[Scores, float]:
    """Return the same scores by a loop over items, and its CPU seconds."""
    import torch  # here, because it would count in the memory of the measures

    torch.set_num_threads(1)
    images, others = (torch.nn.functional.normalize(torch.from_numpy(array)) for array in made(count))
    loops: dict[str, Callable[[], Scores]] = {
        "ais": lambda: {name: loop_lead(images, others)},
        "win_rate_ais": lambda: {name: loop_win_rate(images, others)},
        "retrieval": lambda: {
            **loop_retrieval("music_to_image", others, images),
            **loop_retrieval("image_to_music", images, others),
        },
    }
    start = time.process_time()
    scores = loops[name.replace("iis", "ais")]()
    return scores, time.process_time() - start


def loop_lead(images, others) -> float:
    """Return S of how much closer images are to their own."""
    x = 0.0
    for i in range(len(images)):
        cosines = others @ images[i]
        own = float(cosines[i])
        x += own - (float(cosines.sum()) - own) / (len(images) - 1)
    return 50 + 100 / np.pi * float(np.arcsin(x / len(images)))


def loop_win_rate(images, others) -> float:
    """Return how often images are closer to their own, in percent; ties count half, and each ties with its own."""
    won = 0.0
    for i in range(len(images)):
        cosines = others @ images[i]
        own = cosines[i]
        won += (int((cosines < own - TIE).sum()) + int((cosines <= own + TIE).sum()) - 1) / 2
    return 100 * won / (len(images) * (len(images) - 1))


def loop_retrieval(direction: str, queries, gallery) -> Scores:
    """Return R@k and the median rank of one direction; ties count half, and each ties with its own."""
    ranks = np.empty(len(queries))
    for i in range(len(queries)):
        cosines = gallery @ queries[i]
        own = cosines[i]
        ranks[i] = 1 + (int((cosines > own + TIE).sum()) + int((cosines >= own - TIE).sum()) - 1) / 2
    recalls = {f"{direction}_r{k}": 100 * float((ranks <= k).mean()) for k in (1, 5, 10)}
    return recalls | {f"{direction}_median_rank": float(np.median(ranks))}


def check_equal(name: str, ours: Scores, theirs: Scores) -> None:
    """Raise unless both found the same."""
    for key in ours.keys() | theirs.keys():
        near = NEAR_RANK if key.endswith("rank") else NEAR[name]
        if abs(ours[key] - theirs[key]) > near:
            raise SystemExit(f"{key}: {ours[key]} by artune, {theirs[key]} by the loop")


def show(name: str, count: int, ours: All) -> None:
    """Run the loop, and print how long a measure takes, how much memory, and how many times as long the loop takes."""
    theirs, loop_s = looped(name, count)
    plain, replicated, shuffled, uneven = ours.plain, ours.replicated, ours.shuffled, ours.uneven
    check_equal(name, plain.scores, theirs)
    found = ", ".join(f"{key} {value:.3f}" for key, value in plain.scores.items())
    print(f"{name}: {found}; the loop finds the same")
    print(f"  {plain.seconds:.2f} CPU-s, the loop {loop_s:.0f}: {loop_s / plain.seconds:.0f} x (goal: {GOALS[name]})")
    print(f"  with {REPLICATES:,} replicates {replicated.seconds:.1f} CPU-s")
    print(f"  {PERMUTATIONS} shufflings {shuffled.seconds:.0f} CPU-s, {uneven.seconds:.0f} of uneven recordings")
    peaks = f"{plain.peak_gb:.2f} GB, {replicated.peak_gb:.2f} with replicates"
    print(f"  peak {peaks}, {max(shuffled.peak_gb, uneven.peak_gb):.2f} of shufflings (goal: {MOST_GB})", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", choices=[[], *GOALS], default=[], help="all, if none is named")
    parser.add_argument("--items", type=int, default=ITEMS)
    arguments = parser.parse_args()
    print(f"{arguments.items:,} items of {WIDTH} numbers, {N_LABELS} labels")
    names = arguments.measures or list(GOALS)
    # All of them before torch is there: a process starts with the peak of the one that starts it.
    found = {name: measured(name, arguments.items) for name in names}
    for name in names:
        show(name, arguments.items, found[name])


if __name__ == "__main__":
    main()
