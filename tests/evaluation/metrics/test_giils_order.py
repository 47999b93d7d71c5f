"""What is taken from both ends of a pair does not depend on the order of the images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.metrics import giils
from tests.evaluation.metrics.pairing import LABELS, N_LABELS, N, features, once

IMAGES = arrays(np.float32, (N, 4), elements=st.floats(-10, 10, width=32)).filter(lambda rows: rows.any(axis=1).all())


@settings(max_examples=50)
@given(IMAGES, st.permutations(range(N)))
def test_likeness_from_both_ends_does_not_depend_on_the_order(images: np.ndarray, order: list[int]) -> None:
    plain = giils.score(images, LABELS, N_LABELS, once(N))["giils_both_ends_by_label"]
    moved = giils.score(images[order], LABELS[order], N_LABELS, once(N))["giils_both_ends_by_label"]
    assert moved == pytest.approx(plain, nan_ok=True)


def test_recordings_of_several_clips_raise_the_chance_level() -> None:
    """Images that know nothing of labels, but are alike within a recording, are not at 50."""
    draws = np.random.default_rng(2)
    of_recording = np.repeat(np.arange(20), 3)
    images = (draws.normal(size=(20, 4))[of_recording] + 0.1 * draws.normal(size=(60, 4))).astype(np.float32)
    found = [
        giils.score(images, draws.integers(0, 4, 20)[of_recording], 4, once(60))["giils_both_ends"][0]
        for _ in range(50)
    ]
    assert np.mean(found) > 52
    assert giils.MEASURES["giils_both_ends"].chance is None


def test_the_papers_likeness_depends_on_the_order() -> None:
    # That is why there are two: here the same images in another order differ by points.
    images = features(1)
    images[LABELS == 0] += np.arange((LABELS == 0).sum())[:, None]
    plain = giils.score(images, LABELS, N_LABELS, once(N))
    backward = giils.score(images[::-1], LABELS[::-1], N_LABELS, once(N))
    assert abs(plain["giils"] - backward["giils"]) > 1
    assert backward["giils_both_ends"] == pytest.approx(plain["giils_both_ends"])
