"""Scores are made once for each content, found by key, and turned into tags when they are read."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from curation import model_tags
from curation.batches import in_threads
from curation.measure import Batch, Step, measure_batch, pending
from curation.schemas import DERIVED_TAG, TAGGED
from curation.store import Home, read_tables
from rules.errors import ConfigurationError
from rules.models import Model, Models
from rules.schema import RuleSet
from tests import pictures

SUBJECT = {
    "figure": {"prompts": ["a portrait"], "tags": {"genre": "Portrait"}},
    "open view": {"prompts": ["a landscape", "a view"], "tags": {"genre": "Landscape"}},
    "neither": {"prompts": ["something else"]},
}
STYLE = {
    "old": {"prompts": ["an old painting"], "tags": {"style": "Baroque", "genre": "Portrait"}},
    "new": {"prompts": ["a new painting"], "tags": {"style": "Cubism"}},
}


def rule_set(weights: Path | str, **changes: object) -> RuleSet:
    subject = {"answers": SUBJECT, "min_confidence": 0.6} | changes
    questions = {"subject": subject, "style": {"answers": STYLE, "temperature": 2.0}}
    model = {"enabled": True, "family": "open_clip", "weights": str(weights), "questions": questions}
    return rules.load("museart18").model_copy(update={"models": Models.model_validate({"clip": model})})


def only_step(weights: Path | str, **changes: object) -> Step:
    ((modality, step),) = model_tags.steps(rule_set(weights, **changes))
    assert modality == "image"
    return step


def collected(home: Home, count: int) -> pa.ChunkedArray:
    """Put pictures and one damaged file into the blobs."""
    contents = [pictures.as_bytes(pictures.photo(40, 40, number), "PNG") for number in range(count)]
    contents.append(contents[0][:200])
    return pa.chunked_array([[home.put_blob([content], 10**7)[0] for content in contents]])


def rows_of(home: Home, step: Step) -> list[dict[str, object]]:
    return read_tables(home.derived(step.name, step.key), TAGGED).sort_by("sha256").to_pylist()


def plant(home: Home, step: Step, scores: Sequence[Sequence[float] | None]) -> pa.ChunkedArray:
    """Write scores as if a model had given them."""
    shas = [f"{number:064x}" for number in range(len(scores))]
    table = pa.table([shas, scores, [None] * len(scores), [None] * len(scores)], schema=TAGGED)
    home.write_table(home.derived(step.name, step.key) / "planted.parquet", table)
    return pa.chunked_array([shas])


def test_each_content_is_scored_once_and_a_damaged_one_says_why(clip_weights: Path, tmp_path: Path) -> None:
    home, step = Home(tmp_path), only_step(clip_weights)
    shas = collected(home, 3)
    outcomes = [measure_batch(batch) for batch in pending(home, step, shas)]
    assert sum(outcomes, Counter()) == {None: 3, "undecodable_image": 1}
    rows = rows_of(home, step)
    assert [row["reason"] for row in rows if row["scores"] is None] == ["undecodable_image"]
    assert [len(row["scores"]) for row in rows if row["scores"]] == [5, 5, 5]
    assert pending(home, step, pa.chunked_array([*shas.chunks, *shas.chunks])) == []
    tags = model_tags.tags_of(home, rule_set(clip_weights, min_confidence=0.0), shas)
    assert [bool(listed) for listed in tags.to_pylist()] == [True, True, True, False]


def test_scores_depend_on_neither_batches_nor_threads(clip_weights: Path, tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("one", "many")]
    step = only_step(clip_weights)
    for home in homes:
        shas = collected(home, 40)  # more than one pass
    measure_batch(Batch(homes[0], step, sorted(shas.to_pylist())))
    batches = pending(homes[1], step, shas)
    assert len(batches) > 10
    in_threads(4)(measure_batch, batches, "score")
    assert rows_of(homes[0], step) == rows_of(homes[1], step)


def test_a_model_stays_in_memory(clip_weights: Path, tmp_path: Path) -> None:
    weights = shutil.copytree(clip_weights, tmp_path / "weights")
    step = only_step(weights, temperature=1.5)
    path = pictures.saved(tmp_path / "a.png", pictures.photo(40, 40))
    first = list(model_tags.score([path], step.settings))
    shutil.rmtree(weights)
    assert list(model_tags.score([path], step.settings)) == first


def test_the_key_tells_what_was_asked_of_which_weights(clip_weights: Path, tmp_path: Path) -> None:
    key = only_step(clip_weights).key
    copied = shutil.copytree(clip_weights, tmp_path / "copied")
    assert only_step(copied).key == key
    assert only_step(clip_weights, temperature=3.0, min_confidence=0.9).key == key  # scores stand before both
    asked_otherwise = SUBJECT | {"neither": {"prompts": ["nothing"]}}
    assert only_step(clip_weights, answers=asked_otherwise).key != key
    with (copied / "open_clip_model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert only_step(copied).key != key


def test_other_weights_on_another_machine_are_refused(clip_weights: Path, tmp_path: Path) -> None:
    weights = shutil.copytree(clip_weights, tmp_path / "weights")
    step = only_step(weights)
    (weights / "open_clip_config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="expected the same files here"):
        list(model_tags.score([], step.settings))


def test_sure_answers_become_tags(clip_weights: Path, tmp_path: Path) -> None:
    home, step = Home(tmp_path), only_step(clip_weights)
    sure_of_view, unsure, half_and_half = [0, 4, 0, 8, 0], [1, 1, 1, 0, 8], [0, 0, 9, 0, 0]
    shas = plant(home, step, [sure_of_view, unsure, half_and_half, None])
    unknown = pa.chunked_array([["f" * 64], shas.chunk(0)])
    tags = model_tags.tags_of(home, rule_set(clip_weights), unknown)
    assert tags.type == pa.list_(DERIVED_TAG)
    view, old, even = np.exp(4) / (np.exp(4) + 2), 1 / (1 + np.exp(-4)), 0.5
    expected = [
        [],
        [("genre", "Landscape", view), ("genre", "Portrait", old), ("style", "Baroque", old)],
        [("style", "Cubism", old)],
        [("genre", "Portrait", even), ("style", "Baroque", even), ("style", "Cubism", even)],
        [],
    ]
    found = [sorted((tag["kind"], tag["value"], tag["confidence"]) for tag in listed) for listed in tags.to_pylist()]
    assert found == [[(kind, value, round(float(sure), 4)) for kind, value, sure in listed] for listed in expected]
    assert {tag["source"] for listed in tags.to_pylist() for tag in listed} == {"model clip"}


def test_two_answers_with_one_word_give_the_surer_tag(clip_weights: Path, tmp_path: Path) -> None:
    home, step = Home(tmp_path), only_step(clip_weights)
    tags = model_tags.tags_of(home, rule_set(clip_weights), plant(home, step, [[9, 0, 0, 1, 0], [2, 0, 0, 9, 0]]))
    portraits = [[tag["confidence"] for tag in row if tag["value"] == "Portrait"] for row in tags.to_pylist()]
    assert portraits == [[0.9998], [0.989]]


def test_without_models_there_are_no_tags(tmp_path: Path) -> None:
    none = rules.load("museart18")
    assert [model.enabled for model in none.models.root.values()] == [False, False]
    assert model_tags.steps(none) == []
    assert model_tags.tags_of(Home(tmp_path), none, pa.chunked_array([["a" * 64, "b" * 64]])).to_pylist() == [[], []]


@given(
    st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.1, 10),
    st.floats(1.1, 10),
)
def test_probabilities_add_up_and_a_higher_temperature_is_less_sure(
    scores: list[list[float]], temperature: float, times: float
) -> None:
    cold = model_tags.probabilities(np.array(scores), temperature)
    warm = model_tags.probabilities(np.array(scores), temperature * times)
    np.testing.assert_allclose(cold.sum(axis=1), 1)
    assert (warm.max(axis=1) <= cold.max(axis=1) + 1e-12).all()


@pytest.mark.parametrize(
    ("weights", "refusal"),
    [
        ("/no/such/folder", r"open_clip_config.json in /no/such/folder"),
        ("nobody/has-this", r"nobody/has-this: not on this machine[\s\S]*hf download nobody/has-this --include"),
        ("one/two/three", r"one/two/three: expected a folder"),
    ],
)
def test_weights_that_are_not_there_are_refused(weights: str, refusal: str) -> None:
    with pytest.raises(ConfigurationError, match=refusal):
        model_tags.steps(rule_set(weights))


def test_weights_that_were_downloaded_are_found(clip_weights: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--some--clip"  # as `hf download some/clip` leaves it
    shutil.copytree(clip_weights, repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    code = (
        "from tests.curation.test_model_tags import only_step; import sys;"
        "print(only_step('some/clip').key == only_step(sys.argv[1]).key)"
    )
    done = run(code, str(clip_weights), HF_HUB_CACHE=str(tmp_path))
    assert done.stdout == "True\n", done.stderr


def test_without_torch_the_extra_is_named(clip_weights: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tests.curation.test_model_tags import only_step; only_step(sys.argv[1])"
    )
    done = run(code, str(clip_weights))
    assert "model clip: torch cannot be imported; install the extra `tags`" in done.stderr


def test_reading_tags_imports_no_torch(clip_weights: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from tests.curation.test_model_tags import *\n"
        "home, weights = Home(Path(sys.argv[1])), sys.argv[2]\n"
        "shas = plant(home, only_step(weights), [[0, 9, 0, 9, 0]])\n"
        "print(len(model_tags.tags_of(home, rule_set(weights), shas)[0]))\n"
        "print({'torch', 'torchvision', 'open_clip', 'transformers'} & set(sys.modules))"
    )
    done = run(code, str(tmp_path), str(clip_weights))
    assert done.stdout == "3\nset()\n", done.stderr


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    root = Path(__file__).parent.parent.parent
    return subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ | environment)


def test_a_model_needs_two_answers() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Model.model_validate({"family": "clap", "weights": "/w", "questions": {"q": {"answers": {"a": STYLE["old"]}}}})
