"""How long `artune plan` takes after an edit of a rule: `python -m benchmarks.plan`.

On 24,216 items from the command line, the start of the interpreter and imports included; and on a million items in one
process. The edit moves a style from one label
to another. Exit status 1: slower than a goal.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rules
from benchmarks import synthetic
from curation import collect, planning
from curation.collect import Listing
from curation.schemas import ITEMS
from curation.store import Home, read_tables
from flows import terminal
from rules.schema import RuleSet

ITEMS_OF_A_CURATOR, MANY_ITEMS = 24_216, 1_000_000
GOALS_S = {ITEMS_OF_A_CURATOR: 2.0, MANY_ITEMS: 10.0}
STYLE = "Digital art"  # of Electronic music, in museart18
SLOW = ("pandas", "pyarrow.dataset", "scipy.optimize", "pydantic", "prefect", "datasets", "duckdb", "librosa")


def edit(rule_folder: Path) -> None:
    """Take a style from the label that has it first and give it to the next."""
    path = rule_folder / "labels.yaml"
    text = path.read_text(encoding="utf-8")
    assert f"- {STYLE}\n" in text
    path.write_text(text.replace(f"- {STYLE}\n", "- Fantasy art\n", 1), encoding="utf-8")


def remember(home: Home, rule_folder: Path) -> None:
    """Leave behind what a build does: the listing, and what it was told."""
    versions = read_tables(home.items(synthetic.SOURCE), ITEMS, collect.VERSION_KEY)
    collect.remember(home, rules.load(str(rule_folder)).name, Listing(versions, [], (synthetic.SOURCE,)))
    terminal.remember_build(home, [synthetic.SOURCE], str(rule_folder))


def command_s(home: Home, rule_folder: Path) -> float:
    """Return the wall time of the command."""
    artune = Path(sys.executable).with_name("artune")
    arguments = ["plan", "--home", home.root, "--rules", rule_folder]
    start_s = time.perf_counter()
    done = subprocess.run([artune, *map(str, arguments)], capture_output=True, text=True, check=False)
    spent_s = time.perf_counter() - start_s
    if done.returncode != 2:
        sys.exit(done.stdout + done.stderr)
    return spent_s


def imports_s() -> dict[str, float]:
    """Return what the imports of the command cost, as the interpreter counts them, with all that they bring."""
    code = "from curation import planning; import rules.loading, flows.cli"
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    lines = (line.removeprefix("import time:").split("|") for line in told.stderr.splitlines()[1:])
    found = {name.strip(): int(cumulative) / 1e6 for _, cumulative, name in lines}
    return {name: found[name] for name in SLOW if name in found}


def plan_s(home: Home, rule_set: RuleSet) -> float:
    """Return the CPU and wall time of a plan in this process, whose items are all those of the tables."""
    versions = read_tables(home.items(synthetic.SOURCE), ITEMS, ["source", "source_id", "version"])
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    plan = planning.plan(home, Listing(versions, []), rule_set)
    spent_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  {len(plan.changes.items):,} units of {len(plan.changes.after):,} pairs change; {plan.changes.pairs}")
    print(f"  {spent_s:.2f} s, {cpu_s:.2f} CPU-s, peak {peak:.2f} GB")
    return spent_s


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs=2, default=[ITEMS_OF_A_CURATOR, MANY_ITEMS])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    few, many = arguments.items
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        home, _ = synthetic.write(place / "few", few, release=True)
        remember(home, place / "few" / "rules")
        edit(place / "few" / "rules")
        rounds = [command_s(home, place / "few" / "rules") for _ in range(arguments.rounds)]
        spent = {few: statistics.median(rounds)}
        print(f"{few:,} items from the command line: median {spent[few]:.2f} s of {[round(x, 2) for x in rounds]}")
        print("  of that imports, each with all that it brings: ", end="")
        print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in imports_s().items()))
        print(f"{many:,} items in one process:")
        home, _ = synthetic.write(place / "many", many, release=True)
        edit(place / "many" / "rules")
        spent[many] = plan_s(home, rules.load(str(place / "many" / "rules")))
    for count, seconds in spent.items():
        goal_s = GOALS_S.get(count, float("inf"))
        print(f"{count:,} items: {seconds:.2f} s (goal: {goal_s} s) {'reached' if seconds <= goal_s else 'MISSED'}")
    sys.exit(any(seconds > GOALS_S.get(count, float("inf")) for count, seconds in spent.items()))


if __name__ == "__main__":
    main()
