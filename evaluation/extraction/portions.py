"""Media of many items, some at a time: what each is made from, and how it is read and decoded once it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
from PIL import Image

from curation.columns import Ints
from curation.errors import ItemError, attempt
from curation.store import file_sha256
from training.data import Revision, Split
from training.reading import media
from training.reading.encoding import Column
from training.reading.files import patiently
from training.reading.media import Clip, Content, Wave

T = TypeVar("T")

Side = Literal["image", "music"]
Medium: TypeAlias = Image.Image | Wave

SIDE_PX = 512  # what Stable Diffusion v1 draws. A published picture that is smaller becomes as large
PORTION = 32  # items that are decoded at once: 90 MB of clips of 30 s at 48 kHz, 25 MB of pictures
MAX_FILE_BYTES = 256 << 20  # more than any picture of as many pixels as are decoded takes

_COLUMNS: dict[Side, Column] = {"image": "image", "music": "audio"}
_MADE_FROM: dict[Side, list[str]] = {
    "image": ["image_sha256"],
    "music": ["music_sha256", "music_start_s", "music_duration_s"],
}


@dataclass(frozen=True, slots=True)
class Portion:
    """Items that pass through a network at once.

    Attributes:
        places: rows of a split, or places among files, ascending, shape (k,).
        made_from: what tells the medium of each from others, or why there is none.
        read: reads and decodes them.
    """

    places: Ints
    made_from: Sequence[object]
    read: Callable[[], list[Medium | ItemError]]


def of_files(files: Sequence[Path]) -> Iterator[Portion]:
    """Yield portions of pictures in files, by their places."""
    for first in range(0, len(files), PORTION):
        some = files[first : first + PORTION]
        hashes = [attempt(partial(_sha256, path)) for path in some]
        yield Portion(
            np.arange(first, first + len(some)),
            [["file", found if isinstance(found, str) else found.reason] for found in hashes],
            partial(_pictures, some),
        )


def of_rows(split: Split, side: Side, rows: Ints, sample_rate_hz: int | None) -> Iterator[Portion]:
    """Yield portions of the pictures or the clips of a split; no portion is of two row groups.

    Of a row group all that is asked for is read at once, when its first portion is.

    Args:
        rows: ascending, each once.
        sample_rate_hz: that clips become.
    """
    common = [side, release_of(split.revision), *([split.revision.sample_rate_hz] if side == "music" else [])]
    for group in _by_group(split, rows):
        opened = _Group(split, side, group, sample_rate_hz)
        for first in range(0, len(group), PORTION):
            some = group[first : first + PORTION]
            made_from = split.pairs.select(_MADE_FROM[side]).take(pa.array(some)).to_pylist()
            yield Portion(some, [[*common, row] for row in made_from], partial(opened.decoded, first))


def contents(split: Split, column: Column, rows: Ints) -> Iterator[list[tuple[int, Content | None]]]:
    """Yield the files of a column with their rows, a list for each row group; tried again while a place is busy.

    Args:
        rows: ascending, each once.
    """
    for group in _by_group(split, rows):
        yield _contents(split, column, group)


def release_of(revision: Revision) -> str:
    """Return what tells how the media of a revision were made."""
    return revision.media or revision.digest or revision.location


def clip_of(split: Split, row: int) -> Clip:
    """Return what a release says of a clip."""
    return Clip(split.revision.sample_rate_hz, split.pairs["music_duration_s"][row].as_py())


def ahead(parts: Iterator[T]) -> Iterator[T]:
    """Yield what an iterator does, of which another thread gets the next while the last one is worked on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="artune-media") as thread:
        coming = thread.submit(next, parts, end)
        while (part := coming.result()) is not end:
            coming = thread.submit(next, parts, end)
            yield part  # type: ignore[misc] # it is not the end


class _Group:
    """What is wanted of a row group: read when the first of it is asked for, and forgotten one by one."""

    def __init__(self, split: Split, side: Side, rows: Ints, sample_rate_hz: int | None) -> None:
        self._split, self._side, self._rows = split, side, rows
        self._sample_rate_hz = sample_rate_hz
        self._contents: dict[int, Content | None] | None = None

    def decoded(self, first: int) -> list[Medium | ItemError]:
        """Return the portion that begins at a place."""
        if self._contents is None:  # what lay before was found in the cache
            self._contents = dict(_contents(self._split, _COLUMNS[self._side], self._rows[first:]))
        rows = self._rows[first : first + PORTION].tolist()
        return [attempt(partial(self._medium, row, self._contents.pop(row))) for row in rows]

    def _medium(self, row: int, content: Content | None) -> Medium:
        if self._side == "image":
            return square(content)
        assert self._sample_rate_hz is not None
        clip = clip_of(self._split, row)
        return media.wave(content, self._sample_rate_hz, clip.duration_s, clip)


def square(content: Content | None) -> Image.Image:
    """Return the middle square of a picture, RGB, 512 x 512 px.

    Generated and real pictures become alike in size, so no network tells them apart by the way it makes them smaller.

    Raises:
        ItemError: "undecodable_image" or "too_many_pixels".
    """
    return Image.fromarray(np.ascontiguousarray(media.picture(content, SIDE_PX).transpose(1, 2, 0)))


def _pictures(files: Sequence[Path]) -> list[Medium | ItemError]:
    return [attempt(partial(picture_file, path)) for path in files]


def picture_file(path: Path) -> Image.Image:
    """Return the middle square of a picture in a file.

    Raises:
        ItemError: "missing_file", "unreadable", "too_many_bytes", "undecodable_image" or "too_many_pixels".
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise ItemError("too_many_bytes", f"{size_bytes:,} bytes: expected at most {MAX_FILE_BYTES:,}")
        content = path.read_bytes()
    except OSError as error:
        raise _unread(error) from error
    return square(content)


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise _unread(error) from error


def _unread(error: OSError) -> ItemError:
    return ItemError(
        "missing_file" if isinstance(error, FileNotFoundError) else "unreadable", error.strerror or str(error)
    )


def _contents(split: Split, column: Column, rows: Ints) -> list[tuple[int, Content | None]]:
    """Read rows of one row group, one after the other."""
    group, wanted = split.group_of(int(rows[0])), set(rows.tolist())
    return patiently(lambda: [(row, content) for _, row, content in split.media(group, {column: wanted})])


def _by_group(split: Split, rows: Ints) -> list[Ints]:
    groups = np.searchsorted(np.cumsum(split.group_sizes), rows, side="right")
    return np.split(rows, np.flatnonzero(np.diff(groups)) + 1) if len(rows) else []
