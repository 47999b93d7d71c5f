"""A temperature is fitted to what sources say; on planted data it must come out as it was planted."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import calibration, model_tags
from curation.batches import in_threads
from curation.calibration import MIN_ITEMS, NO_ANSWER, calibration_error, fit_temperature, truth_of
from curation.schemas import ITEMS
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.test_model_tags import only_step, plant, rule_set


def planted(items: int, temperature: float, seed: int, answers: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores, and right answers as often as their softmax under the temperature says."""
    draws = np.random.default_rng(seed)
    scores = draws.normal(0, 3, (items, answers))
    chances = model_tags.probabilities(scores, temperature).cumsum(axis=1)
    return scores, (draws.random((items, 1)) < chances).argmax(axis=1)


def items_of(shas: pa.ChunkedArray, tags: list[list[tuple[str, str]]], modality: str = "image") -> pa.Table:
    rows = [
        {"modality": modality, "sha256": sha, "tags": [{"kind": kind, "value": value} for kind, value in listed]}
        for sha, listed in zip(shas.to_pylist(), tags, strict=True)
    ]
    return pa.Table.from_pylist(rows, ITEMS)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.3, 6), st.integers(0, 1_000))
def test_the_planted_temperature_is_found(temperature: float, seed: int) -> None:
    assert fit_temperature(*planted(5_000, temperature, seed)) == pytest.approx(temperature, rel=0.25)


def test_a_fitted_model_is_as_often_right_as_it_is_sure() -> None:
    scores, truth = planted(20_000, temperature=3.0, seed=1)
    assert calibration_error(scores, truth, 1.0) > 0.2
    assert calibration_error(scores, truth, fit_temperature(scores, truth)) < 0.02


def test_the_error_by_hand() -> None:
    even = np.zeros((4, 2))  # half sure of the first answer, and right three times of four
    assert calibration_error(even, np.array([0, 0, 0, 1]), 1.0) == pytest.approx(0.25)


def test_scores_that_are_always_right_keep_to_the_bounds() -> None:
    assert fit_temperature(np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])) == pytest.approx(0.01, abs=0.01)


def test_the_source_says_the_truth_in_any_spelling_unless_it_says_two_things() -> None:
    known_by = {"genre": ["Marine painting"]}
    answers = {
        "figure": {"prompts": ["a"], "tags": {"genre": "Portrait"}},
        "open view": {"prompts": ["b"], "tags": {"genre": "Landscape"}, "known_by": known_by},
    }
    rules_of = rule_set("/w", answers=answers)
    tags = [
        [("genre", "Portraits")],
        [("genre", "seascape"), ("genre", "landscape")],
        [("genre", "Portrait"), ("genre", "Landscape")],
        [("style", "Portrait"), ("genre", "nobody's word")],
        [],
    ]
    items = items_of(pa.chunked_array([[f"{n}" for n in range(5)]]), tags)
    question = rules_of.models.root["clip"].questions["subject"]
    assert truth_of(items, question, rules_of).tolist() == [0, 1, NO_ANSWER, NO_ANSWER, NO_ANSWER]


def test_each_question_is_calibrated_by_the_items_that_answer_it(clip_weights: Path, tmp_path: Path) -> None:
    home, step = Home(tmp_path), only_step(clip_weights)
    scores, truth = planted(2_000, temperature=2.5, seed=3, answers=2)
    blank = np.zeros((len(scores), 1))
    shas = plant(home, step, np.hstack([scores, blank - 50, blank, blank]).tolist())
    tags = [[("genre", ("Portrait", "Landscape")[answer])] for answer in truth]
    tags[0] = [("style", "unknown to all")]  # nothing to compare with, so it is not even scored
    items = items_of(pa.chunked_array([[*shas.to_pylist()[1:], "e" * 64]]), [*tags[1:], tags[0]])
    subject, style = calibration.calibrate(home, items, rule_set(clip_weights), "clip", in_threads(1))
    assert (subject.question, subject.items) == ("subject", 1_999)
    assert subject.temperature == pytest.approx(2.5, rel=0.15)
    assert subject.error_before is not None
    assert subject.error_after is not None
    assert subject.error_after < 0.05 < subject.error_before
    assert subject.right == pytest.approx(float((scores.argmax(axis=1) == truth).mean()), abs=0.001)
    assert style.temperature is not None  # portraits answer the other question, too


def test_few_items_give_no_temperature(clip_weights: Path, tmp_path: Path) -> None:
    home, step = Home(tmp_path), only_step(clip_weights)
    shas = plant(home, step, [[9.0, 0.0, 0.0, 0.0, 0.0]] * (MIN_ITEMS - 1))
    items = items_of(shas, [[("genre", "Landscape")]] * len(shas))
    subject, style = calibration.calibrate(home, items, rule_set(clip_weights), "clip", in_threads(1))
    assert (subject.items, subject.temperature) == (MIN_ITEMS - 1, None)
    assert (style.items, style.temperature) == (0, None)


def test_an_unknown_model_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no model is called 'clop'; there are: clip"):
        list(calibration.calibrate(Home(tmp_path), ITEMS.empty_table(), rule_set("/w"), "clop", in_threads(1)))
