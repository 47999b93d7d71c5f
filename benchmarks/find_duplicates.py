"""python -m benchmarks.find_duplicates: near duplicates among a million pictures, and shared sound among recordings.

CPU seconds of this process. Hashes and fingerprints are random, with altered copies planted among them. The peer is
imagehash, which compares all pairs; it takes as many pictures as it can do in a while, and must find the same pairs.
"""

import argparse
import resource
import time

import imagehash
import numpy as np

from curation.duplicates import MAX_HASH_BITS, Looks, near_hashes, similar_pictures
from curation.fingerprints import Items, overlaps

GOAL_S = 120  # for a million pictures
COPIES = 0.05  # of the pictures and recordings
# Items of different recordings of the sample are equal with a chance of 1.8e-8, as if there were so many in all.
DISTINCT_ITEMS = 55_000_000
TRACK_ITEMS = 1_900  # 4 minutes
ALBUM_ITEMS = 29_000  # an hour
BIT_ERRORS = (0.05, 0.10)


def _made_looks(count: int) -> tuple[Looks, np.ndarray]:
    """Return random pictures and the pairs of which one is a copy: up to 10 bits differ, and each gray value a bit."""
    draws = np.random.default_rng(0)
    hashes, mirror_hashes = draws.integers(0, 2**64, (2, count), dtype=np.uint64)
    thumbnails = draws.integers(32, 224, (count, 16, 16), dtype=np.uint8)
    pairs = draws.permutation(count)[: 2 * round(COPIES * count)].reshape(-1, 2)
    originals, copies = pairs.T
    flips = draws.integers(0, 64, (len(copies), MAX_HASH_BITS), dtype=np.uint64)
    hashes[copies] = hashes[originals] ^ np.bitwise_or.reduce(np.uint64(1) << flips, axis=1)
    thumbnails[copies] = thumbnails[originals] + draws.integers(0, 32, (len(copies), 16, 16), dtype=np.uint8)
    return Looks(hashes, mirror_hashes, thumbnails), np.unique(np.sort(pairs), axis=0)


def _pairs_by_imagehash(hashes: np.ndarray) -> list[list[int]]:
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8)).reshape(-1, 8, 8).astype(bool)
    pictures = [imagehash.ImageHash(each) for each in bits]
    return [
        [i, j]
        for i, picture in enumerate(pictures)
        for j in range(i + 1, len(pictures))
        if picture - pictures[j] <= MAX_HASH_BITS
    ]


def _compare_with_imagehash(count: int) -> None:
    """Raise unless both find the same pairs; print how long each takes."""
    hashes = _made_looks(count)[0].hashes
    start = time.process_time()
    theirs = _pairs_by_imagehash(hashes)
    middle = time.process_time()
    ours = np.sort(near_hashes(hashes, hashes, MAX_HASH_BITS))
    ours_s, theirs_s = time.process_time() - middle, middle - start
    if sorted(ours.tolist()) != theirs:
        raise SystemExit(f"{len(ours)} pairs by artune, {len(theirs)} by imagehash")
    print(f"{count:,} hashes: artune {ours_s:.2f} CPU-s, imagehash {theirs_s:.1f} CPU-s, the same {len(theirs)} pairs")
    print(f"artune is {theirs_s / ours_s:,.0f} times as fast; the ratio grows with the number of pictures")


def _find_pictures(count: int) -> None:
    looks, planted = _made_looks(count)
    start = time.process_time()
    found = similar_pictures(looks)
    seconds = time.process_time() - start
    if found.tolist() != planted.tolist():
        raise SystemExit(f"{len(found):,} pairs found, {len(planted):,} planted")
    print(f"{count:,} pictures, mirror images too: {seconds:.1f} CPU-s (goal {GOAL_S} for a million), {_peak_gb()}")
    print(f"found: all {len(planted):,} planted pairs and no other")


def _made_recordings(count: int) -> tuple[list[Items], np.ndarray, np.ndarray]:
    """Return fingerprints, the pairs that share sound, and the kind of each pair: its place in KINDS."""
    draws = np.random.default_rng(0)
    lengths = draws.normal(TRACK_ITEMS, TRACK_ITEMS / 4, count).clip(300).astype(int)
    made = [_made_items(draws, length) for length in lengths]
    pairs = draws.permutation(count)[: 2 * round(COPIES * count)].reshape(-1, 2)
    kinds = draws.integers(0, len(BIT_ERRORS), len(pairs))
    in_album = draws.random(len(pairs)) < 0.05
    for (original, copy), error, is_album in zip(pairs, np.array(BIT_ERRORS)[kinds], in_album, strict=True):
        start = int(draws.integers(0, lengths[original] // 2))
        sound = _noisy(draws, made[original][start:], error)
        made[copy] = sound
        if is_album:
            made[copy] = _made_items(draws, ALBUM_ITEMS)
            at = int(draws.integers(0, ALBUM_ITEMS - len(sound)))
            made[copy][at : at + len(sound)] = sound
    return made, np.sort(pairs), kinds + len(BIT_ERRORS) * in_album


KINDS = [f"{where}, {error:.0%} of bits wrong" for where in ("cut track", "track in an hour") for error in BIT_ERRORS]


def _made_items(draws: np.random.Generator, length: int) -> Items:
    return draws.integers(1, DISTINCT_ITEMS, length, dtype=np.uint32) * np.uint32(2_654_435_761)


def _noisy(draws: np.random.Generator, items: Items, error: float) -> Items:
    return items ^ np.packbits(draws.random((len(items), 32)) < error, axis=1).view("<u4").ravel()


def _find_recordings(count: int) -> None:
    made, planted, kinds = _made_recordings(count)
    start = time.process_time()
    found = set(map(tuple, overlaps(made).tolist()))
    seconds = time.process_time() - start
    print(f"{count:,} recordings of {sum(map(len, made)):,} items: {seconds:.1f} CPU-s, {_peak_gb()}")
    was_found = np.array([tuple(pair) in found for pair in planted.tolist()])
    for kind, name in enumerate(KINDS):
        print(f"found: {was_found[kinds == kind].sum():,} of {(kinds == kind).sum():,} ({name})")
    print(f"found: {len(found) - was_found.sum():,} pairs that share nothing")


def _peak_gb() -> str:
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB with the data"


def main() -> None:
    """Print seconds, recall and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--peer", type=int, default=5_000, help="pictures that imagehash compares, all pairs")
    arguments = parser.parse_args()
    _compare_with_imagehash(arguments.peer)
    _find_pictures(arguments.pictures)
    _find_recordings(arguments.recordings)


if __name__ == "__main__":
    main()
