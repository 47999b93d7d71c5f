"""Peak memory of publishing a release of 2 GB and of loading it back: `python -m benchmarks.publish_memory`.

The release is written by the project's own writers, of noise that does not compress: clips of 30 s and pictures of
200 kB, in files of 400 MB with row groups of 100 MB. Every tenth pair may only be referenced, so most files are
written anew while they are published. A Hub on loopback runs in a process of its own, and so does the publisher, whose
peak is the operating system's account of it. It takes 5 GB of disk.
"""

import argparse
import hashlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

import rules
from curation import releases
from curation.building import hash_files
from curation.releases import PublishedRules
from curation.schemas import PAIRS, REFERENCES
from curation.shards import MEDIA_COLUMNS, Bucket, by_bucket, features_schema, write_bucket, write_plain
from curation.store import Home, digest

BUCKETS = {"train": 4, "validation": 1, "test": 1}
SPLITS = ("train",) * 4 + ("validation", "test")
REFERENCED_SHARE = 0.1
WAV_BYTES, PICTURE_BYTES = 5_292_044, 200_000
REPO = "ida/large"


def make_pairs(count: int) -> pa.Table:
    """Make rows without media, schema PAIRS with the column split, ordered by pair_id."""
    ids = sorted(hashlib.sha256(f"pair {number}".encode()).hexdigest() for number in range(count))
    labels = rules.load("museart18").label_names
    open_ones = [number % round(1 / REFERENCED_SHARE) > 0 for number in range(count)]
    columns = {
        "pair_id": pa.array(ids),
        "label": pa.array([labels[number % len(labels)] for number in range(count)]),
        "image_license": pa.array(["CC0-1.0" if is_open else "unknown" for is_open in open_ones]),
        "music_license": pa.array(["CC0-1.0"] * count),
        **{
            f"{side}_{name}": pa.array([f"{name} of {side} {number}" for number in range(count)])
            for side in ("image", "music")
            for name in ("source", "source_id", "title", "creator", "attribution")
        },
        **{
            f"{side}_sha256": pa.array([digest([side, number]) for number in range(count)])
            for side in ("image", "music")
        },
    }
    found = pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in PAIRS], PAIRS)
    return found.append_column("split", pa.array([SPLITS[number % len(SPLITS)] for number in range(count)]))


def make_references(pairs: pa.Table) -> pa.Table:
    """Make a row for each side of each pair, schema REFERENCES."""
    rows = [
        {"side": side, "sha256": pair[f"{side}_sha256"], "license": pair[f"{side}_license"]}
        | {name: pair[name] for name in ("pair_id", "split", "label")}
        for pair in pairs.to_pylist()
        for side in ("image", "music")
    ]
    return pa.Table.from_pylist(rows, REFERENCES)


def write_media(home: Home, folder: Path, pairs: pa.Table, rule_set: PublishedRules) -> None:
    """Write the files with media; what they are made from is gone after each."""
    schema = features_schema(rule_set, "default")
    media_schema = pa.schema([schema.field(name) for name in MEDIA_COLUMNS])
    lots = np.random.default_rng(0)
    for name, rows in by_bucket(pairs, BUCKETS):
        made, places = home.temporary(), {}
        with pa.OSFile(str(made), "wb") as sink, pa.ipc.new_file(sink, media_schema) as writer:
            for row, pair_id in enumerate(rows["pair_id"].to_pylist()):
                values = {
                    "image": {"bytes": lots.bytes(PICTURE_BYTES), "path": f"{pair_id}.jpg"},
                    "audio": {"bytes": lots.bytes(WAV_BYTES), "path": f"{pair_id}.wav"},
                }
                writer.write_batch(pa.RecordBatch.from_pylist([values], schema=media_schema))
                places[pair_id] = made, row
        path = folder / "data" / f"{name}.parquet"
        write_bucket(Bucket(home, path, rule_set, rows.drop_columns(["split"]), places, None))
        made.unlink()


def write_release(home: Home, count: int) -> int:
    """Write release 1 with so many pairs; return the bytes of its files."""
    home.mark()
    rule_set, pairs, folder = releases.publish(rules.load("museart18"), None), make_pairs(count), home.release(1)
    folder.mkdir(parents=True)
    write_media(home, folder, pairs, rule_set)
    one_file = dict.fromkeys(BUCKETS, 1)
    for name, rows in by_bucket(pairs, one_file):
        write_plain(home, folder / "metadata" / f"{name}.parquet", rows.drop_columns(["split"]), rule_set)
    for name, rows in by_bucket(make_references(pairs), one_file):
        write_plain(home, folder / "references" / f"{name}.parquet", rows, rule_set)
    (folder / "rule_set.json").write_text(releases.written(rule_set), encoding="utf-8")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {path.relative_to(folder).as_posix(): row for path, row in zip(paths, hash_files(paths), strict=True)}
    manifest = {
        "release": 1,
        "parent": None,
        "inputs": digest(["benchmark", count]),
        "rule_set": {"name": rule_set.name, "digest": rule_set.digest},
        "seed": rule_set.seed,
        "labels": list(rule_set.numbering),
        "buckets": BUCKETS,
        "pairs": dict(Counter(sorted(pairs["split"].to_pylist()))),
        "rejections": {},
        "files": listed,
    }
    (home.root / "releases" / "1.json").write_text(json.dumps(manifest), encoding="utf-8")
    return sum(path.stat().st_size for path in paths)


def publish(root: Path, where: str) -> None:
    """Publish in this process, load it back, and print what this took."""
    from curation.batches import in_threads
    from curation.publishing import proof, publication

    home = Home(root / "home")
    release = releases.get(home, 1)
    outcome = publication.publish(home, release, where, in_threads(1), private=False)
    sent = peak_mb()
    found = proof.check(home, release, outcome, in_threads(1))
    sys.stdout.write(
        f"{len(outcome.sent_files)} files, {outcome.sent_bytes / 1e9:.2f} GB sent; {found.shards} files, {found.rows} "
        f"rows loaded back\npeak of publishing {sent:,.0f} MB, with loading it back {peak_mb():,.0f} MB\n"
    )


def peak_mb() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Write the release, start a Hub, publish, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--to-folder", action="store_true", help="publish to a folder instead")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(arguments.publish, str(arguments.publish / "place") if arguments.to_folder else REPO)
        return
    with tempfile.TemporaryDirectory() as place:
        pairs = round(arguments.gigabytes * 1e9 / (WAV_BYTES + PICTURE_BYTES))
        sys.stdout.write(f"a release of {write_release(Home(Path(place) / 'home'), pairs) / 1e9:.2f} GB\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", "tests.hub_site", "--folder", f"{place}/hub"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hub:
            try:
                run(Path(place), said_by(hub), ["--to-folder"] * arguments.to_folder)
            finally:
                hub.terminate()


def said_by(hub: "subprocess.Popen[str]") -> dict[str, str]:
    """Return the environment that the Hub tells its clients to have."""
    assert hub.stdout is not None
    words = [word for _ in range(2) for word in shlex.split(hub.stdout.readline(), comments=True)[1:]]
    return dict(word.split("=", 1) for word in words)


def run(place: Path, environment: dict[str, str], options: list[str]) -> None:
    """Publish in a process of its own, which knows no other Hub."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(place / "hf"), "USE_TORCH": "0"}  # the latter as `artune publish` does it
    command = [sys.executable, "-m", "benchmarks.publish_memory", "--publish", str(place), *options]
    subprocess.run(command, check=True, env=here | environment)


if __name__ == "__main__":
    main()
