"""Which parts of a recording the CLAP family hears."""

from pathlib import Path

import numpy as np
import pytest

from curation.models.clap import MAX_WINDOWS, RATE_HZ, WINDOW_S, windows
from tests import media


@pytest.mark.parametrize(
    ("duration_s", "count"),
    [
        (10, 1),
        (19.9, 1),  # a part of a window is heard only where there is nothing else
        (20, 2),
        (80, 8),
        (90, 5),  # every second one
        (160, 8),
        (170, 5),  # every fourth one
    ],
)
def test_windows_are_spread_evenly(duration_s: float, count: int, tmp_path: Path) -> None:
    steps = np.repeat(np.arange(1, 20) / 20, WINDOW_S * media.RATE_HZ)[: round(duration_s * media.RATE_HZ)]
    heard = windows(media.encode(tmp_path / "stairs.wav", steps, channels=1))
    assert heard.shape == (count, WINDOW_S * RATE_HZ)
    levels = heard[:, RATE_HZ : 9 * RATE_HZ].mean(axis=1) * 20  # away from the edges, which resampling rounds off
    distance = 1 if duration_s <= MAX_WINDOWS * WINDOW_S else 2 if duration_s <= 2 * MAX_WINDOWS * WINDOW_S else 4
    np.testing.assert_allclose(levels, 1 + distance * np.arange(count), atol=0.01)


def test_a_short_recording_is_heard_as_it_is(tmp_path: Path) -> None:
    assert windows(media.encode(tmp_path / "short.wav", media.tune(2.5))).shape == (1, round(2.5 * RATE_HZ))
