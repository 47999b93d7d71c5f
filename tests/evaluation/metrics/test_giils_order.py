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


def test_the_papers_likeness_depends_on_the_order() -> None:
    # That is why there are two: here the same images in another order differ by points.
    images = features(1)
    images[LABELS == 0] += np.arange((LABELS == 0).sum())[:, None]
    plain = giils.score(images, LABELS, N_LABELS, once(N))
    backward = giils.score(images[::-1], LABELS[::-1], N_LABELS, once(N))
    assert abs(plain["giils"] - backward["giils"]) > 1
    assert backward["giils_both_ends"] == pytest.approx(plain["giils_both_ends"])
