"""Which pictures show the same: perceptual hashes find candidates without comparing all of them, thumbnails decide.

Found are other encodings and sizes, crops of up to about 3 % a side, thin borders, watermarks in a corner, changes of
brightness, contrast and color, gray copies, and mirror images of all these.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from curation.columns import Bools, Ints, Keys

# Shares of the sample's 80 pictures whose altered copy lies within 6, 8 and 10 bits of 64 (a hash has 32 ones, so that
# all distances are even): smaller, JPEG at quality 30, other colors: all within 8; cut by 2 % on every side 0.86, 0.95,
# 0.99, by 3 % 0.55, 0.78, 0.97, by 5 % 0.12, 0.33, 0.61; by 5 % on one side 0.54, 0.75, 0.93; a border of 2 % 0.49,
# 0.75, 0.90, of 5 % 0.03, 0.12, 0.24; a white label over 20 % x 7 % of a corner 0.65, 0.76, 0.82. Of 20 million pairs
# of cuts (45 to 85 % of a side, mirrored ones too) of different pictures 0, 0 and 4 do.
MAX_HASH_BITS = 10
MAX_MIRROR_BITS = 8  # with 10 bits the search, which looks both ways, would take twice as long
# Correlation of the gray thumbnails without their two outermost rows and columns, where borders and cuts do most harm.
# Copies as above within 10 bits: 2 % cut at least 0.92, 3 % at least 0.84 (one in ten below 0.91), border of 2 % 0.90,
# label 1.00, all the milder ones 0.96. Different pictures within 10 bits: those 4 pairs at most 0.51. Of 2 million
# pairs of tiles, a quarter to a sixteenth of a picture each and many of them little more than an edge, 8 that are not
# flat lie within 10 bits, and 2 of them reach 0.89 and 0.96. Whole thumbnails tell less: 2 % of border bring 0.30.
MIN_CORRELATION = 0.85
# Standard deviation of the gray values there: below it a picture is so flat that its hash is noise. 283 more pairs of
# those tiles lie within 10 bits, all with one below 4; the flattest of the 80 pictures has 9.9.
MIN_DEVIATION = 4.0

THUMBNAIL_SIDE = 16
_INSIDE = slice(2, THUMBNAIL_SIDE - 2)
_CELLS = (THUMBNAIL_SIDE - 4) ** 2
_BLOCK_PAIRS = 1 << 16

_PARTS = 4
_PART_BITS = 64 // _PARTS
_SOURCES = 1 << 15  # compared at a time: what they touch stays in the cache
_STEPS = 8  # neighbors compared before the sources that have no more are dropped

Thumbnails = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Looks:
    """What tells pictures apart.

    Attributes:
        hashes: uint64, shape (n,): the perceptual hash of each.
        mirror_hashes: uint64, shape (n,): that of its mirror image.
        thumbnails: uint8, shape (n, 16, 16): gray.
    """

    hashes: Keys
    mirror_hashes: Keys
    thumbnails: Thumbnails


def similar_pictures(looks: Looks) -> Ints:
    """Return the pairs (i, j), i < j, in order, of pictures that show the same, shape (n_pairs, 2).

    Pictures of equal hash and equal thumbnail, of which a placeholder has thousands, are linked to the first of them
    only, which stands for them all. Flat pictures are linked to nothing.
    """
    moments = _moments(looks.thumbnails)
    rows = np.flatnonzero(moments.deviation >= MIN_DEVIATION * _CELLS)
    first = _first_equals(looks.hashes[rows], looks.thumbnails[rows])
    equal = np.stack([rows[first], rows], axis=1)[first != np.arange(len(rows))]
    rows = rows[np.unique(first)]
    hashes = looks.hashes[rows]
    alike = rows[near_hashes(hashes, hashes, MAX_HASH_BITS)]
    mirrored = rows[near_hashes(hashes, looks.mirror_hashes[rows], MAX_MIRROR_BITS)]
    mirrored = mirrored[mirrored[:, 0] != mirrored[:, 1]]
    found = [
        equal,
        alike[_verified(looks.thumbnails, looks.thumbnails, moments, alike)],
        mirrored[_verified(looks.thumbnails, looks.thumbnails[:, :, ::-1], moments, mirrored)],
    ]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def pictures_like(
    others: Looks, hashes: Keys, mirror_hashes: Keys, thumbnails_of: Callable[[Ints], Thumbnails]
) -> Ints:
    """Return the rows, in order, of pictures that show the same as one of a few others, as `similar_pictures` tells.

    Args:
        hashes: shape (n,).
        mirror_hashes: shape (n,).
        thumbnails_of: gives those of some rows; only where a hash is near, thumbnails are asked for.
    """
    alike = _near_few(hashes, others.hashes, MAX_HASH_BITS)
    mirrored = [
        _near_few(hashes, others.mirror_hashes, MAX_MIRROR_BITS),
        _near_few(mirror_hashes, others.hashes, MAX_MIRROR_BITS),
    ]
    pairs = np.concatenate([alike, *mirrored])
    rows, first = np.unique(pairs[:, 0], return_inverse=True)
    gray = np.concatenate([thumbnails_of(rows), others.thumbnails])
    moments = _moments(gray)
    pairs = np.stack([first, len(rows) + pairs[:, 1]], axis=1)
    has_shape = (moments.deviation >= MIN_DEVIATION * _CELLS)[pairs].all(axis=1)
    agree = np.concatenate(
        [
            _verified(gray, gray, moments, pairs[: len(alike)]),
            _verified(gray, gray[:, :, ::-1], moments, pairs[len(alike) :]),
        ]
    )
    like: Ints = rows[np.unique(pairs[has_shape & agree, 0])]
    return like


def have_shape(thumbnails: Thumbnails) -> Bools:
    """Tell which pictures are not so flat that their hashes are noise."""
    return _moments(thumbnails).deviation >= MIN_DEVIATION * _CELLS


def _near_few(hashes: Keys, few: Keys, max_bits: int) -> Ints:
    """Return the pairs (i, j) of rows of both whose hashes differ in at most `max_bits`, shape (n_pairs, 2)."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for j, other in enumerate(few):
        i = np.flatnonzero(np.bitwise_count(hashes ^ other) <= max_bits)
        found.append(np.stack([i, np.full(len(i), j)], axis=1))
    return np.concatenate(found)


def near_hashes(a: Keys, b: Keys, max_bits: int) -> Ints:
    """Return all pairs (i, j) of rows of a and b whose hashes differ in at most `max_bits`, shape (n_pairs, 2).

    Each is given once; where a is b, no row is paired with itself, and each two are given one way only. The hashes are
    cut into four parts. What differs in few bits differs in very few of one part at least (pigeonhole), so only those
    are compared that do.

    Args:
        a: shape (n,).
        b: shape (m,), or a itself.
    """
    radii = [(max_bits + _PARTS - number) // _PARTS - 1 for number in range(_PARTS)]  # they sum to max_bits - 3
    found = [np.empty((0, 2), dtype=np.int64)]
    for number, radius in enumerate(radii):
        left = _part_of(a, number)
        right = left if b is a else _part_of(b, number)
        for mask in _masks(radius):
            for i, j in _compared(left, right, mask, max_bits):
                new = _is_new(left.hashes[i] ^ right.hashes[j], radii[:number])
                found.append(np.stack([left.order[i[new]], right.order[j[new]]], axis=1))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class _Part:
    """Hashes in the order of one part of their bits.

    Attributes:
        order: the row of each, shape (n,).
        hashes: shape (n + _STEPS,): what stands at the end is compared, but never found.
        parts: int32, shape (n,).
        starts: int32, shape (2 ** _PART_BITS + 1,): where those of each part begin.
        sizes: int32, shape (2 ** _PART_BITS,).
    """

    order: Ints
    hashes: Keys
    parts: Places
    starts: Places
    sizes: Places


def _part_of(hashes: Keys, number: int) -> _Part:
    parts = (hashes >> np.uint64(number * _PART_BITS)).astype(np.uint16)
    order = np.argsort(parts, kind="stable")
    sizes = np.bincount(parts, minlength=1 << _PART_BITS).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    padded = np.concatenate([hashes[order], np.zeros(_STEPS, np.uint64)])
    return _Part(order, padded, parts[order].astype(np.int32), starts, sizes)


def _masks(radius: int) -> list[int]:
    """Return every way in which two parts differ in at most `radius` bits."""
    flips = (bits for count in range(radius + 1) for bits in combinations(range(_PART_BITS), count))
    return [sum(1 << bit for bit in bits) for bits in flips]


def _is_new(differences: Keys, radii: list[int]) -> Bools:
    """Tell which pairs no earlier part found."""
    new = np.ones(len(differences), dtype=bool)
    for number, radius in enumerate(radii):
        part = (differences >> np.uint64(number * _PART_BITS)).astype(np.uint16)
        new &= np.bitwise_count(part) > radius
    return new


def _compared(left: _Part, right: _Part, mask: int, max_bits: int) -> Iterator[tuple[Places, Places]]:
    """Yield the places of those that are near each other and whose parts differ by just this mask.

    Of two sets that meet, each of the larger one goes through the smaller one: so few steps do much each, however
    uneven the sets are.
    """
    if left is right and not mask:
        places = np.arange(len(left.order), dtype=np.int32)
        yield from _near(left, left, (places, places + 1, left.starts[left.parts + 1]), max_bits)
        return
    meets = left.parts ^ mask
    own, other = left.sizes[left.parts], right.sizes[meets]
    goes = (own > other) | ((own == other) & (left.parts < meets)) if left is right else own >= other
    yield from _near(left, right, _through(right, meets, goes), max_bits)
    if left is not right:
        meets = right.parts ^ mask
        goes = right.sizes[right.parts] > left.sizes[meets]
        for j, i in _near(right, left, _through(left, meets, goes), max_bits):
            yield i, j


def _through(targets: _Part, meets: Places, goes: Bools) -> tuple[Places, Places, Places]:
    places = np.flatnonzero(goes).astype(np.int32)
    return places, targets.starts[meets[places]], targets.starts[meets[places] + 1]


def _near(
    sources: _Part, targets: _Part, spans: tuple[Places, Places, Places], max_bits: int
) -> Iterator[tuple[Places, Places]]:
    """Yield the places of near hashes.

    Args:
        spans: places among the sources, and where the targets of each begin and end.
    """
    some = spans[1] < spans[2]
    spans = (spans[0][some], spans[1][some], spans[2][some])
    for start in range(0, len(spans[0]), _SOURCES):
        places, at, ends = (each[start : start + _SOURCES] for each in spans)
        hashes = sources.hashes[places]
        while len(places):
            for _ in range(_STEPS):
                hits = np.flatnonzero(np.bitwise_count(hashes ^ targets.hashes[at]) <= max_bits)
                if len(hits):
                    hits = hits[at[hits] < ends[hits]]
                    yield places[hits], at[hits]
                at = at + 1
            more = np.flatnonzero(at < ends)
            places, at, ends, hashes = places[more], at[more], ends[more], hashes[more]


def _first_equals(hashes: Keys, thumbnails: Thumbnails) -> Ints:
    """Return for each row the first one of the same hash and thumbnail, shape (n,)."""
    first = np.arange(len(hashes))
    _, number, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[number] > 1)
    looks = np.concatenate(
        [hashes[shared, None].view(np.uint8), thumbnails[shared].reshape(len(shared), THUMBNAIL_SIDE**2)], axis=1
    )
    _, firsts, same = np.unique(looks, axis=0, return_index=True, return_inverse=True)
    first[shared] = shared[firsts[same.ravel()]]
    return first


@dataclass(frozen=True, slots=True)
class _Moments:
    """Sum and deviation of the inner gray values of thumbnails, times their number; shape (n,)."""

    sums: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def _moments(thumbnails: Thumbnails) -> _Moments:
    sums, squares = np.empty(len(thumbnails)), np.empty(len(thumbnails))
    for start in range(0, len(thumbnails), _BLOCK_PAIRS):
        block = slice(start, start + _BLOCK_PAIRS)
        inner = _inner(thumbnails[block])
        sums[block], squares[block] = inner.sum(axis=1), np.einsum("np,np->n", inner, inner)
    return _Moments(sums, np.sqrt(_CELLS * squares - sums**2))


def _inner(thumbnails: Thumbnails) -> npt.NDArray[np.float32]:
    """Return gray values of which 144 products sum to less than 2 ** 24: exact in any order, on any machine."""
    return thumbnails[:, _INSIDE, _INSIDE].reshape(len(thumbnails), _CELLS).astype(np.float32)


def _verified(a: Thumbnails, b: Thumbnails, moments: _Moments, pairs: Ints) -> Bools:
    """Tell which pairs, of a row of a and a row of b, have thumbnails that agree."""
    agree = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        i, j = pairs[start : start + _BLOCK_PAIRS].T
        products = np.einsum("np,np->n", _inner(a[i]), _inner(b[j])).astype(np.float64)
        covariances = _CELLS * products - moments.sums[i] * moments.sums[j]
        limits = MIN_CORRELATION * moments.deviation[i] * moments.deviation[j]
        agree[start : start + _BLOCK_PAIRS] = covariances >= limits
    return agree
