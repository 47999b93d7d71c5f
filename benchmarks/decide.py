"""CPU time and peak memory of a whole decision with a parent release, as a curve: `python -m benchmarks.decide`.

Each size is made by benchmarks.synthetic and decided twice in processes of their own: the first makes release 1, the
second reads everything and decides release 2 from it, as `plan` does after an edit of a rule. What looks or sounds
alike was found by the first. The smallest size is the peer: with linear growth, microseconds per item stay the same.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES, LARGE = [10_000, 100_000, 1_000_000], 10_000_000
STAGES = ("read", "label, balance, split, pair", "write as tables")


def decide(folder: Path) -> None:
    """Decide release 2 in this process and print CPU seconds and peak in MB after each stage."""
    import rules
    from benchmarks import synthetic
    from curation import evidence, planning, releases
    from curation.assignment import assign
    from curation.store import Home
    from curation.tables import assignment_table, pairs_table

    home, rule_set = Home(folder / "home"), rules.load(str(folder / "rules"))
    began = os.times()
    items = synthetic.items_of(home)
    parent = releases.latest(home, rule_set.name)
    published = releases.publish(rule_set, parent)
    memory = releases.memory_of(parent, published)
    measured = planning.measured(home, items, published, memory)
    found = planning.links_of(home, measured, published, keep=False)
    said = evidence.gather(home, items, published)
    _tell(began)
    began = os.times()
    made = assign(items, *measured, published, memory, found, said)
    _tell(began)
    began = os.times()
    pairs = pairs_table(made)
    assignment_table(made, memory, 2)
    _tell(began)
    print(len(pairs), len(made.pool.images.fitting.fits) + len(made.pool.music.fitting.fits))


def _tell(began: os.times_result) -> None:
    now = os.times()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(now.user - began.user, now.system - began.system, peak_mb)


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--large", action="store_true", help=f"also {LARGE:,} items, which take 20 GB of memory")
    parser.add_argument("--decide", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.decide:
        decide(arguments.decide)
        return
    print(f"seconds of CPU, in the program + in the system for it (peak MB so far), to {', to '.join(STAGES)}")
    for items in [*arguments.sizes, *([LARGE] if arguments.large else [])]:
        with tempfile.TemporaryDirectory() as place:
            make = [sys.executable, "-m", "benchmarks.synthetic", place, "--items", str(items), "--release"]
            subprocess.run(make, check=True, capture_output=True)
            command = [sys.executable, "-m", "benchmarks.decide", "--decide", place]
            lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        *stages, (pairs, combinations) = (line.split() for line in lines)
        numbers = [tuple(map(float, stage)) for stage in stages]
        told = "  ".join(f"{user:5.2f} + {system:5.2f} ({peak:6,.0f})" for user, system, peak in numbers)
        total = sum(user + system for user, system, _ in numbers)
        print(
            f"{items:10,} items: {told}; all {total:6.2f} s, {total / items * 1e6:4.1f} us per item; "
            f"{int(pairs):,} pairs, {int(combinations):,} combinations of tags"
        )


if __name__ == "__main__":
    main()
