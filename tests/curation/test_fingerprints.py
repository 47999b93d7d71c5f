from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import audio, fingerprints
from curation.fingerprints import ITEM_BYTES, clip_span
from rules.schema import AudioSettings
from tests import media

JINGLE_S = 16


def made(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**32, length, dtype=np.uint32)


def noisy(items: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Flip a share of the bits, all of them in three quarters of the items, as another encoding does."""
    draws = np.random.default_rng(seed)
    flips = draws.random((len(items), 32)) < share / 0.75
    flips &= draws.random((len(items), 1)) < 0.75
    return items ^ np.packbits(flips, axis=1).view("<u4").ravel()


def overlaps(recordings: list[np.ndarray]) -> list[tuple[int, int]]:
    return [(i, j) for i, j in fingerprints.overlaps(recordings).tolist()]


def fingerprint(path) -> np.ndarray:
    return np.frombuffer(audio.measure(path, AudioSettings(clip_s=12.0)).fingerprint, "<u4")


# Real sound


def test_part_of_another_recording_is_found_in_another_codec(tmp_path):
    whole = media.tune(60, seed=1)
    paths = [
        media.encode(tmp_path / "whole.m4a", whole),
        media.encode(tmp_path / "other.ogg", media.tune(40, seed=2)),
        media.encode(tmp_path / "part.opus", 0.6 * whole[18 * media.RATE_HZ + 1_234 : 42 * media.RATE_HZ], channels=1),
    ]
    assert overlaps([fingerprint(path) for path in paths]) == [(0, 2)]


def test_recordings_that_share_a_jingle_only_are_found(tmp_path):
    jingle = media.tune(JINGLE_S, seed=9)
    tracks = [np.concatenate([media.tune(20, seed=1), jingle]), np.concatenate([jingle, media.tune(30, seed=2)])]
    paths = [media.encode(tmp_path / f"{number}.m4a", track) for number, track in enumerate(tracks)]
    assert overlaps([fingerprint(path) for path in paths]) == [(0, 1)]


def test_shared_silence_and_held_tones_are_no_overlap(tmp_path):
    pause = np.concatenate([media.silence(15), media.sine(15)])
    tracks = [np.concatenate([media.tune(12, seed), pause, media.tune(12, seed + 10)]) for seed in (1, 2)]
    paths = [media.encode(tmp_path / f"{number}.flac", track) for number, track in enumerate(tracks)]
    assert overlaps([fingerprint(path) for path in paths]) == []


def test_span_of_a_fingerprint_is_what_the_span_alone_sounds_like(tmp_path):
    track = media.tune(30, seed=3)
    whole = fingerprint(media.encode(tmp_path / "whole.flac", track))
    alone = fingerprint(media.encode(tmp_path / "part.flac", track[5 * media.RATE_HZ : 20 * media.RATE_HZ]))
    span = np.frombuffer(clip_span(whole.tobytes(), 5, 15), "<u4")
    assert abs(len(span) - len(alone)) <= 1
    common = min(len(span), len(alone))
    assert np.bitwise_count(span[:common] ^ alone[:common]).mean() / 32 < 0.2


# Made items


@pytest.mark.parametrize(("share", "found"), [(0.0, [(0, 1)]), (0.07, [(0, 1)]), (0.15, [(0, 1)]), (0.3, [])])
def test_overlap_is_found_up_to_the_bit_error_rate(share, found):
    a, b = made(700, 1), made(500, 2)
    b[100:300] = noisy(a[450:650], share)
    assert overlaps([a, b]) == found


@pytest.mark.parametrize(("length", "found"), [(40, []), (100, [(0, 1)])])
def test_overlap_of_eight_seconds_is_too_short(length, found):
    a, b = made(2_000, 1), made(2_000, 2)
    b[10 : 10 + length] = a[1_500 : 1_500 + length]
    assert overlaps([a, b]) == found


@given(offset=st.integers(-400, 400), seed=st.integers(0, 9))
def test_overlap_is_found_at_any_offset(offset, seed):
    stream = made(1_000, seed)
    a, b = stream[400:900], stream[400 + offset : 900 + offset][:500]
    assert overlaps([a, b]) == [(0, 1)]


def test_jingle_in_many_recordings_ties_them_all_together():
    jingle = made(120, 999)
    recordings = [np.concatenate([made(50 + seed, seed), noisy(jingle, 0.05, seed)]) for seed in range(100)]
    found = overlaps(recordings)
    assert found == sorted(set(found))
    assert {(a, b) for a, b in pairwise(range(100))} <= set(found)


def test_item_that_every_recording_has_ties_none():
    recordings = [made(200, seed) for seed in range(50)]
    for items in recordings:
        items[::10] = 627_964_279  # chromaprint's item of silence
    assert overlaps(recordings) == []


def test_zeros_and_repeated_items_do_not_count():
    a, b = made(300, 1), made(300, 2)
    a[50:250] = b[50:250] = np.repeat([0, 7, 0, 9], 50).astype(np.uint32)
    assert overlaps([a, b]) == []


@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [0, 5, 500]])
def test_nothing_to_compare_is_no_overlap(lengths):
    assert overlaps([made(length, length) for length in lengths]) == []


@pytest.mark.parametrize(("start_s", "duration_s"), [(0, 2), (500, 30), (0, 0)])
def test_span_without_a_whole_item_is_empty(start_s, duration_s):
    assert clip_span(made(100, 1).tobytes(), start_s, duration_s) == b""


@given(start_s=st.floats(0, 300), duration_s=st.floats(3, 60))
def test_span_holds_whole_items(start_s, duration_s):
    span = clip_span(made(3_000, 1).tobytes(), start_s, duration_s)
    assert len(span) % ITEM_BYTES == 0
    assert len(span) // ITEM_BYTES == pytest.approx((duration_s - 2.72) * 8.077, abs=1.5)
