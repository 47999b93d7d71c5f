"""The rule set museart32: each sub-genre of museart18 is a class, and takes what the labels that have it take."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from rules import engine
from rules.engine import Facts
from rules.errors import ConfigurationError
from rules.schema import json_schema
from rules.spelling import fold
from tests.rules.table_3_1 import LABELS

LABELS_18, SUB_GENRES = rules.load("museart18"), rules.load("museart32")
FOLDER = Path(rules.__file__).parent
# What is known of an item is the same for both; what becomes of it is each rule set's own.


def words(kind: str) -> list[str]:
    return sorted(word for of_kind, word in LABELS_18.decisive if of_kind == kind)


def some(kind: str, most: int) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.sampled_from([(kind, word) for word in words(kind)]), max_size=most)


pictures = st.tuples(some("style", 3), some("genre", 3), some("century", 2), some("nationality", 1)).map(
    lambda kinds: [tag for tags in kinds for tag in tags]
)
recordings = st.tuples(some("sub_genre", 3), some("music_feature", 2)).map(lambda kinds: [*kinds[0], *kinds[1]])


def facts(raw: list[tuple[str, str]]) -> Facts:
    return Facts(engine.canonical_tags(LABELS_18, raw, None))


def test_every_sub_genre_of_the_table_is_a_class_of_the_sum_of_its_counts():
    counts: dict[str, int] = {}
    for _, _, _, _, quotas in LABELS.values():
        for spelling, count in quotas.items():
            name = SUB_GENRES.spellings["sub_genre", fold(spelling)]
            counts[name] = counts.get(name, 0) + count
    assert {label.name: label.size for label in SUB_GENRES.labels} == counts
    assert (len(counts), sum(counts.values())) == (32, 24_216)


@pytest.mark.parametrize("label", SUB_GENRES.labels, ids=lambda label: label.name)
def test_a_class_takes_clips_of_its_sub_genre_only(label):
    assert dict(label.music.sub_genres) == {label.name: label.size}


@settings(deadline=None, max_examples=1_000)
@given(pictures)
def test_a_picture_fits_the_sub_genres_of_the_labels_that_it_fits(raw):
    fitting = {fit.label for fit in engine.image_fits(LABELS_18, facts(raw))}
    union = {name for label in LABELS_18.labels if label.name in fitting for name in label.music.sub_genres}
    assert {fit.label for fit in engine.image_fits(SUB_GENRES, facts(raw))} == union


@pytest.mark.parametrize("label", LABELS_18.labels, ids=lambda label: label.name)
def test_what_each_label_asks_for_is_enough_for_its_sub_genres(label):
    """One word of each step that has to hold: what chance would seldom draw."""
    steps = [clauses[0] for group, clauses in label.image.steps if group != "none"]
    leaves = [clause if clause.kind else clause.any[0] for clause in steps]
    raw = [(str(leaf.kind), leaf.words[0]) for leaf in leaves]
    assert set(label.music.sub_genres) <= {fit.label for fit in engine.image_fits(SUB_GENRES, facts(raw))}


@settings(deadline=None, max_examples=1_000)
@given(recordings)
def test_a_recording_fits_the_sub_genres_that_it_fits_under_any_label(raw):
    union = {fit.sub_genre for fit in engine.recording_fits(LABELS_18, facts(raw))}
    found = engine.recording_fits(SUB_GENRES, facts(raw))
    assert {fit.label for fit in found} == {fit.sub_genre for fit in found} == union


def test_both_rule_sets_read_the_same_evidence():
    for part in ("vocabulary", "artists", "models"):
        assert getattr(SUB_GENRES, part) == getattr(LABELS_18, part)


def test_a_file_of_its_own_wins_over_that_of_another_rule_set(tmp_path):
    mine = shutil.copytree(FOLDER / "museart32", tmp_path / "mine")
    (mine / "artists.csv").write_text("name,born,died\nIda Ekblad,1980,\n")
    loaded = rules.load(str(mine))
    assert [artist.name for artist in loaded.artists.entries] == ["Ida Ekblad"]
    assert loaded.vocabulary == LABELS_18.vocabulary


def test_evidence_of_an_unknown_rule_set_is_refused_at_its_line(tmp_path):
    mine = shutil.copytree(FOLDER / "museart32", tmp_path / "mine")
    settings = (
        (mine / "settings.yaml").read_text(encoding="utf-8").replace("evidence_of: museart18", "evidence_of: ../x")
    )
    (mine / "settings.yaml").write_text(settings, encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"settings.yaml:\d+: evidence_of: ../x: expected a rule set of artune: museart18"
    ):
        rules.load(str(mine))


def test_pictures_clips_and_splits_are_those_of_museart18():
    """So that both data sets share one collection's measurements."""
    for part in ("image", "audio", "splits"):
        assert getattr(SUB_GENRES, part) == getattr(LABELS_18, part)


@pytest.mark.parametrize("path", sorted((FOLDER / "museart32").glob("*.yaml")), ids=lambda path: path.name)
def test_an_editor_finds_the_schema_and_accepts_the_file(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../rule_set.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), json.loads(json_schema()))
