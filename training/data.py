"""The only reader of a published revision: what is there, an index of its pairs, and their pictures and sounds.

A revision is a finished release of a work folder, what `artune publish` made of it in a folder, at an address or on the
Hub. Of it only the config `default` is read, and of that only the columns that are needed.
"""

import hashlib
import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub import HfApi

from curation.columns import Ints
from curation.errors import NotPublished
from curation.publishing import hub_state, manifest, places
from curation.publishing.folder_state import UNFINISHED
from curation.publishing.hub_errors import asking
from curation.rehydrating import on_hub, on_storage
from curation.rehydrating.publication import RULES, SHARD
from curation.schemas import PAIRS
from curation.store import digest
from rules.errors import ConfigurationError
from training.reading import files
from training.reading.files import Files, patiently

INDEXED = (
    "pair_id",
    "label",
    "image_sha256",
    "image_group",
    "music_sha256",
    "music_group",
    "music_start_s",
    "music_duration_s",
    "music_title",
)
MAY_BE_NULL = {"music_title"}  # where a source told none
READERS = 8  # footers are small: what they cost is waiting
_TYPES = {name: pa.int64() if name == "label" else PAIRS.field(name).type for name in INDEXED}
_MEDIA = {name: pa.struct([("bytes", pa.binary()), ("path", pa.string())]) for name in ("image", "audio")}
_VERSION = re.compile(r"v[1-9]\d*")
_EXPECTED = (
    "expected owner/name@v3 or owner/name on the Hub, DIR/releases/3 of a work folder, a folder that "
    "`artune publish` wrote, or an address of one like s3://bucket/folder/v3"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of a data set, pinned.

    Attributes:
        where: by which `open_revision` finds the same again.
        location: a folder, an address, or owner/name@commit.
        version: such as v3; None of a folder or commit that has none.
        commit: on the Hub.
        data_set: the name of its rule set, if its manifest is there; so is digest, of the manifest itself.
        label_names: by their numbers.
        sample_rate_hz: of its clips.
        media: a digest of how its pictures and clips were made: the same blob gives other ones under other settings.
        files: and the names of those of each split.
    """

    where: str
    location: str
    version: str | None
    commit: str | None
    data_set: str | None
    digest: str | None
    label_names: tuple[str, ...]
    sample_rate_hz: int
    media: str
    files: Files
    names: Mapping[str, Sequence[str]]

    def described(self) -> dict[str, str | None]:
        """Return what tells it from every other revision, wherever the same one lies."""
        if self.digest is None:
            return {"where": self.where, "commit": self.commit}
        return {"data_set": self.data_set, "version": self.version, "digest": self.digest}

    def split(self, name: str) -> "Split | None":
        """Read the index of a split: the small columns of all its pairs; None if it has none, and a log line says so.

        Raises:
            ConfigurationError: a file is gone, damaged or of another schema; or the split is train and has no pairs.
            TransientError: the place cannot be reached.
        """
        found = self.names.get(name, ())
        with ThreadPoolExecutor(READERS) as pool:
            indexes = list(pool.map(lambda file: patiently(lambda: self._index(file)), found))
        if not sum(len(pairs) for pairs, _ in indexes):
            if name == "train":
                raise ConfigurationError(f"{self.location}: the split train has no pairs: expected some to train on")
            _log.warning("%s: the split %s has no pairs", self.location, name)
            return None
        return Split(self, name, found, [pairs for pairs, _ in indexes], [sizes for _, sizes in indexes])

    def _index(self, name: str) -> tuple[pa.Table, list[int]]:
        with self.files.parquet(name, ahead=True) as file:
            place = f"{self.location}: {name}"
            if _features(file.schema_arrow, place) != (self.label_names, self.sample_rate_hz):
                raise ConfigurationError(
                    f"{place} has other labels or another rate than the other files of the version"
                )
            pairs = file.read(list(INDEXED), use_threads=False).replace_schema_metadata()
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        for column in INDEXED:
            if pairs[column].null_count and column not in MAY_BE_NULL:
                raise ConfigurationError(f"{place}: column {column} has nulls: expected a value in each row")
        least, most = pc.min_max(pairs["label"]).as_py().values()
        if len(pairs) and not 0 <= least <= most < len(self.label_names):
            raise ConfigurationError(
                f"{place}: column label has {least} to {most}: expected 0 to {len(self.label_names) - 1}"
            )
        return pairs, sizes


class Split:
    """The pairs of a split in the order of its files.

    Attributes:
        pairs: the columns INDEXED, a row for each pair.
        group_sizes: rows of each row group, int64, in order.
    """

    def __init__(
        self,
        revision: Revision,
        name: str,
        names: Sequence[str],
        pairs: Sequence[pa.Table],
        sizes: Sequence[Sequence[int]],
    ) -> None:
        self.revision = revision
        self.name = name
        self.pairs: pa.Table = pa.concat_tables(pairs).combine_chunks()
        self.group_sizes: Ints = np.array([size for of_file in sizes for size in of_file], dtype=np.int64)
        self._firsts = np.concatenate([[0], np.cumsum(self.group_sizes)])
        self._names = names
        self._groups = [(file, group) for file, of_file in enumerate(sizes) for group in range(len(of_file))]

    def __len__(self) -> int:
        return int(self.pairs.num_rows)

    def group_of(self, row: int) -> int:
        """Return the row group of a row."""
        return int(np.searchsorted(self._firsts, row, side="right")) - 1

    def place(self, group: int) -> tuple[str, int]:
        """Return the file of a row group, and its number in there."""
        file, within = self._groups[group]
        return self._names[file], within

    def media(self, group: int, wanted: Mapping[str, Collection[int]]) -> Iterator[tuple[str, int, pa.Buffer | None]]:
        """Yield pictures and sounds of a row group: their column, their row, their bytes; None of a null.

        Of a column nothing is read behind the last row that is wanted, and one row at a time is in memory.

        Args:
            wanted: rows by column, `image` or `audio`.

        Raises:
            ConfigurationError: the file is gone, damaged or another one than it was.
            TransientError: the place cannot be reached.
        """
        first, (name, within) = int(self._firsts[group]), self.place(group)
        with self.revision.files.parquet(name) as file:
            is_known = within < file.num_row_groups
            if not is_known or file.metadata.row_group(within).num_rows != self.group_sizes[group]:
                raise ConfigurationError(
                    f"{self.revision.location}: {name} is not the file that it was when its index was read"
                )
            for column, rows in wanted.items():
                yield from ((column, row, content) for row, content in _contents(file, within, column, first, rows))


def _contents(
    file: pq.ParquetFile, group: int, column: str, first: int, rows: Collection[int]
) -> Iterator[tuple[int, pa.Buffer | None]]:
    last = max(rows, default=-1)
    batches = file.iter_batches(1, [group], [f"{column}.bytes"], use_threads=False)
    for row, batch in enumerate(batches if rows else (), start=first):
        if row in rows:
            yield row, batch.column(0).field(0)[0].as_buffer() if batch.column(0).is_valid()[0].as_py() else None
        if row >= last:
            break


def open_revision(data: str) -> Revision:
    """Find a version of a data set and read what all of it has in common.

    Args:
        data: owner/name@v3 (a tag, a branch or a commit) or owner/name on the Hub, which is its newest version;
            DIR/releases/3; a published folder or the folder of its versions; or an address. A folder that exists wins.

    Raises:
        ConfigurationError: it is not there, not whole, or lacks what is needed.
        TransientError: the place cannot be reached.
    """
    where, found, commit = patiently(lambda: _found(data))
    facts = patiently(lambda: _facts(found))
    sizes = patiently(lambda: found.sizes("data"))
    listed = facts.get("files", {})
    for name in sorted(name for name in listed if name.startswith("data/")):
        if sizes.get(name) != listed[name]["size_bytes"]:
            there = f"has {sizes[name]:,} bytes" if name in sizes else "is not there"
            raise ConfigurationError(
                f"{found.location}: {name} {there}: expected {listed[name]['size_bytes']:,} bytes, as its manifest says"
            )
    names: dict[str, list[str]] = {}
    for name in sorted(sizes):
        if shard := SHARD.fullmatch(name):
            names.setdefault(shard["split"], []).append(name)
    if "train" not in names:
        raise ConfigurationError(f"{found.location} has no data/train-*.parquet: {_EXPECTED}")
    first = names["train"][0]
    with found.parquet(first) as file:
        label_names, sample_rate_hz = _features(file.schema_arrow, f"{found.location}: {first}")
    version = facts.get("version")
    return Revision(
        where=where,
        location=found.location,
        version=version or (where.rpartition("@")[2] if commit and not where.endswith(commit) else None),
        commit=commit,
        data_set=facts.get("data_set"),
        digest=facts.get("digest"),
        label_names=label_names,
        sample_rate_hz=sample_rate_hz,
        media=patiently(lambda: _settings_of_media(found)),
        files=found,
        names=names,
    )


def _features(schema: pa.Schema, place: str) -> tuple[tuple[str, ...], int]:
    """Return the names of labels and the rate of the clips, as a file states them for `datasets`."""
    for name, kind in {**_TYPES, **_MEDIA}.items():
        if name not in schema.names:
            raise ConfigurationError(
                f"{place} has no column {name}: expected one of {kind}, as `artune publish` writes"
            )
        if schema.field(name).type != kind:
            raise ConfigurationError(f"{place}: column {name} is {schema.field(name).type}: expected {kind}")
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return tuple(map(str, features["label"]["names"])), int(features["audio"]["sampling_rate"])
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{place}: its schema does not name the labels and the rate of the clips: expected the features of a "
            "ClassLabel `label` and an Audio `audio`, as `artune publish` writes them"
        ) from error


def _facts(found: Files) -> dict[str, Any]:
    """Return what the manifest of a publication or a release says; nothing if there is none."""
    content = found.read(manifest.NAME)
    if content is not None:
        read = manifest.read(content, f"{found.location}: {manifest.NAME}")
        sizes = {name: {"size_bytes": file.size_bytes} for name, file in read.files.items()}
        return {"data_set": read.data_set, "version": read.version, "files": sizes, "digest": _sha256(content)}
    path = _manifest_of_release(Path(found.location)) if found.repo_id is None else None
    if path is None or not path.exists():
        return {}
    content = path.read_bytes()
    try:
        values = json.loads(content)
        sizes = {name: {"size_bytes": int(file["size_bytes"])} for name, file in values["files"].items()}
        name, version = str(values["rule_set"]["name"]), f"v{values['release']}"
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path}: expected the manifest of a release, as `artune build` writes it: {error!r}"
        ) from None
    return {"data_set": name, "version": version, "files": sizes, "digest": _sha256(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _settings_of_media(found: Files) -> str:
    content = found.read(RULES)
    if content is None:
        return ""
    try:
        values = json.loads(content)
        return digest({part: values.get(part) for part in ("image", "audio")})
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{found.location}: {RULES}: expected the rules of a release: {error}") from error


def _manifest_of_release(folder: Path) -> Path | None:
    """Return the file by which the release of a folder exists; None of another folder."""
    is_release = folder.parent.name == "releases" and folder.name.isdecimal()
    return folder.with_name(f"{folder.name}.json") if is_release else None


def _found(data: str) -> tuple[str, Files, str | None]:
    """Return where a revision is for good, its files, and its commit."""
    folder = Path(data).expanduser()
    if "://" not in data and folder.is_dir():
        return _in_folder(folder.absolute())
    if not places.is_hub(data):
        if "://" not in data:
            raise NotPublished(f"{data}: no such folder: {_EXPECTED}")
        place = on_storage.found(data, None)
        return place, files.at(place), None
    repo_id, _, asked = data.partition("@")
    if repo_id.count("/") != 1:
        raise ConfigurationError(f"{data}: no such folder, and no name of a data set on the Hub: {_EXPECTED}")
    commit = on_hub.found(repo_id, asked or None)
    with asking(repo_id, "tell its versions"):
        _, tags = hub_state.refs(HfApi(), repo_id)
    versions = sorted((tag for tag in tags if _VERSION.fullmatch(tag)), key=lambda tag: int(tag[1:]))
    if not asked and versions:
        asked, commit = versions[-1], tags[versions[-1]]
    return f"{repo_id}@{asked if asked in tags else commit}", files.on_hub(repo_id, commit), commit


def _in_folder(folder: Path) -> tuple[str, Files, str | None]:
    if any(folder.glob("data/*.parquet")):
        path = _manifest_of_release(folder)
        if not (folder / manifest.NAME).exists():
            if path is not None and not path.exists():
                raise ConfigurationError(
                    f"{folder} is not finished: expected a release; `artune build` goes on with it"
                )
            if (folder / UNFINISHED).exists():
                raise ConfigurationError(f"{folder} is not finished: `artune publish` goes on with it")
        return str(folder), files.at(str(folder)), None
    releases = folder if folder.name == "releases" else folder / "releases"
    numbers = sorted(int(path.stem) for path in releases.glob("*.json") if path.stem.isdecimal())
    if numbers:
        there = ", ".join(str(releases / str(number)) for number in numbers)
        raise ConfigurationError(f"{folder} is a work folder: expected one of its releases: {there}")
    place = on_storage.found(str(folder), None)
    return place, files.at(place), None
