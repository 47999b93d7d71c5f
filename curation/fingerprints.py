"""Which recordings share sound: chromaprint's items (www.acoustid.org/chromaprint, algorithm 2), matched at scale.

An item is 32 bits and describes 2.7 s of sound; there are about 8 a second. The same sound encoded anew, or cut at
another sample, keeps most bits of an item and all bits of some.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Chromaprint works at 11,025 Hz in frames of 4,096 samples, of which two thirds overlap (in whole samples), smooths
# over 5 frames and looks at 16 of the results for an item (its fingerprinter_configuration.cpp, chroma_filter.cpp).
ITEM_S = (4096 - (4096 - 4096 // 3)) / 11_025
ITEM_SPAN_S = 4096 / 11_025 + (5 - 1 + 16 - 1) * ITEM_S
ITEM_BYTES = 4
ITEM_BITS = 32

MIN_OVERLAP_ITEMS = (
    81  # 10 s, of which about 6 to 7 must be equal for the mean error to pass: items that span 9 to 10 s
)
# Share of differing bits. On 25 real recordings: at most 0.083 in any 10 s of the one pair that shares sound, at least
# 0.276 in the most similar 10 s of the other pairs, at any offset.
MAX_BIT_ERROR_RATE = 0.2
MIN_VOTES = (
    3  # equal items at one offset, or one beside it, before a pair is looked at; the real pair has 3 to 12 in 10 s
)
MAX_LINKS = 32  # recordings with the same item that one votes for
BLOCK_ITEMS = 1 << 20  # voting at a time, which bounds the memory

Items = npt.NDArray[np.uint32]


def clip_span(fingerprint: bytes, start_s: float, duration_s: float) -> bytes:
    """Return the items that describe nothing but the sound of a span."""
    first = math.ceil(start_s / ITEM_S)
    last = math.floor((start_s + duration_s - ITEM_SPAN_S) / ITEM_S)
    return fingerprint[first * ITEM_BYTES : max(first, last + 1) * ITEM_BYTES]


def overlaps(fingerprints: Sequence[Items]) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, in order, of recordings that share about 10 s of sound or more at any offset.

    Equal items vote for a pair and an offset; what has votes is verified bit by bit over the best 10 s. An item that
    repeats the one before it (silence, a held tone) neither votes nor counts. Where more than 33 recordings have an
    item, each votes with the next 32 of them only: a jingle in thousands of recordings still ties them into one
    group, though not every two of them, and an item that is common by chance costs no more than that.

    Args:
        fingerprints: one array of shape (n_items,) for each recording.
    """
    if not sum(map(len, fingerprints)):
        return []
    found: set[tuple[int, int]] = set()
    changes = [_changes(items) for items in fingerprints]
    for i, j, offset in _candidates(_index(fingerprints, changes)):
        if (i, j) not in found and _match(fingerprints[i], fingerprints[j], changes[i], changes[j], offset):
            found.add((i, j))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Index:
    """The first occurrence of each item in each recording, ordered by item, then by recording; all of one length."""

    items: Items
    recordings: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    count: int  # recordings
    longest: int  # items of the longest one


def _changes(items: Items) -> npt.NDArray[np.bool_]:
    """Tell for each item whether it differs from the one before it, and from 0."""
    changes: npt.NDArray[np.bool_] = items != 0
    changes[1:] &= items[1:] != items[:-1]
    return changes


def _index(fingerprints: Sequence[Items], changes: Sequence[npt.NDArray[np.bool_]]) -> _Index:
    lengths = [int(change.sum()) for change in changes]
    items = np.concatenate([each[change] for each, change in zip(fingerprints, changes, strict=True)])
    recordings = np.repeat(np.arange(len(fingerprints)), lengths)
    positions = np.concatenate([np.flatnonzero(change) for change in changes])
    order = np.argsort(items, kind="stable")  # which keeps recordings and positions ascending
    items, recordings, positions = items[order], recordings[order], positions[order]
    first = np.ones(len(items), np.bool_)
    first[1:] = (items[1:] != items[:-1]) | (recordings[1:] != recordings[:-1])
    longest = max(map(len, fingerprints))
    return _Index(items[first], recordings[first], positions[first], len(fingerprints), longest)


def _candidates(index: _Index) -> Iterator[tuple[int, int, int]]:
    """Yield (i, j, offset) with enough votes: item p + offset of recording i sounds like item p of recording j."""
    offsets = 2 * index.longest + 1
    by_recording = np.argsort(index.recordings, kind="stable")
    ends = np.searchsorted(index.recordings, np.arange(index.count), side="right", sorter=by_recording)
    start, end = 0, 0
    for recording, next_end in enumerate(ends):
        end = int(next_end)
        if end - start < BLOCK_ITEMS and recording < index.count - 1:
            continue
        keys, votes = np.unique(_votes(index, by_recording[start:end], offsets), return_counts=True)
        beside = votes.copy()  # the frames of two recordings seldom fall together, so that two offsets share the votes
        adjacent = np.diff(keys) == 1
        beside[1:] += np.where(adjacent, votes[:-1], 0)
        beside[:-1] += np.where(adjacent, votes[1:], 0)
        for key in keys[beside >= MIN_VOTES].tolist():
            pair, offset = divmod(key, offsets)
            yield *divmod(pair, index.count), offset - index.longest
        start = end


def _votes(index: _Index, block: npt.NDArray[np.int64], offsets: int) -> npt.NDArray[np.int64]:
    """Return a key of (i, j, offset) for each item of the block that a later recording has too."""
    keys = []
    for step in range(1, MAX_LINKS + 1):
        block = block[block + step < len(index.items)]
        block = block[index.items[block + step] == index.items[block]]
        pair = index.recordings[block] * index.count + index.recordings[block + step]
        keys.append(pair * offsets + index.positions[block] - index.positions[block + step] + index.longest)
    return np.concatenate(keys)


def _match(a: Items, b: Items, a_changes: npt.NDArray[np.bool_], b_changes: npt.NDArray[np.bool_], offset: int) -> bool:
    """Tell whether any 10 s of two recordings agree at an offset, judged by the items that count in both."""
    start, end = max(0, offset), min(len(a), offset + len(b))
    if end - start < MIN_OVERLAP_ITEMS:
        return False
    counts = a_changes[start:end] & b_changes[start - offset : end - offset]
    wrong = np.bitwise_count(a[start:end] ^ b[start - offset : end - offset]) * counts
    compared = _sums(counts)
    enough = 2 * compared >= MIN_OVERLAP_ITEMS
    return bool((enough & (_sums(wrong) <= MAX_BIT_ERROR_RATE * ITEM_BITS * compared)).any())


def _sums(values: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the sum of every stretch of 10 s."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total[MIN_OVERLAP_ITEMS:] - total[:-MIN_OVERLAP_ITEMS]
