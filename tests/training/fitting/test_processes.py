"""Several processes train what one does."""

import json

import pytest
import torch

from tests.training.small_runs import Killed, killing_at, run_of, trained, weights
from training.fitting import processes


def test_two_processes_go_on_with_a_run_of_one_and_end_with_its_weights(tiny_release, tmp_path):
    whole = run_of(tiny_release, tmp_path / "whole", ("train.encoder=true",))
    trained(whole)
    with pytest.raises(Killed):
        trained(run_of(tiny_release, tmp_path / "run", ("train.encoder=true",)), killing_at(3))

    heard: list[str] = []
    ended = processes.launch("tests.training.training_process", [str(tmp_path / "run")], 2, heard.append)
    told = [json.loads(line) for line in heard]

    assert ended.code == 0, ended.stderr
    assert told[0]["what"] == "resumed"
    assert "from step 2" in told[0]["detail"]
    assert "2 x 1 x 4 items a step" in told[0]["detail"]
    assert [one["step"] for one in told if one["what"] == "step"] == [3, 4, 5, 6]
    # Gradients are summed in another order.
    torch.testing.assert_close(weights(tmp_path / "run"), weights(tmp_path / "whole"), rtol=1e-3, atol=1e-6)
    rows, expected = run_of(tiny_release, tmp_path / "run").rows(), whole.rows()
    assert [(row["kind"], row["step"]) for row in rows] == [(row["kind"], row["step"]) for row in expected]
    assert [losses(row) for row in rows] == [pytest.approx(losses(row), rel=1e-5) for row in expected]


def losses(row: dict) -> dict[str, float]:
    return {name: value for name, value in row.items() if name in ("loss", "noise", "train_loss", "validation_loss")}


def test_a_process_that_fails_ends_all_and_its_words_are_kept(tmp_path):
    """Nothing of torch but its launcher is needed for that."""
    ended = processes.launch("json.tool", [str(tmp_path / "missing.json")], 2, lambda line: None)

    assert ended.code != 0
    assert "missing.json" in ended.stderr
    assert len(ended.stderr.splitlines()) <= processes.STDERR_LINES


def test_whatever_is_raised_while_lines_are_heard_ends_the_processes():
    def refuse(line: str) -> None:
        raise KeyboardInterrupt

    # It would write lines for ever.
    with pytest.raises(KeyboardInterrupt):
        processes.launch("timeit", ["-n", "1", "-r", "1", "while True: print('x')"], 1, refuse)
