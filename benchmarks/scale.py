"""What a data set costs at any size, on paper, and how near the paper is: `python -m benchmarks.scale`.

Prints the tables of benchmarks/SCALE.md; with --write it puts them there, and tests/test_scale.py holds the page to it.
`--run 10000 100000 1000000` checks the model by builds of synthetic items without media (benchmarks.scale_runs) and
prints measured over predicted; with --write the runs are kept in benchmarks/scale_runs.json. A collection here is nine
tenths pictures, one tenth recordings of 4 minutes, and so many pairs as the sizes of museart18 give 60,000 items.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass

from curation.batches import MAX_BATCH_ITEMS
from curation.cutting import MAX_CLIPS_PER_BATCH
from curation.shards import ROWS_PER_METADATA_FILE, TARGET_FILE_BYTES, TYPICAL_IMAGE_BYTES

SIZES = (100_000, 10_000_000, 1_000_000_000)

# The collection, as benchmarks.synthetic makes it.
PICTURE_SHARE, RECORDING_SHARE, PAIR_SHARE = 0.9, 0.1, 0.394  # of the items; pairs as the runs found them
SPLITS = (0.8, 0.1, 0.1)
PICTURE_BYTES, RECORDING_BYTES = 375_000, 3_890_000  # python -m benchmarks.scale_media
FINGERPRINT_ITEMS = 1_940  # of a recording of 4 minutes: 194 million of 100,000, python -m benchmarks.find_duplicates
ROW_BYTES = 44 + 30 * 44_100 * 2 * 2 + TYPICAL_IMAGE_BYTES  # curation.shards.row_bytes of museart18

# How fast sites may be asked: curation/sources/wikiart.py and youtube.py; README, "Credentials and manners".
PICTURES_PER_S, RECORDINGS_PER_H, REQUESTS_PER_RECORDING = 4.0, 250, 3.6

# CPU seconds. Media: python -m benchmarks.scale_media, for the sizes above.
COLLECT_PICTURE_S, MEASURE_PICTURE_S, MEASURE_RECORDING_S = 0.0007, 0.0205, 2.70
ENCODE_PICTURE_S, CUT_CLIP_S = 0.018, 0.045
# Writing Parquet and reading the Arrow file before it, 0.30 and 0.42 GB/s; sha256 at 1.4 GB/s.
WRITE_S_PER_BYTE, HASH_S_PER_BYTE = 1 / 0.30e9 + 1 / 0.42e9, 1 / 1.4e9
# python -m benchmarks.find_duplicates: 67 CPU-s of 1,000,000 pictures, 228 of 100,000 recordings.
LINK_PICTURE_S, LINK_RECORDING_S = 67e-6, 228e-5

# Prefect: python -m benchmarks.scale_prefect, and the test of PostgreSQL. stack.md's 16 to 30 ms is client and server.
FLOW_S, SERVER_S, DASK_S = 0.005, 0.028, 0.3
DATABASE_BYTES_PER_TASK = 30_000
CLIPS_PER_CUT = 0.95 * MAX_CLIPS_PER_BATCH  # a batch ends with a recording

# AWS S3 Standard, us-east-1, list price in dollars (aws.amazon.com/s3/pricing): PUT and LIST, GET, a GB for a month.
PUT_PRICE, GET_PRICE, GB_MONTH_PRICE = 0.005 / 1000, 0.0004 / 1000, 0.023
KEYS_PER_PAGE = 1_000
PART_BYTES = 50 << 20  # of a multipart upload, as s3fs cuts them
READS_OF_TABLES = 5  # of items, or of measurements, in a build


TOLERANCE = 0.35  # of what is measured, to what the model says


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity that grows evenly: so much for nothing, so much more for each item."""

    base: float
    slope: float

    def at(self, items: float) -> float:
        """Return it for so many items."""
        return self.base + self.slope * items


# Of the process of each stage, start and imports included; between what the runs of scale_runs.json measured.
CPU_S = {
    "list": Line(1.4, 17e-6),
    "build": Line(2.3, 47e-6),
    "no-op": Line(1.4, 31e-6),
    "plan": Line(1.8, 37e-6),
    "build again": Line(2.0, 79e-6),
}
PEAK_MB = {
    "list": Line(240, 1.05e-3),
    "build": Line(280, 2.9e-3),
    "no-op": Line(250, 1.1e-3),
    "plan": Line(320, 3.7e-3),
    "build again": Line(310, 3.35e-3),
}
# Of an item, or of a pair where a table has a row for each. Titles here are short: a real home has about twice as much.
# Ids here are numbers in order, which are stored in nearly nothing; those of a site are random: 24 hexadecimal digits.
TABLE_BYTES = {
    "items": 84.4,
    "derived": 367,
    "listing": 15.0,
    "candidates": 15.3,
    "rejections": 26.1,
    "assignment": 108 * PAIR_SHARE,
    "metadata": 143 * PAIR_SHARE,
    "references": 151 * PAIR_SHARE,
}
JSON_BYTES, JSON_BYTES_PER_FILE = 2_500, 155  # releases/<n>.json


def pairs(items: float) -> float:
    """Return the pairs of a release."""
    return PAIR_SHARE * items


def data_files(items: float) -> int:
    """Return the buckets of all splits: powers of two, as curation.shards.bucket_counts chooses them."""
    wanted = (share * pairs(items) * ROW_BYTES / TARGET_FILE_BYTES for share in SPLITS)
    return sum(1 << max(0, round(math.log2(max(each, 1)))) for each in wanted)


def plain_files(items: float) -> int:
    """Return the files of metadata, or of references."""
    wanted = (share * pairs(items) / ROWS_PER_METADATA_FILE for share in SPLITS)
    return sum(1 << max(0, round(math.log2(max(each, 1)))) for each in wanted)


def tasks(items: float) -> dict[str, int]:
    """Return the Prefect tasks of a first build, by stage."""
    return {
        "collect": math.ceil(items / MAX_BATCH_ITEMS),
        "measure": math.ceil(PICTURE_SHARE * items / MAX_BATCH_ITEMS)
        + math.ceil(RECORDING_SHARE * items / MAX_BATCH_ITEMS),
        "cut clips": math.ceil(pairs(items) / CLIPS_PER_CUT),
        "write shards": data_files(items),
        "hash": math.ceil((data_files(items) + 2 * plain_files(items)) / MAX_BATCH_ITEMS),
    }


def objects(items: float) -> dict[str, float]:
    """Return the files of a home with one release, by kind."""
    tables = {"items": tasks(items)["collect"], "derived": tasks(items)["measure"]}
    return {"blobs": items, **tables, "data": data_files(items), "metadata, references": 2 * plain_files(items)}


def release_json_bytes(items: float) -> float:
    """Return the size of releases/<n>.json, which names every file of the release."""
    return JSON_BYTES + JSON_BYTES_PER_FILE * (data_files(items) + 2 * plain_files(items) + 10)


def blob_bytes(items: float) -> float:
    """Return what is fetched and kept as it is."""
    return items * (PICTURE_SHARE * PICTURE_BYTES + RECORDING_SHARE * RECORDING_BYTES)


def release_bytes(items: float) -> float:
    """Return the media of a release, which a first publication sends."""
    return pairs(items) * ROW_BYTES


def table_bytes(items: float) -> float:
    """Return all tables of a home with one release."""
    return items * sum(TABLE_BYTES.values())


def cpu_s(items: float) -> dict[str, float]:
    """Return CPU seconds of a first build, by stage."""
    pictures, recordings = PICTURE_SHARE * items, RECORDING_SHARE * items
    return {
        "collect": COLLECT_PICTURE_S * (pictures + recordings * RECORDING_BYTES / PICTURE_BYTES),
        "measure pictures": MEASURE_PICTURE_S * pictures,
        "measure recordings": MEASURE_RECORDING_S * recordings,
        "find duplicates": LINK_PICTURE_S * pictures + LINK_RECORDING_S * recordings,
        "decide, write tables": CPU_S["build"].at(items),
        "cut and encode": (ENCODE_PICTURE_S + CUT_CLIP_S) * pairs(items),
        "write and hash shards": (WRITE_S_PER_BYTE + HASH_S_PER_BYTE) * release_bytes(items),
        "Prefect": (FLOW_S + SERVER_S) * sum(tasks(items).values()),
    }


def fingerprint_bytes(items: float) -> float:
    """Return the memory in which recordings are compared: curation.fingerprints.overlaps says what it takes."""
    return RECORDING_SHARE * items * FINGERPRINT_ITEMS * (4 + 8)


def requests(items: float) -> dict[str, float]:
    """Return what a first build asks object storage for."""
    count = objects(items)
    parts = release_bytes(items) / PART_BYTES
    return {
        "PUT": sum(count.values()) + parts,
        # Blobs are read to measure and to cut; the tables of items and of measurements by five steps of a build.
        "GET": items + 2 * pairs(items) + READS_OF_TABLES * (count["items"] + count["derived"]),
        "LIST": READS_OF_TABLES * (count["items"] + count["derived"]) / KEYS_PER_PAGE,
    }


def site_days(items: float) -> dict[str, float]:
    """Return how long one site of each kind is asked at its polite rate."""
    return {
        "pictures": PICTURE_SHARE * items / PICTURES_PER_S / 86_400,
        "recordings": RECORDING_SHARE * items / RECORDINGS_PER_H / 24,
    }


def predicted(items: int) -> dict[str, float]:
    """Return what the model says of each quantity that a run measures."""
    return {
        **{f"CPU-s: {stage}": line.at(items) for stage, line in CPU_S.items()},
        **{f"peak MB: {stage}": line.at(items) for stage, line in PEAK_MB.items()},
        **{f"bytes: {kind}": items * each for kind, each in TABLE_BYTES.items() if kind != "listing"},
        "files: items": tasks(items)["collect"],
        "files: derived": tasks(items)["measure"],
        "tasks: measure": tasks(items)["measure"],
        "tasks: cut clips": tasks(items)["cut clips"],
        "tasks: write shards": tasks(items)["write shards"],
        "pairs": pairs(items),
    }


def measured(run: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the same of a run, as benchmarks.scale_runs gives it."""
    named = {"cpu_s": "CPU-s", "peak_mb": "peak MB", "bytes": "bytes", "files": "files", "tasks": "tasks"}
    found = {f"{name}: {of}": value for key, name in named.items() for of, value in run[key].items()}
    found["tasks: measure"] = run["tasks"]["measure images"] + run["tasks"]["measure recordings"]
    return found | {"pairs": run["told"]["pairs"]}


def main() -> None:
    """Print the tables, or measure."""
    from benchmarks import scale_page, scale_runs

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=int, nargs="+", metavar="ITEMS", help="build so many synthetic items and compare")
    parser.add_argument("--write", action="store_true", help="keep what was measured, and the tables in SCALE.md")
    arguments = parser.parse_args()
    runs = [asdict(scale_runs.run(items)) for items in arguments.run or ()]
    for each in runs:
        print(f"{each['items']:,} items: measured (over predicted)")
        model = predicted(each["items"])
        for name, value in measured(each).items():
            ratio = f" ({value / model[name]:.2f})" if name in model else ""
            print(f"  {name}: {scale_page.told(value)}{ratio}")
    if runs and arguments.write:
        scale_page.RUNS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    if arguments.write:
        scale_page.PAGE.write_text(scale_page.page(), encoding="utf-8")
    elif not runs:
        print("\n".join(make() for make in scale_page.TABLES.values()))


if __name__ == "__main__":
    main()
