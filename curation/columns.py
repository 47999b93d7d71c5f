"""What Arrow and numpy lack for whole columns: places in a table, ranks inside groups, keys that shuffle."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]

HEAD_DIGITS = 16  # of a hash: 64 bits
_NIBBLES = np.zeros(256, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)


def flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # it was empty
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def places(values: pa.ChunkedArray | pa.Array, among: pa.ChunkedArray | pa.Array) -> Ints:
    """Return where each value stands first, -1 where it does not; null stands nowhere."""
    found = pc.fill_null(pc.index_in(values, value_set=flat(among), skip_nulls=True), -1)
    return np.asarray(flat(found), dtype=np.int64)


def numbered(*columns: pa.ChunkedArray | pa.Array) -> list[Ints]:
    """Number the values of columns from 0: equal values have equal numbers, in whichever column; null has -1."""
    return _numbers(pa.concat_arrays([flat(column) for column in columns]), columns)


def numbered_hashes(*columns: pa.ChunkedArray | pa.Array) -> list[Ints]:
    """Number sha256 in hex likewise, by their first 128 bits: of these nobody can make two alike."""
    first, second = (np.concatenate([heads(column, at) for column in columns]) for at in (0, HEAD_DIGITS))
    numbers = _numbers(pa.array(first), columns)
    of_all = np.concatenate(numbers)
    agree = (second == second[first_rows(of_all, int(of_all.max(initial=-1)) + 1)[of_all]]).all()
    return numbers if agree else numbered(*columns)


def _numbers(values: pa.Array, columns: Sequence[pa.ChunkedArray | pa.Array]) -> list[Ints]:
    numbers = np.asarray(pc.fill_null(values.dictionary_encode().indices, -1), dtype=np.int64)
    return np.split(numbers, np.cumsum([len(column) for column in columns])[:-1])


def first_rows(numbers: Ints, count: int) -> Ints:
    """Return the first row of each of `count` numbers, -1 for one that no row has; negative numbers are none."""
    rows = np.flatnonzero(numbers >= 0)
    found = np.full(count, len(numbers), dtype=np.int64)
    np.minimum.at(found, numbers[rows], rows)
    return np.where(found == len(numbers), -1, found)


def mask(column: pa.ChunkedArray | pa.Array) -> Bools:
    """Return a column of truth values for numpy."""
    return np.asarray(flat(column).to_numpy(zero_copy_only=False), dtype=np.bool_)


def taken(values: pa.Array, numbers: npt.NDArray[np.integer]) -> pa.Array:
    """Return the values with these numbers, null for a negative one."""
    return values.take(pa.array(numbers, mask=numbers < 0))


def places_within(groups: npt.NDArray[np.integer]) -> Ints:
    """Return the place of each row among the rows of its group, shape (n,), counted from 0."""
    order = np.argsort(groups, kind="stable")
    starts = group_starts(groups[order])
    found = np.empty(len(groups), dtype=np.int64)
    found[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))
    return found


def group_starts(ordered: npt.NDArray[np.integer]) -> Ints:
    """Return where in an ordered array each run of equal values begins."""
    changes = np.ones(len(ordered), dtype=bool)
    changes[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(changes)


def heads(hashes: pa.ChunkedArray | pa.Array, start: int = 0) -> Keys:
    """Return 64 bits of hashes in lower-case hex, so that numbers are ordered as the hashes are.

    Args:
        start: the digit at which these bits begin.
    """
    text = flat(hashes)
    if not len(text):
        return np.empty(0, dtype=np.uint64)
    ends = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    if np.ptp(np.diff(ends)):  # of several lengths
        return heads(pc.utf8_slice_codeunits(text, start, start + HEAD_DIGITS))
    digits = np.frombuffer(text.buffers()[2], dtype=np.uint8)[ends[0] : ends[-1]].reshape(len(text), -1)
    nibbles = _NIBBLES[digits[:, start : start + HEAD_DIGITS]]
    return (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).view(">u8").ravel().astype(np.uint64)


def shuffled(hashes: pa.ChunkedArray | pa.Array, seed: int, salt: npt.ArrayLike = 0) -> Keys:
    """Return a key for each hash that orders them as if at random, the same for the same seed.

    The mixing is that of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    with np.errstate(over="ignore"):
        mixed = heads(hashes) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(salt, dtype=np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
