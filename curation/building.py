"""The chain from sources to a release: the order of the steps, the claim, the commit."""

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import audio, collect, images, ingested, measure, model_tags, planning, tombstones
from curation.assignment import Assignment
from curation.batches import Each, batched
from curation.card import write_card
from curation.cutting import CutBatch, Released, cut_batch, cut_batches
from curation.damage import Damaged
from curation.disk import NoRoom
from curation.errors import HomeBusy
from curation.memory import Memory
from curation.planning import MAX_DROP_SHARE, Decision
from curation.releases import (
    PublishedRules,
    Release,
    get,
    latest,
    memory_of,
    numbers,
    publish,
    rule_set_of,
    tidy,
    written,
)
from curation.report import write_report
from curation.restoring import memory_after
from curation.shards import Bucket, bucket_counts, by_bucket, metadata_counts, row_bytes, write_bucket, write_plain
from curation.store import Home, create_exclusively, digest, files_below, in_order, known_sha256, remove_tree, whole
from curation.tables import references_table
from rules import engine
from rules.errors import ConfigurationError
from rules.schema import RuleSet

VERSION = 3  # raise it when the same inputs give another release
# Each decides bytes of a release: media, tables, the balance, the card or the report.
TOOLS = [
    "datasets",
    "duckdb",
    "huggingface-hub",
    "jinja2",
    "librosa",
    "numpy",
    "pillow",
    "pyarrow",
    "pydub",
    "pyyaml",
    "scipy",
]
PAGES = ("README.md", "report/index.html")
SPARE_DISK_BYTES = 200_000_000  # tables, report and card, above what the media take

logger = logging.getLogger(__name__)


def tools() -> dict[str, str]:
    """Return the versions of everything that decides the bytes of a release."""
    decoders = {"audio": audio.decoder_version(), "images": images.decoder_version()}
    code = {"artune": f"{version('artune')}, release code {VERSION}, rules code {engine.VERSION}"}
    return code | decoders | {name: version(name) for name in TOOLS}


def inputs_digest(home: Home, items: pa.Table, rule_set: RuleSet) -> str:
    """Return the digest of everything that a release depends on, beside its parent."""
    models = [step.key for _, step in model_tags.steps(rule_set)]
    inputs = [collect.content_digest(items), rule_set.digest, rule_set.seed, tools(), models]
    removed = tombstones.read(home)
    return digest([*inputs, tombstones.content_digest(removed)] if removed else inputs)


def is_current(home: Home, items: pa.Table, rule_set: RuleSet) -> bool:
    """Say whether the last release was made from just these inputs."""
    last = latest(home, rule_set.name)
    return last is not None and last.manifest["inputs"] == inputs_digest(home, items, rule_set)


class LargeDrop(ConfigurationError):
    """A release would lose so many rows that a person should say yes first."""


def build(
    home: Home, sources: Sequence[str], rule_set: RuleSet, each: Each, *, may_drop: bool = False
) -> Release | None:
    """Collect what is new, decide, and write a release; None if the last one is made from the same inputs.

    Killed at any moment, it goes on from there when called again, and ends with the same bytes.

    Args:
        may_drop: somebody said yes to a release that loses a large share of the rows.

    Raises:
        LargeDrop: more than MAX_DROP_SHARE of the parent's rows would go, and nobody said yes.
        ConfigurationError: a source cannot be used, another build has the claim, the disk is too small, or there is
            nothing to pair.
    """
    listing = _listed(home, sources)
    with home.in_use():
        return _build(home, listing, rule_set, each, may_drop)


def _listed(home: Home, sources: Sequence[str]) -> collect.Listing:
    ingested.convert_leftovers(home, [collect.split_location(source)[0] for source in sources])
    return collect.list_sources(home, sources)


def _build(home: Home, listing: collect.Listing, rule_set: RuleSet, each: Each, may_drop: bool) -> Release | None:
    mended: set[Path] = set()
    while True:
        try:
            return _built(home, listing, rule_set, each, may_drop)
        except Damaged as damaged:
            if damaged.path in mended or not home.is_derived(damaged.path):
                raise
            mended.add(damaged.path)
            logger.warning("%s: it is computed again", damaged)
            damaged.path.unlink(missing_ok=True)


def _built(home: Home, listing: collect.Listing, rule_set: RuleSet, each: Each, may_drop: bool) -> Release | None:
    planning.refuse(home, rule_set)  # before hours of collecting
    items = _collect(home, listing, each)
    release = None
    if not is_current(home, items, rule_set):
        parent = planning.parent_of(home, rule_set)
        release = _Builder(home, publish(rule_set, parent), items, parent, each, may_drop).run()
    collect.remember(home, rule_set.name, listing)
    tidy(home)
    return release


def _collect(home: Home, listing: collect.Listing, each: Each) -> pa.Table:
    """Fetch what is new in a listing, and return the rows of all that it lists."""
    home.sweep()
    each(collect.collect_batch, listing.batches, "collect")
    return collect.current_items(home, listing)


def refresh(home: Home, listing: collect.Listing, rule_set: RuleSet) -> bool:
    """Try again what may be readable now, where a listing has nothing new; say whether there is something to build."""
    with home.in_use():
        for batch in listing.batches:
            collect.collect_batch(batch)
        if is_current(home, collect.current_items(home, listing), rule_set):
            collect.remember(home, rule_set.name, listing)
            tidy(home)
            return False
    return True


def roll_back(home: Home, sources: Sequence[str], number: int, each: Each, *, may_drop: bool = False) -> Release | None:
    """Write a release with rule set and rows of an earlier one, on top of the current release of its data set.

    Rows that law or sources forbid now are left out: what is no longer listed or would leak, what the current release
    holds under another label that still fits or with another partner that is back too. Nothing else is added.

    Returns:
        the new release; None if the current one is this rollback already.

    Raises:
        LargeDrop: as `build`.
        ConfigurationError: there is no such release, it is the current one, or none of its rows may stand.
    """
    earlier = get(home, number)
    current = latest(home, earlier.manifest["rule_set"]["name"])
    if current is None or current.number == number:
        raise ConfigurationError(f"release {number} is the current one: expected an earlier one to go back to")
    planning.refuse_rehydrated(current)
    listing = _listed(home, sources)
    with home.in_use():
        items = _collect(home, listing, each)
        builder = _Rollback(home, earlier, items, current, each, may_drop)
        release = None if builder.inputs == current.manifest["inputs"] else builder.run()
        collect.remember(home, builder.rule_set.name, listing)
        return release


def disk_estimate(listing: collect.Listing, rule_set: RuleSet) -> tuple[int, int]:
    """Return the bytes that copies of new items will take, and the most that a release can take while it is written."""
    paths = [entry.path for batch in listing.batches for entry in batch.entries if entry.path and not entry.refusal]
    pairs = min(len(listing.versions), sum(label.size for label in rule_set.labels))
    most = 2 * pairs * row_bytes(rule_set) + SPARE_DISK_BYTES
    return sum(path.stat().st_size for path in paths), most


class _Builder:
    """One build of one release."""

    more: Mapping[str, Any] = {}  # what its manifest says beside

    def __init__(
        self, home: Home, rule_set: PublishedRules, items: pa.Table, parent: Release | None, each: Each, may_drop: bool
    ) -> None:
        self.may_drop = may_drop
        self.held = parent  # the release whose media are copied
        self.home, self.rule_set, self.items, self.parent, self.each = home, rule_set, items, parent, each
        self.number = max(numbers(home), default=0) + 1
        self.folder = home.release(self.number)
        self.work = home.root / "releases" / f"{self.number}.work"
        self.inputs = inputs_digest(home, items, rule_set)
        self.claimed = digest([self.inputs, parent.manifest["inputs"] if parent else None])
        self.names = set(PAGES)  # of its files, whoever writes them
        self.buckets: dict[str, int] = parent.manifest["buckets"] if parent else bucket_counts(rule_set)

    def run(self) -> Release:
        claim = self._claim()
        with self.home.locked(claim) as mine:
            if not mine:
                raise ConfigurationError(
                    f"{self.home.root}: another process is building release {self.number} right now"
                )
            if claim.with_suffix(".json").exists():  # by a builder of the same inputs, a moment ago
                return get(self.home, self.number)
            try:
                return self._run()
            except NoRoom:
                raise
            except ConfigurationError:
                self.home.check_leases()
                claim.unlink()  # nothing was released, and other inputs may mend it
                remove_tree(self.work)
                raise

    def _run(self) -> Release:
        self._clear_other_inputs()
        self.home.forget_uploads(self.folder, self.work)
        memory = self._memory()
        measured = self._measure(memory)
        pairs = self._decide(memory, measured)
        self._write_media(pairs, memory)
        self._write_plain(pairs)
        self.each(partial(write_pages, self.home, rule_set=self.rule_set), [self._draft()], "report")
        release = self._commit(pairs)
        tidy(self.home)
        return release

    def _claim(self) -> Path:
        """Take the number of the release for these inputs, or go on with a build that took it for the same."""
        path = self.home.root / "releases" / f"{self.number}.claim"
        mine = self.claimed
        create_exclusively(path, mine.encode())
        if (theirs := path.read_text()) != mine:
            raise ConfigurationError(
                f"release {self.number} is claimed by a build of other inputs ({theirs[:12]}, not {mine[:12]}). "
                f"Let it end or run it again with its own sources and rules; to give it up, remove {path}"
            )
        return path

    def _clear_other_inputs(self) -> None:
        """Remove what a build of other inputs wrote before somebody removed its claim."""
        marker = self.work / "claim"
        if not marker.exists() or marker.read_text() != self.claimed:
            remove_tree(self.folder)
            remove_tree(self.work)
            with self.home.replacing(marker) as temporary:
                temporary.write_text(self.claimed)

    def _memory(self) -> Memory:
        return memory_of(self.parent, self.rule_set)

    def _decision(self, memory: Memory, measured: list[pa.Table]) -> Decision:
        return planning.decide(self.home, self.number, self.items, measured, self.rule_set, memory, keep=True)

    def _measure(self, memory: Memory) -> list[pa.Table]:
        models = model_tags.steps(self.rule_set)
        for modality, step in [*measure.steps(self.rule_set).items(), *models]:
            wanted = planning.wanted(self.home, self.items, memory, modality)
            self.each(measure.measure_batch, measure.pending(self.home, step, wanted), f"measure {step.name}")
        return planning.measured(self.home, self.items, self.rule_set, memory)

    def _decide(self, memory: Memory, measured: list[pa.Table]) -> pa.Table:
        decision = self._decision(memory, measured)
        assignment, pairs = decision.assignment, decision.pairs
        self._check_drop(pairs)
        tables = {
            "assignment": decision.held,
            "rejections": assignment.rejections,
            "candidates": assignment.candidates,
        }
        for name, table in tables.items():
            self.home.write_table(self._file(f"{name}.parquet"), table)
        self._write_text("rule_set.json", written(self.rule_set))
        if not len(pairs):
            raise ConfigurationError(self._why_no_pair(assignment))
        step = measure.recording_step(self.rule_set)
        heard = measure.measured(self.home, step, pairs["music_sha256"], bulk=True)
        self.references = references_table(self.home, pairs, measured[0], heard)
        return pairs

    def _check_drop(self, pairs: pa.Table) -> None:
        """Refuse to lose a large share of the rows unasked: a slip of the pen in a rule does that."""
        if self.parent is None or self.may_drop:
            return
        held = memory_of(self.parent, self.rule_set).released("image")["pair_id"]
        gone = pc.sum(pc.invert(pc.is_in(held, value_set=pairs["pair_id"].combine_chunks()))).as_py() or 0
        if gone > MAX_DROP_SHARE * len(held):
            raise LargeDrop(
                f"{gone:,} of the {len(held):,} pairs of release {self.parent.number} would go, more than "
                f"{MAX_DROP_SHARE:.0%}: say --yes if that is meant"
            )

    def _write_media(self, pairs: pa.Table, memory: Memory) -> None:
        old = memory.images["pair_id"].combine_chunks()
        new = pairs.filter(pc.invert(pc.is_in(pairs["pair_id"], value_set=old)))
        released = self._released_media(memory)
        batches = cut_batches(self.home, self.work, self.rule_set, new, released)
        places = {pair_id: place for batch in batches for pair_id, place in batch.places().items()}
        files = []
        for name, rows in by_bucket(pairs, self.buckets):
            plain = rows.drop_columns(["split"])
            own = {pair_id: places[pair_id] for pair_id in plain["pair_id"].to_pylist() if pair_id in places}
            path = Path("data") / f"{name}.parquet"
            sha256 = self.held.sha256(path.as_posix()) if self.held else ""
            earlier = self.held.folder / path if self.held and sha256 else None
            files.append(Bucket(self.home, self._file(path.as_posix()), self.rule_set, plain, own, earlier, sha256))
        self._check_disk(batches, files)
        self.each(cut_batch, batches, "cut clips")
        self.each(write_bucket, files, "write shards")

    def _why_no_pair(self, assignment: Assignment) -> str:
        if not len(self.items):
            return "the sources hold no item: expected pictures and recordings"
        sides = {"picture": assignment.pool.images.items, "recording": assignment.pool.music.items}
        missing = " and ".join(f"no {side}" for side, items in sides.items() if not len(items))
        why = f"{missing} can be used" if missing else "no label has both pictures and clips"
        reasons = Counter(assignment.rejections["reason"].to_pylist()).most_common(5)
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons)
        return (
            f"{len(self.items)} items give no pair: {why} ({counts}; each is in {self.folder / 'rejections.parquet'})"
        )

    def _released_media(self, memory: Memory) -> Released:
        """Return where the release that memory speaks of holds the media of each picture and clip."""
        if self.held is None:
            return Released({}, {})
        pair_ids = memory.assignment["pair_id"]
        is_there = pc.and_not(pair_ids.is_valid(), pc.is_in(pair_ids, value_set=self.held.purged_pairs))
        held = memory.assignment.filter(is_there).sort_by("pair_id")
        places = {}
        for name, rows in by_bucket(held, self.buckets):
            path = f"data/{name}.parquet"
            place = (self.held.folder / path, self.held.sha256(path))
            places.update(dict.fromkeys(rows["pair_id"].to_pylist(), place))
        sides = []
        for side in ("image", "music"):
            rows = memory.released(side).select(["sha256", "start_sample", "pair_id"]).to_pydict()
            held_rows = zip(*rows.values(), strict=True)
            sides.append({(key, start): (*places[name], name) for key, start, name in held_rows if name in places})
        pictures = {sha256: row for (sha256, _), row in sides[0].items()}
        return Released(pictures, sides[1])

    def _check_disk(self, batches: list[CutBatch], files: list[Bucket]) -> None:
        """Refuse before anything is written if what is still to write would not fit."""
        there = {path for folder in (self.work, self.folder) for path, _ in files_below(folder)}
        temporary = sum(len(batch.rows) for batch in batches if batch.path not in there)
        rows = sum(len(file.rows) for file in files if file.path not in there and (file.places or not file.parent))
        needed = (temporary + rows) * row_bytes(self.rule_set) + SPARE_DISK_BYTES
        if self.home.is_remote:  # one file for each hand at a time
            largest = max((len(rows) for rows in (*(b.rows for b in batches), *(f.rows for f in files))), default=0)
            needed = (os.cpu_count() or 1) * largest * row_bytes(self.rule_set) + SPARE_DISK_BYTES
        free = shutil.disk_usage(self.home.local).free
        logger.info("%d rows to write, %.1f GB of disk needed, %.1f GB free", rows, needed / 1e9, free / 1e9)
        if needed > free:
            raise ConfigurationError(
                f"{self.home.local}: {needed:,} bytes needed to write {rows:,} rows, {free:,} free"
            )

    def _write_plain(self, pairs: pa.Table) -> None:
        counts = metadata_counts(pairs, self.buckets)
        for name, rows in by_bucket(pairs, counts):
            path = self._file(f"metadata/{name}.parquet")
            write_plain(self.home, path, rows.drop_columns(["split"]), self.rule_set)
        for name, rows in by_bucket(self.references, counts):
            write_plain(self.home, self._file(f"references/{name}.parquet"), rows, self.rule_set)

    def _draft(self) -> Release:
        """Return the release as its pages tell of it, before it is committed."""
        told = {"parent": self.parent.number if self.parent else None, "tools": tools()}
        return Release(self.number, self.folder, told)

    def _file(self, name: str) -> Path:
        """Return the path of a file that will be a part of the release."""
        self.names.add(name)
        return self.folder / name

    def _files(self) -> list[Path]:
        """Return the files of the release, in order.

        Raises:
            HomeBusy: some are gone: somebody who took this build for dead removed them.
        """
        there = {path.relative_to(self.folder).as_posix(): path for path, _ in files_below(self.folder)}
        if gone := self.names - there.keys():
            raise HomeBusy(
                f"{self.folder / min(gone)} and {len(gone) - 1} other files were removed while release {self.number} "
                "was built; the same command goes on from there"
            )
        return [path for name, path in there.items() if name in self.names]

    def _write_text(self, name: str, text: str) -> None:
        with self.home.replacing(self._file(name)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _commit(self, pairs: pa.Table) -> Release:
        files = self._files()
        hashes = [row for rows in self.each(hash_files, list(batched(files)), "hash") for row in rows]
        listed = {path.relative_to(self.folder).as_posix(): row for path, row in zip(files, hashes, strict=True)}
        self._check_links(listed)
        rejected = pq.read_table(whole(self.folder / "rejections.parquet"), columns=["unit", "stage", "reason"])
        manifest = {
            "release": self.number,
            "parent": self.parent.number if self.parent else None,
            "inputs": self.inputs,
            "rule_set": {"name": self.rule_set.name, "digest": self.rule_set.digest},
            "seed": self.rule_set.seed,
            "labels": list(self.rule_set.numbering),
            "buckets": self.buckets,
            "items": len(self.items),
            "pairs": dict(sorted(Counter(pairs["split"].to_pylist()).items())),
            "rejections": dict(sorted(Counter(rejected["reason"].to_pylist()).items())),
            "tools": tools(),
            "steps": {step.name: dict(step.made_of) for step in measure.steps(self.rule_set).values()},
            "files": listed,
            **self.more,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        self.home.check_leases()
        if not create_exclusively(self.home.root / "releases" / f"{self.number}.json", text.encode()):
            logger.info("release %d was committed by another builder of the same inputs", self.number)
        return get(self.home, self.number)

    def _check_links(self, listed: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse a file of an earlier release that has changed since: its link would make it a part of this one."""
        if self.held is None or self.home.is_remote:
            return
        for name, row in listed.items():
            sha256, path = self.held.sha256(name), self.held.folder / name
            if sha256 and row["sha256"] != sha256 and path.exists() and path.samefile(self.folder / name):
                raise Damaged(path, f"its sha256 is {row['sha256'][:12]}, not {sha256[:12]}")


class _Rollback(_Builder):
    """One build of a release that holds the rows of an earlier one."""

    def __init__(
        self, home: Home, earlier: Release, items: pa.Table, current: Release, each: Each, may_drop: bool
    ) -> None:
        # Labels that came later stay reserved; renamed ones have their old name again.
        names, later = earlier.manifest["labels"], current.manifest["labels"]
        numbering = (*names, *later[len(names) :])
        if len(set(numbering)) < len(numbering):
            raise ConfigurationError(
                f"release {earlier.number} cannot come back: another label has the old name of one of its labels now"
            )
        rule_set = rule_set_of(earlier).model_copy(update={"numbering": numbering})
        super().__init__(home, rule_set, items, current, each, may_drop)
        self.current, self.held = current, earlier
        self.more = {"rolled_back_to": earlier.number}
        # Not those of a build by the same rules, which may add what is new.
        self.inputs = digest([self.inputs, "rollback", earlier.manifest["inputs"]])
        self.claimed = digest([self.inputs, current.manifest["inputs"]])

    def _memory(self) -> Memory:
        return memory_after(memory_of(self.current, self.rule_set), memory_of(self.held, self.rule_set))

    def _decision(self, memory: Memory, measured: list[pa.Table]) -> Decision:
        current = memory_of(self.current, self.rule_set)
        return planning.decide(
            self.home, self.number, self.items, measured, self.rule_set, memory, keep=True, rolled_back_from=current
        )


def write_pages(home: Home, release: Release, rule_set: PublishedRules) -> None:
    """Write the card and the report of a release, which say what it holds."""
    work = home.local / "releases" / f"{release.number}.work" / "report"
    work.mkdir(parents=True, exist_ok=True)
    with home.replacing(release.folder / "README.md") as temporary:
        write_card(release, rule_set, temporary, scratch=work)
    write_report(release.folder, rule_set, work, release.number)
    with home.replacing(release.folder / "report" / "index.html") as temporary:
        (work / "index.html").replace(temporary)


def hash_files(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return sha256 and size in bytes of each file."""
    return in_order(lambda path: {"sha256": known_sha256(path), "size_bytes": path.stat().st_size}, paths)
