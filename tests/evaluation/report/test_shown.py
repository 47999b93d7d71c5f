"""The choice of what is shown: bounded, by hash, and first from different recordings."""

import io
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curation.report.previews import PREVIEW_BITRATE_BPS, PREVIEW_S, SMALL, thumbnail
from curation.report.samples import MEDIA_BUDGET_BYTES
from evaluation.report.catalog import WAVE_BARS, WAVE_HEIGHT, waveform
from evaluation.report.shown import HEARD, LEAKS_SHOWN, NEAREST_SHOWN, Allowance, allowance, chosen, pairs_of
from tests.evaluation.report.synthetic_parts import memorization, quality
from tests.evaluation.report.synthetic_result import items


@pytest.mark.parametrize("labels", [*range(1, 101), 5_000])
def test_no_number_of_labels_goes_over_the_budget(labels: int) -> None:
    shown = allowance(labels)
    heard = 2 * HEARD.max_bytes + PREVIEW_S * PREVIEW_BITRATE_BPS / 8
    pairs = 2 * (NEAREST_SHOWN + LEAKS_SHOWN) * SMALL.max_bytes
    total = labels * (shown.heard * heard + shown.seen * SMALL.max_bytes) + pairs
    assert total * 4 / 3 <= MEDIA_BUDGET_BYTES


def test_eighteen_labels_are_shown_in_full() -> None:
    assert allowance(18) == Allowance(heard=4, seen=8)


def test_even_noise_stays_within_the_bytes_of_an_item() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "PNG")
    small = thumbnail(picture.getvalue(), HEARD)
    assert len(b64decode(small.uri.partition(",")[2])) <= HEARD.max_bytes


def test_items_come_in_the_order_of_their_ids_and_first_from_different_recordings() -> None:
    found = chosen(items(12, 1), Allowance(heard=6, seen=3))[0]
    every = items(12, 1)
    recordings = [int(every.recordings[place]) for place in found.heard]
    assert sorted(recordings) == list(range(6))  # of two items each
    ids = [every.pair_ids[place] for place in found.heard]
    assert ids == sorted(ids)
    assert (found.n, len(found.seen)) == (12, 3)
    assert not set(found.heard) & set(found.seen)


@given(st.permutations(range(10)))
def test_the_choice_does_not_depend_on_the_order_of_items(order: list[int]) -> None:
    every = items(10, 2)
    moved = replace(
        every,
        pair_ids=tuple(every.pair_ids[place] for place in order),
        labels=every.labels[order],
        recordings=every.recordings[order],
    )
    allowed = Allowance(heard=2, seen=1)
    for first, second in zip(chosen(every, allowed), chosen(moved, allowed), strict=True):
        assert [every.pair_ids[place] for place in first.heard] == [moved.pair_ids[place] for place in second.heard]


def test_labels_without_items_are_left_out() -> None:
    every = replace(items(4, 2), labels=np.array([5, 2, 5, 2]))
    assert [each.label for each in chosen(every, Allowance(1, 1))] == [2, 5]


def test_pictures_are_asked_for_of_the_pairs_that_are_shown() -> None:
    assert len(pairs_of(memorization(30), None)) == NEAREST_SHOWN
    assert len(pairs_of(None, quality(2))) == 2 * 3  # both pictures of three leaks of images, none of music
    assert pairs_of(None, None) == set()


@pytest.mark.parametrize("n", [1, 7, 5_000])
def test_a_waveform_is_as_high_as_its_loudest_sample(n: int) -> None:
    samples = np.zeros(n, np.float32)
    samples[n // 2] = -0.25
    bars = waveform(samples).split("M")[1:]
    heights = [int(bar.partition("v")[2]) for bar in bars]
    assert len(bars) == min(n, WAVE_BARS)
    assert (max(heights), heights.count(WAVE_HEIGHT)) == (WAVE_HEIGHT, 1)


def test_silence_is_a_line() -> None:
    heights = {bar.partition("v")[2] for bar in waveform(np.zeros(1_000, np.float32)).split("M")[1:]}
    assert heights == {"1"}
