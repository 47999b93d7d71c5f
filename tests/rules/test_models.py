"""models.yaml: what a curator may write in it, and what is refused at its line."""

from pathlib import Path

import pytest

import rules
from tests.rules.tiny import mistakes, write

MODELS = """\
models:
  eyes:
    enabled: true
    family: open_clip
    weights: ~/clip
    questions:
      subject:
        temperature: 1.5
        answers:
          sea:
            prompts: [a seascape]
            tags: {genre: marina}
            known_by: {genre: [Landscape]}
          room:
            prompts: [a room]
            tags: {genre: Interior}
"""


def write_models(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in MODELS
    (write(folder) / "models.yaml").write_text(MODELS.replace(old, new) if old else MODELS)
    return folder


def test_words_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    rule_set = rules.load(str(write_models(tmp_path)))
    model = rule_set.models.root["eyes"]
    assert model.enabled
    question = model.questions["subject"]
    assert (question.temperature, question.min_confidence) == (1.5, 0.5)
    assert question.answers["sea"].words() == [("genre", "Marine painting"), ("genre", "Landscape")]


def test_a_rule_set_needs_no_models(tmp_path: Path) -> None:
    assert rules.load(str(write(tmp_path))).models.root == {}


def test_a_model_is_off_unless_it_is_enabled(tmp_path: Path) -> None:
    rule_set = rules.load(str(write_models(tmp_path, "    enabled: true\n", "")))
    assert not rule_set.models.root["eyes"].enabled


def test_models_count_in_the_digest(tmp_path: Path) -> None:
    digests = {rules.load(str(write_models(tmp_path / f"{n}", "1.5", f"1.{n}"))).digest for n in range(3)}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "marina",
            "Marinna",
            "models.yaml:12: Marinna: expected a genre of vocabulary.yaml; did you mean Marine painting",
        ),
        (
            "[Landscape]",
            "[Lanscape]",
            "models.yaml:13: Lanscape: expected a genre of vocabulary.yaml; did you mean Land",
        ),
        ("1.5", "0", "models.yaml:8: temperature: 0: expected a number greater than 0"),
        ("enabled: true", "enabled: often", "models.yaml:3: enabled: often: expected "),
        (
            "[Landscape]",
            "[Interior]",
            "models.yaml:7: subject: expected answers that differ: each word once, not genre",
        ),
        ("family: open_clip", "famliy: open_clip", "models.yaml:4: famliy: expected one of the keys enabled, family"),
        ("[a seascape]", "[]", "models.yaml:11: prompts: an empty list: expected at least one entry"),
        ("{genre: marina}", "{nationality: Italian}", "models.yaml:12: "),
    ],
)
def test_mistakes_are_told_at_their_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert any(line.startswith(said) for line in mistakes(write_models(tmp_path, old, new)))
