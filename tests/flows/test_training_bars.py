"""What a training shows on the terminal."""

import io

from rich.console import Console

from flows.training_bars import bars
from training.fitting.loop import Progress


def test_pairs_that_are_left_out_are_told_with_their_epoch() -> None:
    console = Console(file=io.StringIO(), width=200)
    with bars(console, lambda share: None) as shown:
        for what, skipped in (("step", 0), ("checkpoint", 2)):
            shown(Progress(what, 4, 8, 1, 2, {"total": 0.5}, 1e-3, 1.0, 2.0, None, skipped, ""))
    assert "Epoch 1 of 2: loss 0.5000, 2 pairs left out, for they cannot be read." in console.file.getvalue()
