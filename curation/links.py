"""Which blobs look or sound alike: found once for the same measurements, and kept."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation import duplicates, fingerprints
from curation.columns import Ints, flat, mask
from curation.damage import read_whole
from curation.duplicates import THUMBNAIL_SIDE, Looks, Thumbnails
from curation.fingerprints import Items
from curation.store import Home, digest, opened

VERSION = 1  # raise it when the same measurements would give other links
_ENDS = ("row", "other")


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of rows of the measured tables, the smaller one first, in order.

    Attributes:
        images: int64, shape (n_links, 2): rows of `measured_images` that look alike. Of those of equal hash and equal
            thumbnail the first stands for all: only it is linked to others.
        recordings: int64, shape (n_links, 2): rows of `measured_recordings` that share sound.
    """

    images: Ints
    recordings: Ints


@dataclass(frozen=True, slots=True)
class Measured:
    """One of the measured tables, most of which need not be read where its links were kept.

    Attributes:
        key: of the step that measured it: with it, the same blobs have the same measurements.
        sha256s: of its rows.
        whole: reads it with everything that links are found by, in the same order.
    """

    key: str
    sha256s: pa.ChunkedArray
    whole: Callable[[], pa.Table]


def find(home: Home, images: Measured, recordings: Measured, *, keep: bool) -> Links:
    """Return what looks or sounds alike, as it was found before if that was kept.

    Args:
        keep: write what is found under `derived`; without it nothing is written.
    """
    return Links(
        _kept(home, "images", images, of_images, keep), _kept(home, "recordings", recordings, of_recordings, keep)
    )


def of_images(images: pa.Table) -> Ints:
    """Return the rows of IMAGES that look alike, shape (n_links, 2)."""
    seen = mask(images["reason"].is_null())
    pictures = images.filter(pa.array(seen))
    looks = Looks(
        hashes=pictures["phash"].to_numpy(),
        mirror_hashes=pictures["mirror_phash"].to_numpy(),
        thumbnails=thumbnails_of(pictures),
    )
    return np.flatnonzero(seen)[duplicates.similar_pictures(looks)]


def thumbnails_of(pictures: pa.Table) -> Thumbnails:
    """Return the thumbnails of rows of IMAGES, none of which is null."""
    column = flat(pictures["thumbnail"])
    gray = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    gray = gray[column.offset * THUMBNAIL_SIDE**2 :][: len(column) * THUMBNAIL_SIDE**2]
    return gray.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def of_recordings(recordings: pa.Table) -> Ints:
    """Return the rows of RECORDINGS that share sound, shape (n_links, 2)."""
    heard = mask(recordings["reason"].is_null())
    return np.flatnonzero(heard)[fingerprints.overlaps(prints_of(recordings.filter(pa.array(heard))))]


def prints_of(recordings: pa.Table) -> list[Items]:
    """Return the fingerprints of rows of RECORDINGS, none of which is null."""
    return [np.frombuffer(each.as_buffer(), "<u4") for each in recordings["fingerprint"]]


def _kept(home: Home, name: str, table: Measured, search: Callable[[pa.Table], Ints], keep: bool) -> Ints:
    """Return the links of one table, from the work folder if they are there."""
    blobs = hashlib.sha256("\n".join(table.sha256s.to_pylist()).encode()).hexdigest()
    path = home.derived("links", digest([name, VERSION, table.key, blobs])) / f"{name}.parquet"
    if path.exists():
        kept = read_whole(path, lambda: pq.ParquetFile(opened(path), page_checksum_verification=True).read())
        return np.stack([kept[end].to_numpy() for end in _ENDS], axis=1)
    found = search(table.whole())
    if keep:
        home.write_table(path, pa.table(dict(zip(_ENDS, found.T, strict=True))))
    return found
