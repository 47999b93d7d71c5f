"""What travels when a data set is published again after small edits: `python -m benchmarks.publication_bytes`.

200 pairs (1.1 GB: pictures of 1024 px, clips of 30 s in stereo, neither of which compresses) are built, and built again
after edits as a curator makes them: what the source says of ten pictures and their clips changes, so that these pairs
get another label; two classes shrink; two pictures and recordings come; the rule set gets another title. The releases
are then published to a Hub on loopback by the Hub's own client, and the bytes of everything that comes in are counted:
over Xet from the machine that sent the releases before, over Xet each time from a machine that sent none, and over
plain LFS. A client knows chunks from its cache, which lasts three weeks, or asks the Hub for the first chunk of a file
and for one of 1,024 others: https://huggingface.co/docs/xet/deduplication. It takes 10 GB of disk and about six minutes
on two cores.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import yaml

import rules
from curation import building, releases
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from tests.hub_site import Hub
from tests.media import RATE_HZ, tune
from tests.pictures import photo, saved
from tests.xet_site import XetSite

LABELS, PAIRS_PER_LABEL, RECORDING_S = 10, 20, 31
PAIRS = LABELS * PAIRS_PER_LABEL
SIZES = (PAIRS_PER_LABEL,) * LABELS
COLUMNS = ("file", "title", "creator", "genre", "sub_genre", "music_feature", "license")
WORDS = {"genre": "Genre", "sub_genre": "Kind"}
REPO = "ida/pairs"
KNOWING, STRANGE, PLAIN = "Xet", "Xet, another machine", "LFS"

LabelOf = dict[str, int]  # of each file


@dataclass(frozen=True)
class Edit:
    """One edition of the data set."""

    what: str
    goal: str  # the share of the data set that may travel over Xet
    release: Release


def make_media(folder: Path, numbers: Iterable[int]) -> None:
    """Make a picture and a recording of each number, all different."""
    with ProcessPoolExecutor(2) as workers:
        list(workers.map(_make, ((folder, number) for number in numbers)))


def _make(which: tuple[Path, int]) -> None:
    folder, number = which
    saved(folder / f"{number:03}.jpg", photo(1024, 1024, number), quality=95)
    hiss = np.random.default_rng(number).normal(0, 0.02, (RECORDING_S * RATE_HZ, 2))
    soundfile.write(folder / f"{number:03}.wav", tune(RECORDING_S, number)[:, None] + hiss, RATE_HZ, "PCM_16")


def write_table(folder: Path, label_of: LabelOf) -> None:
    """Write what the source says of each file; a file that is not named stays out of the data set."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, label in label_of.items():
            says = (f"Genre {label}", "", "") if name.endswith(".jpg") else ("", f"Kind {label}", "Played")
            writer.writerow([name, f"Work {Path(name).stem}", "Ida", *says, "CC0-1.0"])


def write_rules(folder: Path, sizes: Iterable[int], title: str = "Ten labels") -> None:
    """Write a rule set in which each label has a genre and a sub-genre of its own."""
    labels = [
        {
            "name": f"Label {number}",
            "size": size,
            "image": {"any": [{"genre": [f"Genre {number}"]}]},
            "music": {"features": ["Played"], "sub_genres": {f"Kind {number}": size}},
        }
        for number, size in enumerate(sizes)
    ]
    words = {kind: {f"{word} {n}": None for n in range(LABELS)} for kind, word in WORDS.items()}
    parts: dict[str, Mapping[str, object]] = {
        "settings": {"name": "ten", "title": title, "seed": 1},
        "labels": {"labels": labels},
        "vocabulary": {"vocabulary": {**words, "music_feature": {"Played": None}}},
        "licenses": {"licenses": {"embed": ["CC0-1.0"]}},
    }
    folder.mkdir(exist_ok=True)
    for name, part in parts.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(part, sort_keys=False), encoding="utf-8")


def published(release: Release, config: str, columns: list[str]) -> pa.Table:
    """Return columns of a config of a release, in the order of pair_id."""
    paths = sorted((release.folder / config).iterdir())
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in paths]).sort_by("pair_id")


def relabeled(release: Release, label_of: LabelOf) -> LabelOf:
    """Give both sides of one pair of each label to the next label.

    So each label has one picture and one clip that are free, which makes them partners again: no pair ends, as when a
    rule changes that fits both. What is chosen lies in all buckets.
    """
    rows = published(release, "metadata", ["pair_id", "label", "image_source_id", "music_source_id"]).to_pylist()
    changed = dict(label_of)
    for label in range(LABELS):
        row = [row for row in rows if row["label"] == label][(7 * label + 5) % PAIRS_PER_LABEL]
        changed |= dict.fromkeys((row["image_source_id"], row["music_source_id"]), (label + 1) % LABELS)
    return changed


def make_edits(root: Path) -> list[Edit]:
    """Build the data set and every edit of it, each upon the one before."""
    media, rule_folder = root / "media", root / "rules"
    media.mkdir()
    make_media(media, range(PAIRS + 2))
    files = [f"{number:03}.{ending}" for number in range(PAIRS + 2) for ending in ("jpg", "wav")]
    everything = {name: int(name[:3]) % LABELS for name in files}

    def build(label_of: LabelOf, sizes: Iterable[int], title: str = "Ten labels") -> Release:
        write_table(media, label_of)
        write_rules(rule_folder, sizes, title)
        rule_set, home = rules.load(str(rule_folder)), Home(root / "home")
        release = building.build(home, [f"folder:{media}"], rule_set, in_threads(2), may_drop=True)
        assert release is not None
        return release

    label_of = dict(list(everything.items())[: 2 * PAIRS])
    edits = [Edit("first release", "", build(label_of, SIZES))]
    label_of = relabeled(edits[0].release, label_of)
    edits.append(Edit("5 % get another label", "1 %", build(label_of, SIZES)))
    smaller = (*(size - 1 for size in SIZES[:2]), *SIZES[2:])
    edits.append(Edit("1 % dropped", "3 %", build(label_of, smaller)))
    label_of |= {name: label + 2 for name, label in everything.items() if name not in label_of}
    larger = (*smaller[:2], *(size + 1 for size in smaller[2:4]), *smaller[4:])
    edits.append(Edit("1 % added", "3 %", build(label_of, larger)))
    edits.append(Edit("another card", "0.1 %", build(label_of, larger, "Ten labels, by another title")))
    return edits


def changed_rows(before: Release, after: Release) -> str:
    """Return how many pairs changed, ended and came."""
    old, new = (
        dict(zip(*published(release, "metadata", ["pair_id", "label"]).to_pydict().values(), strict=True))
        for release in (before, after)
    )
    changed = sum(pair in new and new[pair] != label for pair, label in old.items())
    return f"{changed} changed, {len(old.keys() - new.keys())} ended, {len(new.keys() - old.keys())} new"


def size_bytes(release: Release) -> int:
    """Return the size of the published data files."""
    names = ("data/", "metadata/", "references/")
    return sum(row["size_bytes"] for name, row in release.manifest["files"].items() if name.startswith(names))


def travel(root: Path, way: str, edits: list[Edit]) -> list[int]:
    """Publish every release to a new Hub and return the bytes that came in there for each."""
    totals: list[int] = []
    with tempfile.TemporaryDirectory(dir=root) as name, ExitStack() as stack:
        folder = Path(name)
        xet = None if way == PLAIN else stack.enter_context(XetSite(folder / "xorbs"))
        hub = stack.enter_context(Hub(folder / "hub", xet=xet))
        for edit in edits:
            machine = folder / (f"machine{edit.release.number}" if way == STRANGE else "machine")
            publish_elsewhere(root / "home", edit.release, hub, machine, is_xet=xet is not None)
            assert f"v{edit.release.number}" in hub.repo(REPO).tags
            totals.append(hub.received_bytes + (xet.received.total() if xet else 0))
    return np.diff(totals, prepend=0).tolist()


def publish_elsewhere(home: Path, release: Release, hub: Hub, machine: Path, *, is_xet: bool) -> None:
    """Publish in a process of its own, for the client reads its settings once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.user("ida").token, "HF_HOME": str(machine)}
    environment |= {"HF_HUB_DISABLE_XET": "0" if is_xet else "1"}
    command = [sys.executable, "-m", "benchmarks.publication_bytes", "--publish", str(home), str(release.number)]
    subprocess.run(command, env=environment, check=True)


def publish(home: Home, number: int) -> None:
    """Publish a release to the Hub of the environment."""
    from curation.publishing import hub  # with the settings of this process

    hub.publish(home, releases.get(home, number), REPO, in_threads(1), private=False)


def main() -> None:
    """Print what travels after each edit, and its share of the data set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--publish", nargs=2, metavar=("HOME", "RELEASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(Home(Path(arguments.publish[0])), int(arguments.publish[1]))
        return
    ways = (KNOWING, STRANGE, PLAIN)
    with tempfile.TemporaryDirectory() as name:
        edits = make_edits(Path(name))
        counts = {way: travel(Path(name), way, edits) for way in ways}
        print(f"| edit | rows | goal | {' | '.join(ways)} |\n|---|---|---|{'---|' * len(ways)}")
        for at, edit in enumerate(edits):
            rows = changed_rows(edits[at - 1].release, edit.release) if at else f"{PAIRS} new"
            total = size_bytes(edit.release)
            cells = [f"{counts[way][at] / 1e6:,.2f} MB, {counts[way][at] / total:.2%}" for way in ways]
            print(f"| {edit.what} | {rows} | {edit.goal} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
