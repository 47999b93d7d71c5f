"""The card in the folder of a run, after an evaluation."""

import pytest

from rules.errors import ConfigurationError
from tests.training.made_runs import finished
from training.runs import model_card, run_card

TOLD = "AIS is 50.15."


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("training.runs.energy._started", lambda _: None)
    return finished(tmp_path / "run")


def lines_of(run):
    """Return the card but the row of the time, which a run that ends still counts while it writes its card."""
    text = (run.folder / "README.md").read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("| Time ")]


def test_an_evaluation_changes_its_part_of_the_card_and_nothing_else(run):
    before = lines_of(run)
    assert run_card.tell_evaluation(run.folder, TOLD) == run.folder / "README.md"
    after = lines_of(run)
    assert after == [TOLD if line == "Not evaluated yet." else line for line in before] != before
    assert model_card.evaluation_of((run.folder / "README.md").read_bytes(), "README.md") == TOLD


def test_a_later_evaluation_takes_the_place_of_the_earlier_one_and_words_of_a_person_stay(run):
    path = run_card.tell_evaluation(run.folder, TOLD)
    path.write_text(path.read_text("utf-8").replace("## Limits", "My own words.\n\n## Limits"), "utf-8")
    run_card.tell_evaluation(run.folder, "AIS is 51.00.")
    after = path.read_text("utf-8")
    assert TOLD not in after
    assert "AIS is 51.00." in after
    assert "My own words.\n\n## Limits" in after


def test_a_run_that_is_not_finished_gets_a_card_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("training.runs.energy._started", lambda _: None)
    folder = finished(tmp_path / "run", epochs=1).folder
    text = run_card.tell_evaluation(folder, TOLD).read_text("utf-8")
    assert "**Unfinished.** 1 of 2 epochs were done" in text
    assert TOLD in text


def test_a_card_that_artune_did_not_write_is_refused_and_stays(run):
    (run.folder / "README.md").write_text("Mine.\n")
    with pytest.raises(ConfigurationError, match="expected a card of artune"):
        run_card.tell_evaluation(run.folder, TOLD)
    assert (run.folder / "README.md").read_text() == "Mine.\n"
