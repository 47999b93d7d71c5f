"""Copies of what was removed are told by the same tests as duplicates, and only with what was removed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curation import fingerprints, images, tombstones
from curation.copies import fingerprint
from curation.duplicates import MIN_DEVIATION, THUMBNAIL_SIDE, Looks, pictures_like, similar_pictures
from curation.store import Home
from curation.tombstones import Tombstone
from rules.schema import ImageSettings
from tests import media, pictures
from tests.curation.test_fingerprints import made, noisy


def looks_of(shown: list[Image.Image], tmp_path) -> Looks:
    measured = [
        images.measure(pictures.saved(tmp_path / "x.jpg", one, quality=60), ImageSettings(min_side_px=1))
        for one in shown
    ]
    return Looks(
        np.array([one.phash for one in measured], np.uint64),
        np.array([one.mirror_phash for one in measured], np.uint64),
        np.frombuffer(b"".join(one.thumbnail for one in measured), np.uint8).reshape(-1, *[THUMBNAIL_SIDE] * 2),
    )


def like(others: Looks, looks: Looks) -> list[int]:
    asked: list[int] = []

    def thumbnails_of(rows):
        asked.extend(rows.tolist())
        return looks.thumbnails[rows]

    found = pictures_like(others, looks.hashes, looks.mirror_hashes, thumbnails_of).tolist()
    assert set(found) <= set(asked)
    return found


def test_altered_copies_and_mirror_images_of_a_picture_are_like_it(tmp_path):
    whole = pictures.photo(200, 160, 1)
    shown = [
        pictures.photo(200, 160, 2),
        whole.resize((90, 72)),
        ImageOps.mirror(whole),
        whole.convert("L").convert("RGB"),
        pictures.plain("gray"),
        pictures.photo(200, 160, 3),
    ]
    assert like(looks_of([pictures.photo(80, 80, 9), whole], tmp_path), looks_of(shown, tmp_path)) == [1, 2, 3]


def test_flat_pictures_are_like_nothing(tmp_path):
    flat = looks_of([pictures.plain("gray")], tmp_path)
    assert flat.thumbnails.std() < MIN_DEVIATION
    assert like(flat, flat) == []


hashes = st.lists(
    st.builds(
        lambda base, flips: base ^ sum({1 << bit for bit in flips}),
        st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]),
        st.lists(st.integers(0, 63), max_size=12),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=20)
@given(hashes, hashes, st.randoms(use_true_random=False))
def test_pictures_are_like_others_just_where_the_search_for_duplicates_links_them(some, others, lots):
    everything = [*some, *others]
    looks = np.random.default_rng(lots.randrange(99)).integers(0, 256, (4, 16, 16), np.uint8)
    gray = looks[[lots.randrange(4) for _ in everything]].reshape(-1, 16, 16)
    own = np.array(everything, np.uint64)
    mirrored = np.array([lots.choice([*everything, 5]) for _ in everything], np.uint64)
    parts = [Looks(own[at], mirrored[at], gray[at]) for at in (slice(len(some)), slice(len(some), None))]
    right = set()
    for row in range(len(some)):
        for other in range(len(some), len(everything)):
            two = [row, other]
            if len(similar_pictures(Looks(own[two], mirrored[two], gray[two]))):
                right.add(row)
    assert like(parts[1], parts[0]) == sorted(right)


def shared(others, recordings) -> list[int]:
    return fingerprints.recordings_like(others, recordings).tolist()


@pytest.mark.parametrize(("share", "found"), [(0.0, [1]), (0.07, [1]), (0.15, [1]), (0.3, [])])
def test_recordings_that_share_ten_seconds_are_like_a_removed_one(share, found):
    removed, other = made(700, 1), made(500, 2)
    other[100:300] = noisy(removed[450:650], share)
    assert shared([made(300, 7), removed], [made(600, 3), other, made(100, 4)]) == found


@given(st.integers(0, 400), st.integers(0, 300), st.integers(0, 200), st.integers(0, 5))
@settings(deadline=None, max_examples=40)
def test_a_recording_is_like_another_just_where_the_search_for_overlaps_says_so(start, place, length, seed):
    removed, other = made(600, seed), made(500, seed + 50)
    other[place : place + length] = removed[start : start + length]
    right = [0] if len(fingerprints.overlaps([other, removed])) else []
    assert shared([removed], [other]) == right


def test_many_copies_are_all_found_though_duplicates_are_linked_to_the_next_ones_only():
    removed = made(300, 1)
    assert shared([removed], [noisy(removed, 0.05, seed) for seed in range(60)]) == list(range(60))


def test_nothing_is_like_nothing():
    assert shared([], [made(300, 1)]) == shared([made(300, 1)], []) == []
    assert shared([np.zeros(300, np.uint32)], [np.zeros(300, np.uint32)]) == []


def test_a_fingerprint_is_taken_from_the_blob_where_nothing_was_measured(tmp_path):
    home = Home(tmp_path / "home")
    shown = pictures.photo(60, 50, 1)
    sha256, _ = home.put_blob([pictures.as_bytes(shown, "PNG")], 1 << 20)
    found = fingerprint(home, sha256, "image")
    assert found is not None
    assert int(found["phash"], 16) == images.measure(home.blob(sha256), ImageSettings(min_side_px=1)).phash
    sound = media.encode(tmp_path / "x.flac", media.tune(15, 1))
    sha256, _ = home.put_blob([sound.read_bytes()], 1 << 24)
    heard = fingerprint(home, sha256, "music")
    assert heard is not None
    assert heard.keys() == {"chromaprint"}
    tombstone = Tombstone("folder", "x", sha256, "music", heard, "why", "2026")
    assert tombstones.write(home, tombstone)
    assert tombstones.read(home) == [tombstone]


def test_what_is_damaged_or_gone_has_no_fingerprint(tmp_path):
    home = Home(tmp_path / "home")
    sha256, _ = home.put_blob([b"no picture"], 99)
    assert fingerprint(home, sha256, "image") is None
    assert fingerprint(home, sha256, "music") is None
    assert fingerprint(home, "0" * 64, "image") is None
