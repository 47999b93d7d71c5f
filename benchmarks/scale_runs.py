"""The chain of a build on synthetic items without media, a process for each stage: what `benchmarks.scale --run` runs.

The work folder has the tables that a real one would have: files of 250 rows. Everything is done by what a build and a
plan call; only what reads or writes media is counted and left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import yaml

import rules
from benchmarks import synthetic
from curation import building, collect, measure, planning, releases, sources
from curation.batches import MAX_BATCH_ITEMS
from curation.sources import Entry
from curation.store import Home, read_tables

NEED_MEDIA = ("cut clips", "write shards", "report")  # stages of a build that are only counted
MODALITY = {"images": "image", "recordings": "music"}
KEPT = pa.schema([("pair_id", pa.string())])
# What a file of the work folder is, by the beginning of its path; the first that fits.
KINDS = {
    "items": ("items/",),
    "derived": ("derived/images-", "derived/recordings-"),
    "links": ("derived/links-",),
    "listing": ("listings/",),
    "assignment": ("releases/1/assignment",),
    "rejections": ("releases/1/rejections",),
    "candidates": ("releases/1/candidates",),
    "metadata": ("releases/1/metadata",),
    "references": ("releases/1/references",),
    "release JSON": ("releases/1.json",),
}


@dataclass(frozen=True)
class Run:
    """What a run at one size took.

    Attributes:
        cpu_s: of each stage, user and system, start and imports of its process included.
        peak_mb: of each stage's process.
        bytes: of the files of each kind; `files` are their numbers.
        tasks: batches of each stage of a build.
        told: whatever else a stage said.
    """

    items: int
    cpu_s: dict[str, float]
    peak_mb: dict[str, float]
    bytes: dict[str, int]
    files: dict[str, int]
    tasks: dict[str, int]
    told: dict[str, int]


def run(items: int) -> Run:
    """Run all stages at one size, in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        synthetic.write_rules(place / "rules", items)
        results = {stage: _in_process(stage, place, items) for stage in STAGES}
        bytes_of, files = _sizes(place / "home")
    return Run(
        items,
        {stage: result["cpu_s"] for stage, result in results.items()},
        {stage: result["peak_mb"] for stage, result in results.items()},
        bytes_of,
        files,
        {task: count for stage in ("build", "list") for task, count in results[stage]["tasks"].items()},
        {what: count for result in results.values() for what, count in result.get("told", {}).items()},
    )


def _in_process(stage: str, place: Path, items: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale_runs", stage, str(place), str(items)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = cast(dict[str, Any], json.loads(done.stdout.splitlines()[-1]))
    print(f"  {items:,} items, {stage}: {found}", file=sys.stderr)
    return found


def _sizes(folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return bytes and number of the files of each kind."""
    sizes, counts = Counter[str](), Counter[str]()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        kind = next((kind for kind, begins in KINDS.items() if name.startswith(begins)), None)
        if kind and path.is_file():
            sizes[kind] += path.stat().st_size
            counts[kind] += 1
    return dict(sizes), dict(counts)


@contextmanager
def _synthetic_source(items: int) -> Iterator[None]:
    """Let the build list a local source whose items are all there, none of them new."""

    def entries(location: str) -> Iterator[Entry]:
        return (Entry(source_id, synthetic.STATE) for source_id in synthetic.ids(items))

    with patch.object(sources, "get", lambda name: SimpleNamespace(entries=entries)):
        yield


def _write(place: Path, items: int) -> dict[str, Any]:
    home, rule_set = Home(place / "home"), rules.load(str(place / "rules"))
    home.mark()
    synthetic.write_tables(home, rule_set, items, rows_per_file=MAX_BATCH_ITEMS)
    return {}


def _list(place: Path, items: int) -> dict[str, Any]:
    """List the source, as a build does first; and cut what a first build would have to do into batches."""
    home, rule_set = Home(place / "home"), rules.load(str(place / "rules"))
    listing = collect.list_sources(home, [synthetic.SOURCE])
    rows = collect.current_items(home, listing)
    tasks = {}
    for step in measure.steps(rule_set).values():
        of_step = rows.filter(pc.equal(rows["modality"], MODALITY[step.name]))["sha256"]
        tasks[f"measure {step.name}"] = len(measure.pending(home, replace(step, key="of nothing yet"), of_step))
    return {"tasks": tasks, "told": {"rows": len(rows), "new": sum(len(batch.entries) for batch in listing.batches)}}


def _link(place: Path, items: int) -> dict[str, Any]:
    """Find what looks or sounds alike; the build after it finds that done."""
    home, rule_set = Home(place / "home"), rules.load(str(place / "rules"))
    measured = synthetic.measured_of(home, rule_set)
    found = planning.links_of(home, measured, rule_set, keep=True)
    return {"told": {"links": len(found.images) + len(found.recordings)}}


def _build(place: Path, items: int) -> dict[str, Any]:
    """Build; what has to read or write media is counted only."""
    home, rule_set = Home(place / "home"), rules.load(str(place / "rules"))
    tasks: Counter[str] = Counter()

    def each(work: Callable[[Any], Any], batches: Sequence[Any], stage: str) -> list[Any]:
        tasks[stage] += len(batches)
        return [] if stage in NEED_MEDIA else list(map(work, batches))

    with patch.object(building._Builder, "_check_disk", lambda *_: None):  # for the media that are not written
        release = building.build(home, [synthetic.SOURCE], rule_set, each, may_drop=True)
    return {"tasks": dict(tasks), "told": {"pairs": sum(release.manifest["pairs"].values())} if release else {}}


def _shrink(rule_folder: Path) -> None:
    """Let the first label have a tenth less of everything."""
    path = rule_folder / "labels.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    first = content["labels"][0]
    quotas = {name: max(1, quota * 9 // 10) for name, quota in first["music"]["sub_genres"].items()}
    first["music"]["sub_genres"] = quotas
    first["size"] = sum(quotas.values())
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _plan(place: Path, items: int) -> dict[str, Any]:
    """Edit a rule and look at what it would change."""
    _shrink(place / "rules")
    home, rule_set = Home(place / "home"), rules.load(str(place / "rules"))
    listing = collect.last_listing(home, rule_set.name)
    assert listing
    changes = planning.plan(home, listing, rule_set).changes
    return {"told": {"pairs ended": changes.pairs.ended, "pairs new": changes.pairs.new}}


def _build_again(place: Path, items: int) -> dict[str, Any]:
    """Build release 2 by the edited rules; count what is as release 1 has it."""
    _build(place, items)
    home = Home(place / "home")
    first, second = (read_tables(home.release(number) / "metadata", KEPT) for number in (1, 2))
    kept = pc.sum(pc.is_in(second["pair_id"], value_set=first["pair_id"].combine_chunks())).as_py()
    return {"told": {"pairs again": len(second), "pairs kept": kept}}


def _no_op(place: Path, items: int) -> dict[str, Any]:
    home = Home(place / "home")
    before = releases.numbers(home)
    _build(place, items)
    assert releases.numbers(home) == before
    return {}


STAGES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "tables": _write,
    "list": _list,
    "links": _link,
    "build": _build,
    "no-op": _no_op,
    "plan": _plan,
    "build again": _build_again,
}


def main() -> None:
    """Run one stage in this process and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("place", type=Path)
    parser.add_argument("items", type=int)
    arguments = parser.parse_args()
    with _synthetic_source(arguments.items):
        result = STAGES[arguments.stage](arguments.place, arguments.items)
    spent = os.times()
    peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    print(json.dumps(result | {"cpu_s": round(spent.user + spent.system, 2), "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
