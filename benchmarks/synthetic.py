"""A work folder of tables only, as large as asked for: `python -m benchmarks.synthetic FOLDER --items 1000000`.

Nine of ten items are pictures, the others recordings of eight windows on average; words are those of museart18, and
some that it does not know. Creators have several works; some titles are equal, some are details, some blobs and some
looks are there twice. The rule set is museart18 with sizes and quotas in proportion. There is no media, so `plan` and
`explain` work and `build` does not. With --release, what the rules decide becomes release 1, again without media.
"""

import argparse
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import yaml

import rules
from curation import collect, measure, planning, releases
from curation.collect import Listing, current_items
from curation.memory import NO_MEMORY
from curation.schemas import IMAGES, ITEMS, RECORDINGS, TAG, WINDOW
from curation.shards import bucket_counts, by_bucket, metadata_counts, write_plain
from curation.store import Home, read_tables
from rules.schema import Clause, Condition, RuleSet

SOURCE, STATE = "synthetic", "1"
BATCH_ITEMS = 250_000
MUSIC_SHARE = 0.1
ITEMS_OF_SIZES = 60_000  # items to which the sizes of museart18 (24,216 pairs) are in proportion
WORKS_PER_CREATOR = 20
EQUAL_SHARE, ALIKE_SHARE, DETAIL_SHARE, UNKNOWN_SHARE, STRAY_SHARE = 0.005, 0.01, 0.01, 0.05, 0.3
RULES = "museart18"

Numbers = npt.NDArray[np.int64]


def write_rules(folder: Path, items: int) -> None:
    """Write museart18 with sizes and quotas in proportion to the items."""
    shutil.copytree(Path(rules.__file__).parent / RULES, folder, dirs_exist_ok=True)
    path = folder / "labels.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for label in content["labels"]:
        quotas = {name: _scaled(quota, items) for name, quota in label["music"]["sub_genres"].items()}
        label["music"]["sub_genres"] = quotas
        label["size"] = min(_scaled(label["size"], items), sum(quotas.values()))
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _scaled(size: int, items: int) -> int:
    return max(1, round(size * items / ITEMS_OF_SIZES))


def write_tables(home: Home, rule_set: RuleSet, items: int, rows_per_file: int = BATCH_ITEMS) -> None:
    """Write items and measurements, each in files of so many rows."""
    steps = measure.steps(rule_set)
    for number, start in enumerate(range(0, items, BATCH_ITEMS)):
        count = min(BATCH_ITEMS, items - start)
        lots = np.random.default_rng(number)
        music = max(1, round(count * MUSIC_SHARE))
        pictures, recordings = (
            _pictures(lots, rule_set, start, count - music),
            _recordings(lots, rule_set, start, music),
        )
        name = f"{number:08}"
        _write(home, home.items(SOURCE), name, pa.concat_tables([pictures, recordings]), rows_per_file)
        for modality, rows in (("image", pictures), ("music", recordings)):
            blobs = pc.unique(rows["sha256"].combine_chunks())
            make = _measured_images if modality == "image" else _measured_recordings
            step = steps[modality]
            _write(home, home.derived(step.name, step.key), name, make(lots, blobs), rows_per_file)


def _write(home: Home, folder: Path, name: str, rows: pa.Table, rows_per_file: int) -> None:
    for number, start in enumerate(range(0, len(rows), rows_per_file)):
        home.write_table(folder / f"{name}-{number:05}.parquet", rows.slice(start, rows_per_file))


def ids(items: int) -> Iterator[str]:
    """Yield the ids of all items, as a source would list them."""
    for start in range(0, items, BATCH_ITEMS):
        count = min(BATCH_ITEMS, items - start)
        music = max(1, round(count * MUSIC_SHARE))
        yield from (_id("image", start + number) for number in range(count - music))
        yield from (_id("music", start + number) for number in range(music))


def _id(modality: str, number: int) -> str:
    return f"{modality}/{number:09}"


def _pictures(lots: np.random.Generator, rule_set: RuleSet, start: int, count: int) -> pa.Table:
    creators = lots.integers((start + count) // WORKS_PER_CREATOR + 1, size=count)
    # What is true of a creator follows from the number of the creator, so that works agree with each other.
    labels = np.where(lots.random(count) < STRAY_SHARE, lots.integers(len(rule_set.labels), size=count), creators)
    labels %= len(rule_set.labels)
    asked = [_words(label.image) for label in rule_set.labels]
    words = {
        kind: _drawn(lots, labels, [found[kind] for found in asked], list(rule_set.vocabulary[kind]), creators)
        for kind in ("style", "genre", "century", "nationality")
    }
    years = (labels * 97 % 6 + 14) * 100 + creators % 60 + lots.integers(0, 40, count)
    has_year, is_known = lots.random(count) < 0.5, lots.random(count) >= UNKNOWN_SHARE
    manner = np.minimum(lots.zipf(1.5, count), 200)
    manners = pa.array([f"Manner {number}" for number in range(201)]).take(pa.array(manner))
    everything = np.ones(count, dtype=bool)
    tags = _tags(
        [
            ("style", words["style"], everything),
            ("style", manners, ~is_known),
            ("genre", words["genre"], everything),
            ("century", words["century"], ~has_year),
            ("nationality", words["nationality"], has_year),
        ]
    )
    titles = _titles(lots, words["genre"], count)
    return _items("image", lots, start, creators, titles, years, has_year, tags)


def _words(condition: Condition | Clause) -> dict[str, list[str]]:
    """Return the words by which a condition can be met, by kind."""
    found: dict[str, list[str]] = defaultdict(list)
    for clause in (*condition.all, *condition.any):
        if isinstance(clause, Clause) and clause.kind:
            found[clause.kind] += clause.words
        else:
            for kind, words in _words(clause).items():
                found[kind] += words
    return found


def _drawn(
    lots: np.random.Generator, labels: Numbers, asked: Sequence[Sequence[str]], words: list[str], creators: Numbers
) -> pa.Array:
    """Draw a word for each item: one that its label asks for, or else one that its creator keeps to."""
    # Most creators are of the first few words: half of the first, a sixth of the second, and so on.
    numbers = np.minimum(1 / _share(creators), len(words)).astype(np.int64) - 1
    for label, some in enumerate(asked):
        rows = np.flatnonzero(labels == label)
        places = np.array([words.index(word) for word in some if word in words], dtype=np.int64)
        if len(places):
            often = np.minimum(lots.zipf(1.3, len(rows)) - 1, len(places) - 1)
            numbers[rows] = places[(often + creators[rows] % 2) % len(places)]
    return pa.array(words).take(pa.array(numbers))


def _share(creators: Numbers) -> npt.NDArray[np.float64]:
    """Return a number in (0, 1] that looks drawn and belongs to the creator."""
    return (creators * 2_654_435_761 % 2**32 + 1) / 2**32


def _recordings(lots: np.random.Generator, rule_set: RuleSet, start: int, count: int) -> pa.Table:
    creators = lots.integers((start + count) // WORKS_PER_CREATOR + 1, size=count)
    labels = np.where(lots.random(count) < STRAY_SHARE, lots.integers(len(rule_set.labels), size=count), creators)
    labels %= len(rule_set.labels)
    sub_genres = [list(label.music.sub_genres) for label in rule_set.labels]
    features = [label.music.features for label in rule_set.labels]
    vocabulary = {kind: list(rule_set.vocabulary[kind]) for kind in ("sub_genre", "music_feature")}
    number = lots.choice(3, count, p=[0.2, 0.6, 0.2])
    others = pa.array(vocabulary["music_feature"])
    tags = _tags(
        [
            ("sub_genre", _drawn(lots, labels, sub_genres, vocabulary["sub_genre"], creators), number >= 0),
            ("music_feature", _drawn(lots, labels, features, vocabulary["music_feature"], creators), number > 0),
            ("music_feature", others.take(pa.array(lots.integers(len(others), size=count))), number > 1),
        ]
    )
    titles = _titles(lots, pa.repeat(pa.scalar("Sonata"), count), count)
    return _items("music", lots, start, creators, titles, np.zeros(count, dtype=np.int64), np.zeros(count, bool), tags)


def _tags(columns: Sequence[tuple[str, pa.Array, npt.NDArray[np.bool_]]]) -> pa.Array:
    """Return the list of tags of each item: for each column a kind, the word of each item, and who has it."""
    count = len(columns[0][1])
    present = np.stack([has for *_, has in columns], axis=1)
    order = np.arange(len(columns) * count).reshape(-1, count).T.ravel()[present.ravel()]
    kinds = pa.concat_arrays([pa.repeat(pa.scalar(kind), count) for kind, *_ in columns]).take(pa.array(order))
    values = pa.concat_arrays([words for _, words, _ in columns]).take(pa.array(order))
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays([kinds, values], fields=list(TAG)))


def _titles(lots: np.random.Generator, subjects: pa.Array, count: int) -> pa.Array:
    places = np.array(
        ["Arles", "Siena", "Bruges", "Edo", "Etretat", "L\u00fcbeck", "Toledo", "Saint-R\u00e9my"], dtype=object
    )
    numbers = lots.integers(1, 400, count).astype("U3").astype(object)
    titles = (
        subjects.to_numpy(zero_copy_only=False)
        + " at "
        + places[lots.integers(len(places), size=count)]
        + ", no. "
        + numbers
    )
    titles[lots.random(count) < 0.02] = "Untitled"
    return pa.array(np.where(lots.random(count) < DETAIL_SHARE, titles + " (detail)", titles), pa.string())


def _items(
    modality: str,
    lots: np.random.Generator,
    start: int,
    creators: Numbers,
    titles: pa.Array,
    years: Numbers,
    has_year: npt.NDArray[np.bool_],
    tags: pa.Array,
) -> pa.Table:
    count = len(creators)
    ids = pa.array([_id(modality, start + number) for number in range(count)])
    names = pa.array([f"Painter {number:x}" for number in range(int(creators.max()) + 1)])
    blobs = np.where(lots.random(count) < EQUAL_SHARE, lots.integers(count, size=count), np.arange(count))
    columns = {
        "source": pa.repeat(pa.scalar(SOURCE), count),
        "source_id": ids,
        "modality": pa.repeat(pa.scalar(modality), count),
        "url": ids,
        "title": titles,
        "creator": names.take(pa.array(creators)),
        "year": pa.array(years.astype(np.int32), mask=~has_year),
        "license": pa.repeat(pa.scalar("unknown"), count),
        "tags": tags,
        "size_bytes": pa.array(lots.integers(100_000, 1_000_000, count)),
        "sha256": _hashes(lots, count).take(pa.array(blobs)),
        "version": pa.repeat(pa.scalar(f"{collect.VERSION}.{STATE}"), count),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in ITEMS], ITEMS)


def _hashes(lots: np.random.Generator, count: int) -> pa.Array:
    return pa.array([lots.bytes(32).hex() for _ in range(count)])


def _measured_images(lots: np.random.Generator, blobs: pa.Array) -> pa.Table:
    count = len(blobs)
    hashes, mirrored = lots.integers(2**64, size=(2, count), dtype=np.uint64)
    looks = pa.array(np.where(lots.random(count) < ALIKE_SHARE, lots.integers(count, size=count), np.arange(count)))
    pixels = pa.FixedSizeBinaryArray.from_buffers(pa.binary(256), count, [None, pa.py_buffer(lots.bytes(256 * count))])
    columns = {
        "sha256": blobs,
        "width_px": pa.array(lots.integers(400, 4000, count).astype(np.int32)),
        "height_px": pa.array(lots.integers(400, 4000, count).astype(np.int32)),
        "pixels_sha256": _hashes(lots, count),
        "phash": pa.array(hashes).take(looks),
        "mirror_phash": pa.array(mirrored).take(looks),
        "thumbnail": pixels.take(looks),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in IMAGES], IMAGES)


def _measured_recordings(lots: np.random.Generator, blobs: pa.Array) -> pa.Table:
    count = len(blobs)
    windows = 1 + lots.poisson(7, count)
    total, offsets = int(windows.sum()), np.concatenate([[0], np.cumsum(windows)])
    clip_samples = 30 * 44_100
    starts = (np.arange(total) - np.repeat(offsets[:-1], windows)) * clip_samples
    measures = {
        "start_sample": pa.array(starts),
        "loudness_lufs": pa.array(lots.normal(-18, 4, total).round(2)),
        "peak_dbfs": pa.array(lots.uniform(-6, 0, total).round(2)),
        "silence_share": pa.array(lots.beta(0.3, 4, total).round(4)),
        "clipped_share": pa.array((lots.random(total) < 0.01) * 0.05),
        "tempo_bpm": pa.array(lots.uniform(50, 180, total).round(1)),
        "key": pa.array(["C major", "A minor", "G major", "E minor"]).take(pa.array(lots.integers(4, size=total))),
        "onset_rate_hz": pa.array(lots.gamma(2, 1, total).round(3)),
    }
    structs = pa.StructArray.from_arrays([measures[field.name] for field in WINDOW], fields=list(WINDOW))
    columns = {
        "sha256": blobs,
        "duration_s": pa.array(windows * 30.0 + lots.uniform(0, 30, count).round(3)),
        "fingerprint": pa.array([lots.bytes(160) for _ in range(count)]),
        "windows": pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), structs),
    }
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in RECORDINGS], RECORDINGS)


def items_of(home: Home) -> pa.Table:
    """Return the items as a build would list them."""
    versions = read_tables(home.items(SOURCE), ITEMS, ["source", "source_id", "version"])
    return current_items(home, Listing(versions, []))


def measured_of(home: Home, rule_set: RuleSet) -> list[pa.Table]:
    """Return the measurements of pictures and of recordings."""
    found = (
        (step, read_tables(home.derived(step.name, step.key), step.schema, ["sha256"])) for step in _steps(rule_set)
    )
    return [measure.measured(home, step, blobs["sha256"]) for step, blobs in found]


def _steps(rule_set: RuleSet) -> list[measure.Step]:
    return list(measure.steps(rule_set).values())


def write_release(home: Home, rule_set: RuleSet) -> None:
    """Decide once and write all of release 1 but its media."""
    items, measured = items_of(home), measured_of(home, rule_set)
    published = releases.publish(rule_set, None)
    made = planning.decide(home, 1, items, measured, published, NO_MEMORY, keep=True)
    pairs, folder = made.pairs, home.release(1)
    tables = {
        "assignment": made.held,
        "rejections": made.assignment.rejections,
        "candidates": made.assignment.candidates,
    }
    for name, table in tables.items():
        home.write_table(folder / f"{name}.parquet", table)
    buckets = bucket_counts(rule_set)
    for name, rows in by_bucket(pairs, metadata_counts(pairs, buckets)):
        write_plain(home, folder / "metadata" / f"{name}.parquet", rows.drop_columns(["split"]), published)
    (folder / "rule_set.json").write_text(releases.written(published), encoding="utf-8")
    manifest = {
        "release": 1,
        "parent": None,
        "inputs": "",
        "rule_set": {"name": rule_set.name, "digest": rule_set.digest},
        "seed": rule_set.seed,
        "labels": list(rule_set.label_names),
        "buckets": buckets,
        "items": len(items),
        "pairs": dict(Counter(sorted(pairs["split"].to_pylist()))),
        "rejections": {},
        "tools": {},
        "files": {},
    }
    (home.root / "releases" / "1.json").write_text(json.dumps(manifest, default=int), encoding="utf-8")


def write(folder: Path, items: int, *, release: bool) -> tuple[Home, RuleSet]:
    """Write rules and a work folder below a folder."""
    write_rules(folder / "rules", items)
    home, rule_set = Home(folder / "home"), rules.load(str(folder / "rules"))
    home.mark()
    write_tables(home, rule_set, items)
    if release:
        write_release(home, rule_set)
    return home, rule_set


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--release", action="store_true", help="decide, and write release 1 without its media")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.items, release=arguments.release)
    print(
        f"{arguments.folder / 'home'} holds {arguments.items:,} items; their rules are in {arguments.folder / 'rules'}"
    )


if __name__ == "__main__":
    main()
