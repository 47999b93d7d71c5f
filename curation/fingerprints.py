"""Which recordings share sound: chromaprint's items (www.acoustid.org/chromaprint, algorithm 2), matched at scale.

An item is 32 bits and describes 2.7 s of sound; there are about 8 a second. The same sound encoded anew, or cut at
another sample, keeps most bits of an item and all bits of some.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from curation.columns import Bools, Ints, Keys

# Chromaprint works at 11,025 Hz in frames of 4,096 samples, of which two thirds overlap (in whole samples), smooths
# over 5 frames and looks at 16 of the results for an item (its fingerprinter_configuration.cpp, chroma_filter.cpp).
ITEM_S = (4096 - (4096 - 4096 // 3)) / 11_025
ITEM_SPAN_S = 4096 / 11_025 + (5 - 1 + 16 - 1) * ITEM_S
ITEM_BYTES = 4
ITEM_BITS = 32

# 10 s, of which about 6 to 7 must be equal for the mean error to pass: items that span 9 to 10 s
MIN_OVERLAP_ITEMS = 81
# Share of differing bits. On 25 real recordings: at most 0.083 in any 10 s of the one pair that shares sound, at least
# 0.276 in the most similar 10 s of the other pairs, at any offset.
MAX_BIT_ERROR_RATE = 0.2
# Equal items at one offset, or one beside it, before a pair is looked at; the real pair has 3 to 12 in 10 s.
MIN_VOTES = 3
MAX_LINKS = 32  # recordings with the same item that one votes for
BLOCK_ITEMS = 1 << 22  # voting at a time, which bounds the memory
_PAGE_ITEMS = 64

Items = npt.NDArray[np.uint32]


def clip_span(fingerprint: bytes, start_s: float, duration_s: float) -> bytes:
    """Return the items that describe nothing but the sound of a span."""
    first = math.ceil(start_s / ITEM_S)
    last = math.floor((start_s + duration_s - ITEM_SPAN_S) / ITEM_S)
    return fingerprint[first * ITEM_BYTES : max(first, last + 1) * ITEM_BYTES]


def is_at(span: Items, recording: Items, start_s: float) -> bool:
    """Tell whether a recording has the sound of a span from its beginning to its end, where the span began.

    Or an item earlier or later: encoders put some milliseconds of silence before the sound. All items count, for what
    lies at one place of one recording need not be told from chance: of spans of 30 s of the sample at most 0.076 of the
    bits differ after Opus at 32 kbit/s or MP3 and AAC at 64, and at least 0.376 from another recording's.

    Args:
        span: as `clip_span` gives it.
        recording: of the whole recording.
    """
    first = math.ceil(start_s / ITEM_S)
    for start in range(max(0, first - 1), first + 2):
        found = recording[start : start + len(span)]
        wrong = int(np.bitwise_count(found ^ span[: len(found)]).sum())
        is_whole = len(found) >= max(1, len(span) - 2)  # at the very end an item or two may be missing
        if is_whole and wrong <= MAX_BIT_ERROR_RATE * ITEM_BITS * len(found):
            return True
    return False


def overlaps(fingerprints: Sequence[Items]) -> Ints:
    """Return the pairs (i, j), i < j, in order, of recordings that share about 10 s of sound or more at any offset.

    Equal items vote for a pair and an offset; what has votes is verified bit by bit over the best 10 s. An item that
    repeats the one before it (silence, a held tone) neither votes nor counts. Where more than 33 recordings have an
    item, each votes with the next 32 of them only: a jingle in thousands of recordings still ties them into one
    group, though not every two of them, and an item that is common by chance costs no more than that. Copies that
    play faster, slower or higher are not found.

    Beside the fingerprints it takes 8 bytes of memory for each item.

    Args:
        fingerprints: one array of shape (n_items,) for each recording.

    Returns:
        shape (n_pairs, 2).
    """
    found: set[tuple[int, int]] = set()
    for i, j, offset in _candidates(fingerprints):
        if (i, j) not in found and _match(fingerprints[i], fingerprints[j], offset):
            found.add((i, j))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def recordings_like(others: Sequence[Items], fingerprints: Sequence[Items]) -> Ints:
    """Return the recordings, in order, that share sound with one of a few others, as `overlaps` tells.

    Args:
        others: one array of shape (n_items,) for each; an item votes for 32 of them at most.
        fingerprints: likewise, of the recordings.
    """
    found: set[int] = set()
    for i, j, offset in _candidates_among(others, fingerprints):
        if i not in found and _match(fingerprints[i], others[j], offset):
            found.add(i)
    return np.array(sorted(found), dtype=np.int64)


def _changes(items: Items) -> Bools:
    """Tell for each item whether it differs from the one before it, and from 0."""
    changes: Bools = items != 0
    changes[1:] &= items[1:] != items[:-1]
    return changes


class _Places:
    """Numbers for all items of all recordings: each recording begins at a multiple of _PAGE_ITEMS."""

    def __init__(self, fingerprints: Sequence[Items]) -> None:
        pages = np.array([-(-len(items) // _PAGE_ITEMS) for items in fingerprints], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(pages)]) * _PAGE_ITEMS
        self._recordings = np.repeat(np.arange(len(pages)), pages)
        if self.starts[-1] > 1 << 32:
            raise ValueError(f"{self.starts[-1]:,} items: at most {1 << 32:,} are compared at a time")

    def recordings(self, places: Keys) -> Ints:
        """Return the recording of each place."""
        found: Ints = self._recordings[places // np.uint64(_PAGE_ITEMS)]
        return found


def _keys(fingerprints: Sequence[Items], places: _Places, first: int, last: int) -> Keys:
    """Return item and place of the first occurrence of each item in each of these recordings, ordered, in one number.

    Args:
        first: the first of the recordings.
        last: the one after the last.
    """
    keys = np.empty(sum(map(len, fingerprints[first:last])), dtype=np.uint64)
    end = 0
    for recording in range(first, last):
        at = np.flatnonzero(_changes(fingerprints[recording]))
        items, of_first = np.unique(fingerprints[recording][at], return_index=True)
        place = (at[of_first] + places.starts[recording]).astype(np.uint64)
        start, end = end, end + len(items)
        keys[start:end] = items.astype(np.uint64) << np.uint64(32) | place
    keys = keys[:end]
    keys.sort()
    return keys


def _keys_of(wanted: Items, fingerprints: Sequence[Items], places: _Places, first: int, last: int) -> Keys:
    """Return those keys of recordings, as `_keys` gives them, whose items are among a few.

    Args:
        wanted: ordered, each once.
    """
    items = np.concatenate(fingerprints[first:last])
    lengths = np.array([len(each) for each in fingerprints[first:last]], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    counts = _changes(items)
    full = starts[lengths > 0]
    counts[full] = items[full] != 0  # the first item follows none
    may_be = np.zeros(1 << ITEM_BITS // 2, dtype=bool)
    may_be[wanted >> ITEM_BITS // 2] = True  # most items begin like none of the few
    rows = np.flatnonzero(may_be[items >> ITEM_BITS // 2] & counts)
    rows = rows[np.isin(items[rows], wanted)]
    recordings = np.searchsorted(starts, rows, side="right") - 1
    place = (rows - starts[recordings] + places.starts[first + recordings]).astype(np.uint64)
    order = np.lexsort((place, items[rows]))
    keys = (items[rows].astype(np.uint64) << np.uint64(32) | place)[order]
    of = recordings[order]
    is_first = np.ones(len(keys), dtype=bool)
    is_first[1:] = (of[1:] != of[:-1]) | (keys[1:] >> np.uint64(32) != keys[:-1] >> np.uint64(32))
    found: Keys = keys[is_first]
    return found


def _candidates(fingerprints: Sequence[Items]) -> Iterator[tuple[int, int, int]]:
    """Yield (i, j, offset) with enough votes: item p + offset of recording i sounds like item p of recording j."""
    count, longest = len(fingerprints), max(map(len, fingerprints), default=0)
    offsets = 2 * longest + 1
    places = _Places(fingerprints)
    index = _keys(fingerprints, places, 0, count)
    for first, last in _blocks(places, count):
        block = index if last - first == count else _keys(fingerprints, places, first, last)
        votes = []
        for earlier, later in _votes(index, np.searchsorted(index, block)):
            i, j = places.recordings(earlier), places.recordings(later)
            offset = earlier.astype(np.int64) - places.starts[i] - later.astype(np.int64) + places.starts[j]
            votes.append((i * count + j) * offsets + offset + longest)
        for key in _elected(np.concatenate(votes)).tolist():
            pair, offset = divmod(key, offsets)
            yield *divmod(pair, count), offset - longest


def _candidates_among(others: Sequence[Items], fingerprints: Sequence[Items]) -> Iterator[tuple[int, int, int]]:
    """Yield (i, j, offset) with enough votes: item p + offset of recording i sounds like item p of other j."""
    longest = max(map(len, [*others, *fingerprints]), default=0)
    offsets = 2 * longest + 1
    places, other_places = _Places(fingerprints), _Places(others)
    index = _keys(others, other_places, 0, len(others))
    wanted = np.unique((index >> np.uint64(32)).astype(np.uint32))
    for first, last in _blocks(places, len(fingerprints)):
        block = _keys_of(wanted, fingerprints, places, first, last)
        votes = [np.empty(0, dtype=np.int64)]
        for own, other in _votes_among(index, block):
            i, j = places.recordings(own), other_places.recordings(other)
            offset = own.astype(np.int64) - places.starts[i] - other.astype(np.int64) + other_places.starts[j]
            votes.append((i * len(others) + j) * offsets + offset + longest)
        for key in _elected(np.concatenate(votes)).tolist():
            pair, offset = divmod(key, offsets)
            yield *divmod(pair, len(others)), offset - longest


def _blocks(places: _Places, count: int) -> Iterator[tuple[int, int]]:
    """Yield the first recording and the one after the last of those that vote at a time."""
    first = 0
    while first < count:
        last = int(np.searchsorted(places.starts, places.starts[first] + BLOCK_ITEMS, side="right")) - 1
        last = min(max(last, first + 1), count)
        yield first, last
        first = last


def _votes(index: Keys, block: Ints) -> Iterator[tuple[Keys, Keys]]:
    """Yield the places of equal items: one of the block, the other of a later recording.

    Args:
        block: where the items of the block stand in the index.
    """
    place = np.uint64((1 << 32) - 1)
    for step in range(1, MAX_LINKS + 1):
        block = block[block + step < len(index)]
        own, other = index[block], index[block + step]
        equal = (own ^ other) <= place
        block = block[equal]
        yield own[equal] & place, other[equal] & place


def _votes_among(index: Keys, block: Keys) -> Iterator[tuple[Keys, Keys]]:
    """Yield the places of equal items: one of the block, the other of the index."""
    place = np.uint64((1 << 32) - 1)
    at = np.searchsorted(index, block & ~place)
    for _ in range(MAX_LINKS):
        there = at < len(index)
        block, at = block[there], at[there]
        other = index[at]
        equal = (block ^ other) <= place
        block, at = block[equal], at[equal] + 1
        yield block & place, other[equal] & place


def _elected(votes: Ints) -> Ints:
    """Return the keys that have enough votes, with those beside them.

    The frames of two recordings seldom fall together, so that two offsets share the votes.
    """
    keys, counts = np.unique(votes, return_counts=True)
    beside = counts.copy()
    adjacent = np.diff(keys) == 1
    beside[1:] += np.where(adjacent, counts[:-1], 0)
    beside[:-1] += np.where(adjacent, counts[1:], 0)
    return keys[beside >= MIN_VOTES]


def _match(a: Items, b: Items, offset: int) -> bool:
    """Tell whether any 10 s of two recordings agree at an offset, judged by the items that count in both."""
    start, end = max(0, offset), min(len(a), offset + len(b))
    if end - start < MIN_OVERLAP_ITEMS:
        return False
    counts = _changes(a)[start:end] & _changes(b)[start - offset : end - offset]
    wrong = np.bitwise_count(a[start:end] ^ b[start - offset : end - offset]) * counts
    compared = _sums(counts)
    enough = 2 * compared >= MIN_OVERLAP_ITEMS
    return bool((enough & (_sums(wrong) <= MAX_BIT_ERROR_RATE * ITEM_BITS * compared)).any())


def _sums(values: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the sum of every stretch of 10 s."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total[MIN_OVERLAP_ITEMS:] - total[:-MIN_OVERLAP_ITEMS]
