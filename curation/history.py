"""The past of a work folder: its releases at a glance, and what of it nobody needs any more."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import measure, model_tags, stored
from curation.measure import Step
from curation.publishing import records
from curation.publishing.records import Record
from curation.releases import Release, get, numbers, rule_set_of, tidy
from curation.schemas import ITEMS
from curation.store import MARKER, Home, digest, files_below, in_order, opened, read_tables, remove_tree, whole
from rules.errors import ConfigurationError

CUT_OFF = timedelta(hours=1)  # a machine that lost its lease may come back and still want what it sent


@dataclass(frozen=True, slots=True)
class Summary:
    """One release at a glance.

    Attributes:
        shared_bytes: of the files that are hard links of the parent's.
        made_by: what differs from the parent.
        published: where it was sent.
    """

    release: int
    parent: int | None
    made_by: str
    pairs: dict[str, int]
    labels_with_pairs: int
    labels: int
    items: int
    rule_set: str
    digest: str
    seed: int
    size_bytes: int
    shared_bytes: int
    published: list[Record]


def summaries(home: Home) -> list[Summary]:
    """Return every release, in order."""
    found = {number: get(home, number) for number in numbers(home)}
    sent: dict[int, list[Record]] = defaultdict(list)
    for record in records.read(home):
        sent[record.release].append(record)
    return [
        _summary(release, found.get(release.manifest["parent"]), sent[release.number]) for release in found.values()
    ]


def _summary(release: Release, parent: Release | None, published: list[Record]) -> Summary:
    manifest = release.manifest
    rows = pq.read_table(opened(release.folder / "assignment.parquet"), columns=["label", "pair_id"])
    is_on_disk = isinstance(release.folder, Path)  # elsewhere each release has files of its own
    parents_files = _inodes([parent.folder]) if parent and is_on_disk else {}
    own_files = _inodes([release.folder]) if parents_files else {}
    return Summary(
        release=release.number,
        parent=manifest["parent"],
        made_by=_made_by(manifest, parent.manifest if parent else None),
        pairs=manifest["pairs"],
        labels_with_pairs=len(pc.unique(rows.filter(rows["pair_id"].is_valid())["label"])),
        labels=len(manifest["labels"]),
        items=manifest["items"],
        rule_set=manifest["rule_set"]["name"],
        digest=manifest["rule_set"]["digest"],
        seed=manifest["seed"],
        size_bytes=sum(file["size_bytes"] for file in manifest["files"].values()),
        shared_bytes=sum(size for inode, (_, size) in own_files.items() if inode in parents_files),
        published=published,
    )


def _made_by(manifest: dict[str, Any], parent: dict[str, Any] | None) -> str:
    if "rehydrated" in manifest:
        return f"rehydrated from {manifest['rehydrated']['name']}"
    if "rolled_back_to" in manifest:
        return f"rollback to {manifest['rolled_back_to']}"
    if manifest["parent"] is None:
        return "first"
    if parent is None:
        return "unknown, for its parent is removed"
    names = {"rules": "rule_set", "tools": "tools", "items": "items"}
    changed = [word for word, name in names.items() if manifest[name] != parent[name]]
    return ", ".join(changed) or "items"  # as many as before, but not the same


def unfinished(home: Home) -> list[Path]:
    """Return the claims of releases that no build has finished yet."""
    claims = sorted((home.root / "releases").glob("*.claim"))
    return [claim for claim in claims if not claim.with_suffix(".json").exists()]


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Keep builds and whatever collects away while the block runs.

    Raises:
        ConfigurationError: one of them is running.
    """
    home.mark()
    with ExitStack() as held:
        for path in (home.root / MARKER, *unfinished(home)):
            if not held.enter_context(home.locked(path)):
                raise ConfigurationError(
                    f"{home.root}: a build is running, or an ingest; nothing is removed before it has ended"
                )
        if not home.is_remote:  # there temporaries lie on this machine, and none of them is anybody's left
            home.sweep_all()
        yield


@dataclass(frozen=True, slots=True)
class Garbage:
    """What a work folder can do without.

    Attributes:
        releases: numbers of releases.
        blobs: that no item and no release asks for once these releases are gone.
        sha256s: of items that only these releases knew; collected again should a source list them again.
        tables: measurements by code or with parameters of the past, and of blobs that are gone.
        leftovers: folders of releases that never came to be.
    """

    releases: list[int]
    blobs: list[Path]
    sha256s: pa.Array
    tables: list[Path]
    leftovers: list[Path]

    def amounts(self, home: Home) -> dict[str, tuple[int, int]]:
        """Return number and bytes of each kind; files that something else links to free nothing."""
        folders = [home.release(number) for number in self.releases]
        return {
            "releases": (len(self.releases), _freed_bytes(folders)),
            "blobs": (len(self.blobs), _freed_bytes(self.blobs)),
            "tables of measurements": (len(self.tables), _freed_bytes(self.tables)),
            "leftovers": (len(self.leftovers), _freed_bytes(self.leftovers)),
        }


def garbage(home: Home, keep: int) -> Garbage:
    """Find what can go when the last `keep` releases of every data set stay.

    What was ever released keeps its blob: a later copy of it must lie in its split, and only the blob can be measured
    again when a decoder changes.

    Raises:
        ConfigurationError: there is no release, or a release that stays is damaged.
    """
    stay, go = _parted(home, keep)
    needed = _known(stay)
    own: list[pa.Array] = []
    for release in go:
        with suppress(ConfigurationError):  # what a damaged release knew stays
            own.append(_known([release]))
    sha256s = pc.unique(pa.chunked_array(own, pa.string()))
    sha256s = sha256s.filter(pc.invert(pc.is_in(sha256s, value_set=needed)))
    blobs, are_settled = _blobs(home)
    names = pa.array([path.name for path in blobs], pa.string())
    listed = [read_tables(folder, ITEMS, ["sha256"])["sha256"] for folder in (home.root / "items").glob("*")]
    asked_for = pc.unique(pa.chunked_array([needed, *(chunk for column in listed for chunk in column.chunks)]))
    is_free = pc.or_(pc.is_in(names, value_set=sha256s), pc.invert(pc.is_in(names, value_set=asked_for)))
    is_free = pc.and_(is_free, are_settled)
    return Garbage(
        releases=[release.number for release in go],
        blobs=[path for path, goes in zip(blobs, is_free.to_pylist(), strict=True) if goes],
        sha256s=sha256s,
        tables=_unused_tables(home, stay, names.filter(pc.invert(is_free))),
        leftovers=leftovers(home),
    )


def _blobs(home: Home) -> tuple[list[Path], pa.Array]:
    """Return the blobs, and which of them no machine may want that was cut off since it sent them."""
    folder = home.root / "blobs" / "sha256"
    if not home.is_remote:
        blobs = sorted(folder.glob("*/*/*"))
        return blobs, pa.repeat(True, len(blobs))
    from curation import object_storage

    ages = object_storage.ages_below(folder)
    return list(ages), pa.array([age >= CUT_OFF for age in ages.values()], pa.bool_())


def _parted(home: Home, keep: int) -> tuple[list[Release], list[Release]]:
    """Return the releases that stay and those that go."""
    of_data_set: dict[str, list[Release]] = defaultdict(list)
    for number in numbers(home):
        release = get(home, number)
        of_data_set[release.manifest["rule_set"]["name"]].append(release)
    if not of_data_set:
        raise ConfigurationError(f"{home.root} has no release yet; `artune build` makes one")
    stay = [release for found in of_data_set.values() for release in found[-keep:]]
    go = [release for found in of_data_set.values() for release in found[:-keep]]
    return stay, sorted(go, key=lambda release: release.number)


def _known(releases: Iterable[Release]) -> pa.Array:
    """Return the sha256 of everything that these releases say something of."""
    columns = []
    for release in releases:
        for name in ("assignment", "rejections"):
            path = release.folder / f"{name}.parquet"
            try:
                columns.append(pq.read_table(opened(path), columns=["sha256"])["sha256"])
            except (OSError, pa.ArrowException) as error:
                raise ConfigurationError(f"{path} cannot be read; `artune verify` tells more") from error
    sha256s = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    return pc.unique(sha256s).drop_null()


def _unused_tables(home: Home, stay: Sequence[Release], blobs: pa.Array) -> list[Path]:
    """Return the tables of measurements that no step of today reads, and those whose blobs are all gone."""
    steps = _steps(stay)
    names, read = {step.name for step in steps}, {home.derived(step.name, step.key) for step in steps}

    def is_unused(path: Path) -> bool:
        sha256s = pq.read_table(opened(path), columns=["sha256"])["sha256"]
        return path.parent not in read or not pc.any(pc.is_in(sha256s, value_set=blobs)).as_py()

    folders = sorted((home.root / "derived").glob("*"))
    paths = [
        path
        for folder in folders
        if folder.name.rpartition("-")[0] in names
        for path in sorted(folder.glob("*.parquet"))
    ]
    return [path for path, goes in zip(paths, in_order(is_unused, paths), strict=True) if goes]


def _steps(stay: Sequence[Release]) -> list[Step]:
    rule_sets = [rule_set_of(release) for release in stay]
    steps = [step for rule_set in rule_sets for step in measure.steps(rule_set).values()]
    with suppress(ConfigurationError):  # of a model that is not on this machine: whatever models said stays
        steps += [model_tags.step(*model) for rule_set in rule_sets for model in rule_set.models.root.items()]
    return steps


def leftovers(home: Home) -> list[Path]:
    """Return the folders of numbers that nobody has claimed."""
    folders = [path for path in (home.root / "releases").glob("*") if path.is_dir() and path.stem.isdecimal()]
    claimed = {path.stem for pattern in ("*.json", "*.claim") for path in (home.root / "releases").glob(pattern)}
    return sorted(path for path in folders if path.stem not in claimed)


def remove(home: Home, found: Garbage) -> None:
    """Remove what was found; killed at any moment, it leaves a valid work folder.

    Raises:
        HomeBusy: others may use the folder by now.
    """
    home.check_leases()  # before all, for somebody may have been asked for long
    _forget_items(home, found.sha256s)  # an item whose row is there needs its blob
    stored.remove(home, [*found.blobs, *found.tables])
    for number in found.releases:
        home.check_leases()
        folder = home.release(number)
        folder.with_name(f"{number}.claim").unlink(missing_ok=True)  # without the JSON it would look unfinished
        folder.with_name(f"{number}.json").unlink()
        remove_tree(folder)
    for folder in found.leftovers:
        home.check_leases()
        remove_tree(folder)
    tidy(home)


def _forget_items(home: Home, sha256s: pa.Array) -> None:
    """Write the tables of items without these; a row that is there twice for a moment does no harm."""

    def has_some(path: Path) -> bool:
        found = pq.read_table(whole(path), columns=["sha256"])["sha256"]
        return bool(pc.any(pc.is_in(found, value_set=sha256s)).as_py())

    paths = sorted((home.root / "items").glob("*/*.parquet"))
    for path, holds in zip(paths, in_order(has_some, paths), strict=True):
        if not holds:
            continue
        rows = pq.read_table(whole(path))  # of a web source it has columns beside those of ITEMS
        rest = rows.filter(pc.invert(pc.is_in(rows["sha256"], value_set=sha256s)))
        if len(rest):
            name = digest([path.stem, rest["source_id"].to_pylist(), rest["version"].to_pylist()])
            home.write_table(path.with_name(f"{name[:32]}.parquet"), rest)
        home.check_leases()
        path.unlink()


def _inodes(paths: Iterable[Path]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for every file below some paths of a disk how many of its names are there, and its bytes."""
    names: Counter[tuple[int, int]] = Counter()
    sizes = {}
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file():
                stat = file.stat()
                names[stat.st_dev, stat.st_ino] += 1
                sizes[stat.st_dev, stat.st_ino] = (stat.st_nlink, stat.st_size)
    return {inode: (links - names[inode], size) for inode, (links, size) in sizes.items()}


def _freed_bytes(paths: Sequence[Path]) -> int:
    if paths and not isinstance(paths[0], Path):  # no name there is a link of another
        return _remote_bytes(paths)
    return sum(size for other_names, size in _inodes(paths).values() if not other_names)


def _remote_bytes(paths: Sequence[Path]) -> int:
    """Return the bytes of files on object storage, and of those below folders there."""
    return sum(in_order(lambda path: sum(size for _, size in files_below(path)) or path.stat().st_size, paths))
