import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from evaluation.telling import best
from rules.errors import ConfigurationError
from tests.evaluation import made_evaluations
from tests.evaluation.made_evaluations import stored


def run(folder: Path, value: float, noise: int = 0, **changes: Any) -> Path:
    """Return a run with an evaluation."""
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    return stored(folder, {"ais": value}, noise=noise, **changes)


def marked(runs: Path) -> str:
    return str(json.loads((runs / "best-c3c3c3c3.json").read_text(encoding="utf-8"))["run"])


def test_the_first_run_is_marked(tmp_path: Path) -> None:
    claim = best.claim(run(tmp_path / "a", 50.0))

    assert (claim.is_best, claim.mark) == (True, tmp_path / "best-c3c3c3c3.json")
    assert claim.sentence == "a is marked as the best run of its data set: it is the first."
    assert json.loads(claim.mark.read_text(encoding="utf-8")) == {
        "layout": 1,
        "run": "a",
        "measure": "ais",
        "estimate": {"value": 50.0, "interval": [49.0, 51.0], "n": 60},
        "recordings": 30,
        "split": "test",
        "seed": 1,
        "items_digest": "d4" * 32,
        "data": {"data_set": "museart18", "version": "v3", "digest": "c3" * 32},
        "model_sha256": "b2" * 32,
        "networks": {"pairing.image": "CLIP ViT-B/32 (openai)", "pairing.music": "Wav2CLIP"},
        "is_of_stand_ins": False,
    }


@pytest.mark.parametrize(
    ("value", "is_best", "says"),
    [
        (60.0, True, "b is marked as the best run of its data set: "),
        (50.3, False, "a stays marked as the best run of its data set: "),
        (40.0, False, "a stays marked as the best run of its data set: "),
    ],
    ids=["better", "cannot tell", "worse"],
)
def test_a_run_takes_the_mark_only_if_it_is_better(tmp_path: Path, value: float, is_best: bool, says: str) -> None:
    best.claim(run(tmp_path / "a", 50.0, noise=1))

    claim = best.claim(run(tmp_path / "b", value, noise=2))

    assert claim.is_best is is_best
    assert claim.sentence.startswith(says)
    assert marked(tmp_path) == ("b" if is_best else "a")


def test_the_best_run_evaluated_again_keeps_its_mark_with_its_new_numbers(tmp_path: Path) -> None:
    best.claim(run(tmp_path / "a", 50.0))
    stored(tmp_path / "a", {"ais": 40.0})

    claim = best.claim(tmp_path / "a")

    assert (claim.is_best, claim.sentence) == (True, "a stays marked as the best run of its data set.")
    assert json.loads((tmp_path / "best-c3c3c3c3.json").read_text(encoding="utf-8"))["estimate"]["value"] == 40.0


def test_a_run_on_other_clips_takes_no_mark_and_is_told_why(tmp_path: Path) -> None:
    best.claim(run(tmp_path / "a", 50.0))

    claim = best.claim(run(tmp_path / "b", 90.0, of_data={"n": 30}))

    assert claim.is_best is False
    assert "number of clips: 60 in" in claim.sentence
    assert marked(tmp_path) == "a"


def test_each_data_set_has_a_mark_of_its_own(tmp_path: Path) -> None:
    best.claim(run(tmp_path / "a", 50.0))

    claim = best.claim(run(tmp_path / "b", 40.0, of_data={"digest": "ff" * 32}))

    assert (claim.is_best, claim.mark) == (True, tmp_path / "best-ffffffff.json")
    assert marked(tmp_path) == "a"


def test_the_mark_of_a_run_that_is_gone_is_free(tmp_path: Path) -> None:
    best.claim(run(tmp_path / "a", 50.0))
    shutil.rmtree(tmp_path / "a")

    claim = best.claim(run(tmp_path / "b", 40.0))

    assert claim.sentence == "b is marked as the best run of its data set: a, which was, is gone."
    assert marked(tmp_path) == "b"


def test_a_run_judged_by_stand_ins_gives_way_to_one_that_was_not(tmp_path: Path) -> None:
    of_stand_ins = [one.model_copy(update={"is_stand_in": True}) for one in made_evaluations.networks()]
    best.claim(run(tmp_path / "a", 90.0, networks=of_stand_ins))

    claim = best.claim(run(tmp_path / "b", 50.0))

    assert claim.is_best is True
    assert "a was judged by stand-in networks" in claim.sentence


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"of_subject": {"kind": "images"}}, "it is given to runs"),
        ({"of_data": {"digest": None}}, "the data set has no manifest"),
        ({"of_data": {"was_trained_on": True}}, "which models are trained on"),
    ],
    ids=["images", "no manifest", "split of training"],
)
def test_no_mark_is_given_by_what_runs_must_not_be_chosen_by(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    claim = best.claim(run(tmp_path / "a", 50.0, **changes))

    assert (claim.is_best, claim.mark) == (None, None)
    assert why in claim.sentence
    assert not list(tmp_path.glob("best-*"))


def test_no_mark_is_given_where_the_judging_measure_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()

    assert best.claim(stored(folder, {"ais": None, "iis": 50.0})).is_best is None


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"layout": 1, "run": "../elsewhere", "is_of_stand_ins": false}', '{"layout": 2}']
)
def test_a_mark_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    folder = run(tmp_path / "a", 50.0)
    (tmp_path / "best-c3c3c3c3.json").write_text(content)

    with pytest.raises(ConfigurationError, match=r"best-c3c3c3c3.json: expected .*delete it"):
        best.claim(folder)


def test_of_runs_that_claim_at_once_the_best_is_marked(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"run{number}", 50.0 + 10 * number, noise=number) for number in range(4)]
    threads = [threading.Thread(target=best.claim, args=(one,)) for one in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert marked(tmp_path) == "run3"


def test_a_mark_is_not_taken_from_a_run_of_which_another_checkpoint_was_evaluated_since(tmp_path: Path) -> None:
    best.claim(run(tmp_path / "a", 50.0))
    stored(tmp_path / "a", {"ais": 20.0}, of_subject={"model_sha256": "ee" * 32})

    claim = best.claim(run(tmp_path / "b", 40.0))

    assert claim.is_best is False
    assert "its last evaluation is of another checkpoint: `artune evaluate" in claim.sentence
    assert marked(tmp_path) == "a"
