"""The rule set museart18 against the facts of its source, and against the sample that comes with artune."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

import curation
import rules
from rules import engine
from rules.schema import GROUPS, KINDS, NUMBERS, Clause, Condition, json_schema
from rules.spelling import fold
from tests.rules.table_3_1 import LABELS

RULE_SET = rules.load("museart18")
FOLDER = Path(rules.__file__).parent / "museart18"
SOURCES = Path(curation.__file__).parent / "sources" / "sample_data" / "SOURCES.csv"
FILES = sorted(FOLDER.glob("*.yaml"))

# Pictures of the sample for each label, before any filter; a picture may count for several.
SAMPLE_PICTURES = {
    "Renaissance symbolism": 0,
    "Renaissance secular subject": 9,
    "Baroque Classical symbolism": 0,
    "Baroque Classical secular subject": 3,
    "Romanticism figure": 3,
    "Romanticism open view": 1,
    "20th century traditional figure": 4,
    "20th century traditional open view": 1,
    "20th century experimental figure": 3,
    "20th century experimental open view": 8,
    "20th century abstractionism": 1,
    "European traditional folklore": 15,
    "Asian traditional folklore": 9,
    "American traditional folklore": 1,
    "African traditional folklore": 0,
    "Modern instrumental music": 15,
    "Electronic music": 17,
    "Heavy metal": 12,
}
SAMPLE_COLUMNS = {
    "style": "style",
    "genre": "genre",
    "century": "century",
    "nationality": "nationality",
    "music_genre": "sub_genre",
    "music_features": "music_feature",
}


def canonical(kind: str, spelling: str) -> str:
    return RULE_SET.spellings[kind, fold(spelling)]


def labels():
    return pytest.mark.parametrize("label", RULE_SET.labels, ids=lambda label: label.name)


def leaves(clauses: tuple[Clause, ...]):
    for clause in clauses:
        if clause.kind:
            yield from ((clause.kind, word) for word in clause.words)
        yield from leaves((*clause.all, *clause.any, *clause.none))


def shape(condition: Condition | Clause) -> str:
    """Say how the kinds of a condition combine, in the words of the table."""
    if isinstance(condition, Clause) and condition.kind:
        return condition.kind
    parts = [f"({shape(clause)})" if not clause.kind else shape(clause) for clause in condition.all]
    parts += [" OR ".join(map(shape, condition.any))] if condition.any else []
    parts += [f"NOT {shape(clause)}" for clause in condition.none]
    return " AND ".join(parts)


def sample(modality: str) -> list[tuple[str, engine.Facts]]:
    with SOURCES.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["modality"] == modality]
    found = []
    for row in rows:
        raw = [(kind, word) for column, kind in SAMPLE_COLUMNS.items() for word in row[column].split(";") if word]
        year = re.search(r"\d{4}", row["year"])
        tags = engine.canonical_tags(RULE_SET, raw, int(year[0]) if year else None)
        found.append((row["file"], engine.Facts(tags)))
    return found


def test_labels_are_those_of_the_table_in_its_order():
    assert RULE_SET.label_names == tuple(LABELS)


@labels()
def test_class_size_is_that_of_the_table_and_the_sum_of_its_quotas(label):
    assert label.size == LABELS[label.name][0] == sum(label.music.sub_genres.values())


@labels()
def test_categories_are_those_of_the_table(label):
    written = [leaf for leaf in leaves((*label.image.all, *label.image.any, *label.look_first))]
    expected = [(kind, canonical(kind, word)) for kind, words in LABELS[label.name][2].items() for word in words]
    assert sorted(written) == sorted(expected)


@labels()
def test_kinds_combine_as_in_the_table(label):
    reading = LABELS[label.name][1]
    reading = reading.replace("style = Ancient Egypt", "style").replace("nationality of another continent", "continent")
    assert shape(label.image) == reading


@labels()
def test_music_is_that_of_the_table(label):
    _, _, _, features, quotas = LABELS[label.name]
    assert set(label.music.features) == {canonical("music_feature", word) for word in features}
    assert label.music.sub_genres == {canonical("sub_genre", word): quota for word, quota in quotas.items()}


def test_totals_of_the_table():
    categories = {(kind, word) for _, _, by_kind, _, _ in LABELS.values() for kind in by_kind for word in by_kind[kind]}
    sub_genres = {word for *_, quotas in LABELS.values() for word in quotas}
    assert sum(label.size for label in RULE_SET.labels) == 24_216
    assert sum(len(label.music.sub_genres) for label in RULE_SET.labels) == 43
    assert len({canonical("sub_genre", word) for word in sub_genres}) == len(sub_genres) == 32
    assert len({(kind, canonical(kind, word)) for kind, word in categories}) == len(categories) == 93


def test_ancient_egypt_decides_and_the_folk_styles_do_not():
    african = next(label for label in RULE_SET.labels if label.name.startswith("African"))
    assert [word for kind, word in leaves(african.image.any) if kind == "style"] == ["Ancient Egypt"]


def test_european_folklore_excludes_every_continent_but_europe():
    european = next(label for label in RULE_SET.labels if label.name.startswith("European"))
    excluded = {word for _, word in leaves(european.image.none)}
    assert excluded == set(RULE_SET.vocabulary["continent"]) - {"Europe"}


@pytest.mark.parametrize(
    ("kind", "spelling", "name"),
    [
        ("genre", "Marina", "Marine painting"),
        ("genre", "marine  painting", "Marine painting"),
        ("genre", "sketch_and_study", "Sketch and study"),
        ("style", "ukiyo_e", "Ukiyo-e"),
        ("style", "Naive art", "Naïve art"),
        ("style", "Naïve Art (Primitivism)", "Naïve art"),
        ("style", "Post\u2013Impressionism", "Post-Impressionism"),
        ("style", "Mannerism_Late_Renaissance", "Late Renaissance"),
        ("style", "Flemish", "Flemish"),
        ("style", "Flemish School", "Flemish school"),
        ("nationality", "Japaneses", "Japanese"),
        ("nationality", "Italians", "Italian"),
        ("nationality", "Argentineans", "Argentine"),
        ("nationality", "Moroccan", "Moroccan"),
        ("century", "1400s", "15th century"),
        ("century", "XV century", "15th century"),
        ("century", "quattrocento", "15th century"),
        ("century", "fifteenth century", "15th century"),
        ("sub_genre", "Classic", "Classical"),
        ("sub_genre", "Cina, Japan, South-East Asia folk", "Chinese, Japanese and Southeast Asian folk"),
        ("sub_genre", "Est-Europe folk", "Eastern European folk"),
        ("sub_genre", "Traditional 19th – 20th c.", "Traditional 19th-20th century"),
        ("sub_genre", "Ballet 19th-20th c.", "Ballet 19th-20th century"),
        ("music_feature", "Informatic", "Computer music"),
        ("music_feature", "Theatre", "Theater"),
    ],
)
def test_spellings_become_canonical(kind, spelling, name):
    (tag,) = [tag for tag in engine.canonical_tags(RULE_SET, [(kind, spelling)], None) if tag.kind == kind]
    assert tag.value == name


@pytest.mark.parametrize(
    ("year", "century"), [(1400, "14th"), (1401, "15th"), (1478, "15th"), (1500, "15th"), (1501, "16th")]
)
def test_a_year_gives_its_century(year, century):
    assert engine.canonical_tags(RULE_SET, [], year) == (engine.Tag("century", f"{century} century", "year"),)


def test_every_year_has_at_most_one_century():
    spans = sorted(word.years for word in RULE_SET.vocabulary["century"].values() if word.years)
    assert all(before[1] + 1 == after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert (spans[0][0], spans[-1][1]) == (1, 2100)


def test_every_nationality_that_a_rule_asks_for_has_its_continent():
    asked = {word for label in RULE_SET.labels for kind, word in leaves(label.image.any) if kind == "nationality"}
    assert asked
    assert {word for word in asked if "continent" not in RULE_SET.vocabulary["nationality"][word].implies} == set()


def test_the_pictures_of_the_sample_fit_as_its_table_says():
    fits = [engine.image_fits(RULE_SET, facts) for _, facts in sample("image")]
    counts = Counter(fit.label for found in fits for fit in found)
    assert {label: counts[label] for label in RULE_SET.label_names} == SAMPLE_PICTURES
    assert sum(not found for found in fits) == 14


def test_each_recording_of_the_sample_fits_one_label():
    fits = {file: engine.recording_fits(RULE_SET, facts) for file, facts in sample("music")}
    assert {file: found for file, found in fits.items() if len(found) != 1} == {}
    assert set(RULE_SET.label_names) - {found[0].label for found in fits.values()} == {
        "20th century traditional open view",
        "20th century experimental open view",
    }


def test_the_vocabulary_knows_every_tag_of_the_sample():
    tags = {tag for _, facts in sample("image") + sample("music") for tag in facts.tags}
    assert {tag for tag in tags if tag.value not in RULE_SET.vocabulary[tag.kind]} == set()


def test_european_folklore_says_what_it_rests_on():
    tags = engine.canonical_tags(RULE_SET, [("style", "contemporary"), ("nationality", "Italians")], 2010)
    fits = engine.image_fits(RULE_SET, engine.Facts(tags))
    (fit,) = [fit for fit in fits if fit.label == "European traditional folklore"]
    assert fit.rule == "museart18/European traditional folklore"
    assert fit.evidence == (
        "style Contemporary (source); century 21st century (year); "
        "no continent Africa or Asia or North America or Oceania or South America"
    )


@pytest.mark.parametrize("nationality", ["American", "Japanese", "Australian", "Nigerian", "Brazilian"])
def test_european_folklore_takes_no_artist_of_another_continent(nationality):
    raw = [("style", "Folk art"), ("nationality", nationality)]
    tags = engine.canonical_tags(RULE_SET, raw, 1950)
    assert "European traditional folklore" not in {fit.label for fit in engine.image_fits(RULE_SET, engine.Facts(tags))}
    missed = {miss.label: miss.lacks for miss in engine.image_near_misses(RULE_SET, engine.Facts(tags))}
    assert missed["European traditional folklore"].endswith(f"(nationality {nationality})")


def test_names_lists_the_folder_under_the_name_inside():
    assert "museart18" in rules.names()
    assert [rules.load(name).name for name in rules.names()] == rules.names()


def test_the_json_schema_is_that_of_the_model():
    written = (FOLDER.parent / "rule_set.schema.json").read_text(encoding="utf-8")
    assert written == json_schema(), "run: python -m rules.schema"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_editor_finds_the_schema_and_accepts_the_file(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../rule_set.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), json.loads(json_schema()))


@pytest.mark.parametrize(
    "text",
    ["titel: x", "splits: {train: 2}", "labels: [{name: x, size: 1, image: {all: [{style: [a], genre: [b]}]}}]"],
)
def test_an_editor_marks_a_mistake(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json.loads(json_schema()))


def test_a_clause_may_ask_for_every_kind_of_tag():
    assert set(Clause.model_fields) == {*KINDS, *NUMBERS, *GROUPS, "source", "min_confidence"}


def test_loading_imports_nothing_heavy():
    """Every command loads the rule set at its start."""
    code = "import sys, rules; rules.load('museart18'); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parents[1], capture_output=True, text=True, check=True
    )
    assert {"curation", "numpy", "pandas", "prefect", "pyarrow", "rich"}.isdisjoint(loaded.stdout.split())
