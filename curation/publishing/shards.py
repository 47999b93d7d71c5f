"""Which rows of a release's Parquet files are published, and the files that hold just these."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import shards as files
from curation.card import CONFIGS
from curation.columns import Keys, flat, heads, mask
from curation.disk import FULL
from curation.publishing.lawful import Chosen
from curation.publishing.manifest import PublishedFile
from curation.releases import Release
from curation.store import Home, file_sha256, opened
from rules.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to publish.

    Attributes:
        path: the release's file.
        name: its path within the release and the publication.
        config: default, metadata or references.
        sha256: of the release's file, as its manifest states it; so is size_bytes.
        left_out: the pair_ids of the file that may not be published; none, and it is published byte for byte.
        rows: that are left.
    """

    home: Home
    path: Path
    name: str
    config: str
    sha256: str
    size_bytes: int
    left_out: pa.Array
    rows: int

    @property
    def split(self) -> str:
        return Path(self.name).name.partition("-")[0]

    @property
    def known(self) -> PublishedFile | None:
        """What is published, where that is known before the file is read: the release's own file."""
        return None if len(self.left_out) else PublishedFile(self.sha256, self.size_bytes, self.rows)

    @property
    def max_bytes(self) -> int:
        """Room on the disk for the file while it is published: for a copy of it, and one without what is left out."""
        return self.size_bytes * (int(self.home.is_remote) + bool(len(self.left_out)))


def shards(home: Home, release: Release, chosen: Chosen) -> list[Shard]:
    """Return the files to publish, by name; one that would have no rows is not among them.

    It reads footers, and the pair_ids where a file may hold pairs that are left out; no media, and it hashes nothing.

    Raises:
        ConfigurationError: a file is gone or cannot be read, or a row group is too large for the Hub's viewer.
    """
    without_media = _ordered(pa.concat_arrays([flat(chosen.referenced), flat(chosen.excluded)]))
    excluded = _ordered(flat(chosen.excluded))
    found = []
    for config, folder in CONFIGS.items():
        gone, keys = without_media if config == "default" else excluded
        for name, row in release.manifest["files"].items():
            if name.startswith(f"{folder}/"):
                path, candidates = release.folder / name, gone.slice(*_span(name, keys))
                left_out, rows = _left_out(path, candidates)
                if rows:
                    found.append(Shard(home, path, name, config, row["sha256"], row["size_bytes"], left_out, rows))
    return sorted(found, key=lambda shard: shard.name)


def _ordered(pair_ids: pa.Array) -> tuple[pa.Array, Keys]:
    """Return pairs in order, and their leading bits."""
    in_order = pair_ids.take(pc.sort_indices(pair_ids))
    return in_order, heads(in_order)


def _span(name: str, keys: Keys) -> tuple[int, int]:
    """Return where among ordered pairs those of a file's bucket begin, of whatever split, and how many there are."""
    _, number, _, count = Path(name).stem.split("-")
    width = 2**64 // int(count)
    first = int(np.searchsorted(keys, np.uint64(int(number) * width)))
    last = int(np.searchsorted(keys, np.uint64((int(number) + 1) * width - 1), side="right"))
    return first, last - first


def _left_out(path: Path, candidates: pa.Array) -> tuple[pa.Array, int]:
    """Return which of some pairs a file holds, and how many of its rows are of others."""
    try:
        with pq.ParquetFile(opened(path)) as file:
            check_row_groups(path, file.metadata)
            if not len(candidates):
                return pa.array([], pa.string()), file.metadata.num_rows
            ids = file.read(["pair_id"])["pair_id"]
    except (OSError, pa.ArrowException) as error:
        raise _changed(path, str(error).partition("\n")[0]) from error
    goes = mask(pc.is_in(ids, value_set=candidates))
    return pc.unique(ids.filter(pa.array(goes))), int((~goes).sum())


def check_row_groups(path: Path, metadata: pq.FileMetaData) -> None:
    """Refuse a file that the Hub's viewer would not show.

    Args:
        metadata: of this file.

    Raises:
        ConfigurationError: one of its row groups is too large.
    """
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    # Not MAX_ROW_GROUP_BYTES: in releases of before builds counted the text, too, groups exceed that by their text.
    if max(sizes, default=0) > files.VIEWER_ROW_GROUP_BYTES:
        raise ConfigurationError(
            f"{path}: row group {int(np.argmax(sizes))} has {max(sizes):,} bytes: expected at most "
            f"{files.VIEWER_ROW_GROUP_BYTES:,}, or the Hub's viewer cannot show the data set. Shorter clips take less"
        )


@contextmanager
def rendered(shard: Shard) -> Iterator[Path]:
    """Give a file to publish: the release's own where all its rows are, else one that is gone after the block.

    Its bytes are the same each time. It takes as much memory as a row group, and disk for `max_bytes`.

    Raises:
        ConfigurationError: the release's file is not what was built, or the disk is full.
    """
    with shard.home.at_hand(shard.path) as path:
        check_unchanged(shard, path)
        if not len(shard.left_out):
            yield path
            return
        temporary = shard.home.temporary()
        try:
            _write(shard, path, temporary)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def check_unchanged(shard: Shard, path: Path) -> None:
    """Raise ConfigurationError if the release's file is not what was built.

    Args:
        path: where its bytes are to be read.
    """
    try:
        found = file_sha256(path)
    except OSError as error:
        raise _changed(shard.path, error.strerror or "") from error
    if found != shard.sha256:
        raise _changed(shard.path, f"sha256 is {found[:12]}, not {shard.sha256[:12]}")


def _write(shard: Shard, path: Path, temporary: Path) -> None:
    try:
        files.write_rows(path, temporary, files.rows_without(path, shard.left_out))
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ConfigurationError(
            f"{temporary.parent}: the disk is full: expected room for one file at a time, here for "
            f"{shard.size_bytes:,} bytes of {shard.name} without the pairs that are not published"
        ) from error


def _changed(path: Path, detail: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} changed on disk ({detail}): expected the file that was built; `artune verify` says how to mend it"
    )


def described(shard: Shard, path: Path) -> PublishedFile:
    """Return what a manifest says of a shard.

    Args:
        path: what `rendered` gave.
    """
    return shard.known or PublishedFile(file_sha256(path), path.stat().st_size, shard.rows)
