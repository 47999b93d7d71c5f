"""A rule set is read as written, or refused with every mistake, its file and its line."""

import re

import pytest

import rules
from rules.errors import ConfigurationError
from tests.rules.tiny import TINY, mistakes, write

L, S, V = "labels.yaml", "settings.yaml", "vocabulary.yaml"


def test_the_tiny_rule_set_is_read_as_written(tmp_path):
    rule_set = rules.load(str(write(tmp_path)))
    old_views = rule_set.labels[0]
    assert rule_set.label_names == ("Old views", "Posters")
    assert (rule_set.image.max_side_px, rule_set.image.jpeg_quality) == (512, 92)
    assert rule_set.audio.clip_s == 2.5
    assert old_views.image.all[1].any[0].words == ("Landscape", "Marine painting")
    assert old_views.music.sub_genres == {"Early": 6, "Late": 4}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[Landscape, Marine painting]", "[LANDSCAPE, marina]"),
        ("Early: 6", "early: 6"),
        ("[Popular]", "[populár]"),
        ("      - genre: [Marine painting]", "      - genre: [Marina]"),
    ],
)
def test_rules_may_use_any_spelling_of_the_vocabulary(tmp_path, old, new):
    spelled = rules.load(str(write(tmp_path / "spelled", "labels.yaml", old, new)))
    assert spelled.digest == rules.load(str(write(tmp_path / "plain"))).digest


def test_a_name_that_is_no_rule_set_lists_those_that_are():
    with pytest.raises(ConfigurationError, match="'museart19'.*museart18"):
        rules.load("museart19")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            L,
            "style: [Baroque]",
            "style: [Baroqe]",
            "6: Baroqe: expected a style of vocabulary.yaml; did you mean Baroque?",
        ),
        (L, "Landscape, Marine", "Landscape, Xyz, Marine", "8: Xyz: expected a genre of vocabulary.yaml"),
        (L, "[Interior]", "[Baroque]", "10: Baroque: expected a genre of vocabulary.yaml"),
        (
            L,
            "[20th century]",
            "[20th centuri]",
            "12: 20th centuri: expected a century of vocabulary.yaml; did you mean 20th century",
        ),
        (
            L,
            "continent: [Asia]",
            "continent: [Azia]",
            "14: Azia: expected a continent of vocabulary.yaml; did you mean Asia?",
        ),
        (
            L,
            "- genre: [Marine painting]",
            "- genre: [Marena]",
            "16: Marena: expected a genre of vocabulary.yaml; did you mean Marine painting?",
        ),
        (L, "Early: 6", "Erly: 6", "20: Erly: expected a sub_genre of vocabulary.yaml; did you mean Early?"),
        (
            L,
            "[Popular]",
            "[Populär, Poplar]",
            "29: Poplar: expected a music_feature of vocabulary.yaml; did you mean Popular?",
        ),
        (
            L,
            "[Landscape, Marine painting]",
            "[Marina, Marine painting]",
            "8: Marine painting: expected each genre once in a list",
        ),
        (
            L,
            "Late: 5",
            "Late: 5\n        LATE: 4",
            "32: LATE: expected each sub_genre once: it stands on line 31 already",
        ),
        (
            V,
            "continent: Europe",
            "continent: Europa",
            "14: Europa: expected a continent of vocabulary.yaml; did you mean Europe?",
        ),
        (
            V,
            "[Marina]",
            "[Marina, POSTER]",
            "9: Poster: expected a spelling of one genre only: Marine painting has it on line 8",
        ),
        (
            V,
            "    Interior:\n",
            "    Interior:\n    INTERIOR:\n",
            "8: INTERIOR: expected a spelling of one genre only: Interior has it on line 7",
        ),
        (V, "Early:\n", 'Early:\n    "?!":\n', "22: ?!: expected letters or digits on one line"),
        (V, "[1901, 2000]", "[2000, 1901]", "11: 20th century: expected years from the first to the last"),
    ],
)
def test_a_word_that_the_vocabulary_does_not_settle_is_named(tmp_path, file, old, new, expected):
    (line,) = mistakes(write(tmp_path, file, old, new))
    assert line.startswith(f"{file}:{expected}")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            L,
            "    look_first:",
            "    look_frist:",
            "15: look_frist: expected one of the keys name, size, image, look_first, music, priority, weight",
        ),
        (
            L,
            "- century: [21st",
            "- centurie: [21st",
            "27: centurie: expected one of the keys all, any, none, style, genre, century, nationality, continent,",
        ),
        (
            L,
            "- genre: [Interior]",
            "- gnre: [Interior]",
            "10: gnre: expected one of the keys all, any, none, style, genre, century, nationality, continent,",
        ),
        (L, "    size: 5\n", "", "22: no size: expected the key size"),
        (S, "title: A tiny rule set\n", "", "1: no title: expected the key title"),
        (
            S,
            "seed: 1",
            "seed: 1\nspilts: {}",
            "4: spilts: expected one of the keys name, title, seed, image, audio, splits, evidence_of",
        ),
        (S, "seed: 1", "seed: 1\nlabels: []", "4: labels: expected this key in labels.yaml"),
        (
            S,
            "max_side_px: 512",
            "max_clips: 512",
            "5: max_clips: expected one of the keys max_side_px, min_side_px, jpeg_quality",
        ),
        (V, "  style:\n", "  mood: {}\n  style:\n", "2: mood: expected 'style', 'genre', 'century'"),
        (
            V,
            "aliases: [Marina]",
            "alias: [Marina]",
            "8: alias: expected one of the keys aliases, implies, years; did you mean aliases?",
        ),
    ],
)
def test_a_wrong_key_is_named(tmp_path, file, old, new, expected):
    (line,) = mistakes(write(tmp_path, file, old, new))
    assert line.startswith(f"{file}:{expected}")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            L,
            "name: Posters",
            "name: old views",
            "22: old views: expected a name of its own: the label on line 2 has it already",
        ),
        (
            L,
            "name: Posters",
            "name: Old views",
            "22: Old views: expected a name of its own: the label on line 2 has it already",
        ),
        (L, "name: Posters", "name: 1970", "22: name: 1970: expected a text (in quotes if it looks like a number)"),
        (L, "Early: 6", "Early: 11", "20: Early: 11: expected a quota of at most 10, the size of its class"),
        (L, "Early: 6", "Early: 5", "19: quotas of 9 in all: expected at least 10, or the class cannot reach its size"),
        (L, "Early: 6", "Early: 0", "20: Early: 0: expected a number greater than or equal to 1"),
        (L, "size: 5", "size: 5.5", "23: size: 5.5: expected a whole number"),
        (L, "size: 5", "size: five", "23: size: five: expected a whole number"),
        (L, "size: 5", "size: 0", "23: size: 0: expected a number greater than or equal to 1"),
        (L, "[Poster]", "[[Poster]]", "26: a list: expected a text"),
        (L, "[Poster]", "[1970]", "26: 1970: expected a text (in quotes if it looks like a number)"),
        (L, "[Poster]", "Poster", "26: genre: Poster: expected a list"),
        (L, "[Poster]", "[]", "26: genre: an empty list: expected at least one entry"),
        (L, "[Popular]", "[]", "29: features: an empty list: expected at least one entry"),
        (
            L,
            "[Poster]\n",
            "[Poster]\n          style: [Baroque]\n",
            "26: any: expected exactly one of all, any, none, style,",
        ),
        (S, "seed: 1", "seed: -1", "3: seed: -1: expected a number greater than or equal to 0"),
        (S, "name: tiny", "name: Tiny Rules", "1: name: Tiny Rules: expected small letters, digits, - and _"),
        (S, "test: 0.1", "test: 0.2", "9: splits: expected train, validation and test to add up to 1, not 1.1"),
        (S, "train: 0.8", "train: 0", "10: train: 0: expected a number greater than 0"),
        (S, "test: 0.1", "test: -0.1", "12: test: -0.1: expected a number greater than or equal to 0"),
        (S, "clip_s: 2.5", "clip_s: 0", "8: clip_s: 0: expected a number greater than 0"),
        (S, "clip_s: 2.5", "clip_s: -30", "8: clip_s: -30: expected a number greater than 0"),
        (S, "clip_s: 2.5", "clip_s: .inf", "8: clip_s: .inf: expected a number"),
        (S, "clip_s: 2.5", "clip_s: 2.50001", "6: audio: expected clip_s to be a whole number of samples at 8000 Hz"),
        (S, "clip_s: 2.5", "channels: 3", "8: channels: 3: expected a number less than or equal to 2"),
        (S, "clip_s: 2.5", "silence_dbfs: 3", "8: silence_dbfs: 3: expected a number less than 0"),
        (
            S,
            "clip_s: 2.5",
            "max_silence_share: 50",
            "8: max_silence_share: 50: expected a number less than or equal to 1",
        ),
        (S, "max_side_px: 512", "max_side_px: 100", "4: image: expected min_side_px to be at most max_side_px (100)"),
        (
            S,
            "max_side_px: 512",
            "jpeg_quality: 101",
            "5: jpeg_quality: 101: expected a number less than or equal to 100",
        ),
        (S, "max_side_px: 512", "max_side_px: true", "5: max_side_px: true: expected a whole number"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, file, old, new, expected):
    (line,) = mistakes(write(tmp_path, file, old, new))
    assert line.startswith(f"{file}:{expected}")


def test_a_table_of_artists_is_read_and_checked_with_the_rest(tmp_path):
    (write(tmp_path) / "artists.csv").write_text("name,nationality\nAnna,italian\n")
    before = rules.load(str(tmp_path))
    assert [(artist.name, artist.nationality) for artist in before.artists.entries] == [("Anna", ("Italian",))]
    (tmp_path / "artists.csv").write_text("name,nationality\nAnna,Italien\n")
    (tmp_path / S).write_text(TINY[S].replace("seed: 1", "seed: x"))
    assert [line.split(": expected")[0] for line in mistakes(tmp_path)] == ["artists.csv:2: Italien", f"{S}:3: seed: x"]


def test_overrides_are_read_with_the_labels_that_they_may_name(tmp_path):
    row = "item,label,reason,date\nfolder:a.jpg,{},looks like one,2026-01-31\n"
    (write(tmp_path) / "overrides.csv").write_text(row.format("posters"))
    assert [override.label for override in rules.load(str(tmp_path)).overrides.entries] == ["Posters"]
    (tmp_path / "overrides.csv").write_text(row.format("Potsers"))
    (line,) = mistakes(tmp_path)
    assert line.startswith("overrides.csv:2: Potsers: expected a label of labels.yaml; did you mean Posters?")


MODELS = """\
models:
  clip:
    family: open_clip
    weights: ViT-B-32
    questions:
      subject:
        answers:
          view: {prompts: [a painting of a landscape], tags: {genre: landscape}}
          other: {prompts: [a painting]}
"""


def test_models_are_read_and_their_words_settled(tmp_path):
    (write(tmp_path) / "models.yaml").write_text(MODELS)
    answers = rules.load(str(tmp_path)).models.root["clip"].questions["subject"].answers
    assert answers["view"].tags == {"genre": "Landscape"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("landscape}}", "landskape}}", "8: landskape: expected a genre of vocabulary.yaml; did you mean Landscape?"),
        ("family:", "famly:", "2: no family: expected the key family"),
        (
            "prompts: [a painting]",
            "prompt: [a painting]",
            "9: prompt: expected one of the keys prompts, tags, known_by",
        ),
    ],
)
def test_a_mistake_in_models_is_named(tmp_path, old, new, expected):
    (write(tmp_path) / "models.yaml").write_text(MODELS.replace(old, new))
    assert f"models.yaml:{expected}" in [line[: len("models.yaml:" + expected)] for line in mistakes(tmp_path)]


@pytest.mark.parametrize("key", ["artists", "overrides"])
def test_tables_are_no_keys_of_the_settings(tmp_path, key):
    (line,) = mistakes(write(tmp_path, S, "seed: 1", f"seed: 1\n{key}: {{}}"))
    assert line.startswith(f"{S}:4: {key}: expected one of the keys name, title,")


@pytest.mark.parametrize("condition", ["{}", "", "{all: []}"])
def test_a_label_needs_a_condition(tmp_path, condition):
    old = "image:\n      any:\n        - genre: [Poster]\n        - century: [21st century]\n"
    (line,) = mistakes(write(tmp_path, L, old, f"image: {condition}\n"))
    assert re.match(r"labels.yaml:24: (image|all): .*: expected ", line)


def test_a_file_that_nothing_reads_is_named(tmp_path):
    (write(tmp_path) / "label.yml").write_text("labels: []")
    assert mistakes(tmp_path)[0].startswith("label.yml:1: label.yml: expected only settings.yaml,")


def test_all_mistakes_come_at_once_by_file_and_line(tmp_path):
    write(tmp_path, L, "size: 5", "size: 4.5\n    sise: 3")
    for file, old, new in [
        (S, "train: 0.8", "train: 0.9"),
        (S, "clip_s: 2.5", "clip_s: 0"),
        (V, "Poster:", "Posters:"),
    ]:
        path = tmp_path / file
        path.write_text(path.read_text().replace(old, new))
    labels = (tmp_path / L).read_text().replace("Early: 6", "Erly: 60").replace("[Baroque]", "[Barok]")
    (tmp_path / L).write_text(labels)
    assert [line.split(": expected")[0] for line in mistakes(tmp_path)] == [
        "labels.yaml:6: Barok",
        "labels.yaml:20: Erly",
        "labels.yaml:20: Erly: 60",
        "labels.yaml:23: size: 4.5",
        "labels.yaml:24: sise",
        "labels.yaml:27: Poster",
        "settings.yaml:8: clip_s: 0",
        "settings.yaml:9: splits",
    ]


def test_a_broken_file_does_not_hide_the_mistakes_of_the_others(tmp_path):
    write(tmp_path, L, "labels:", "labels: [")
    (tmp_path / S).write_text(TINY[S].replace("seed: 1", "seed: x"))
    assert [line.split(": ")[0] for line in mistakes(tmp_path)] == ["labels.yaml:2", "settings.yaml:3"]


def test_comments_and_the_order_of_keys_do_not_change_the_digest(tmp_path):
    before = rules.load(str(write(tmp_path))).digest
    (tmp_path / L).write_text("# a comment\n" + TINY[L].replace("size: 10", "size: 10  # pairs"))
    (tmp_path / S).write_text(TINY[S].replace("seed: 1\n", "") + "seed: 1\n")
    (tmp_path / V).write_text(TINY[V].replace("    Landscape:\n    Interior:\n", "    Interior:\n    Landscape:\n"))
    assert rules.load(str(tmp_path)).digest == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (S, "seed: 1", "seed: 2"),
        (S, "clip_s: 2.5", "clip_s: 5"),
        (S, "name: tiny", "name: small"),
        (S, "train: 0.8\n  validation: 0.1\n", "train: 0.7\n  validation: 0.2\n"),
        (L, "size: 10", "size: 9"),
        (L, "Early: 6", "Early: 7"),
        (L, "name: Posters", "name: Bills"),
        (L, "style: [Baroque]", "style: [Cubism]"),
        (L, "      any:\n        - genre: [Poster]", "      all:\n        - genre: [Poster]"),
        (L, "    look_first:\n      - genre: [Marine painting]\n", ""),
        (L, "- century: [21st century]", "- century: [21st century]\n          min_confidence: 0.8"),
        (L, "- century: [21st century]", "- year: {min: 2001}"),
        (L, "size: 5", "size: 5\n    priority: 1"),
        (L, "size: 5", "size: 5\n    weight: 2"),
        (L, "size: 5", "size: 5\n    renamed_from: Bills"),
        (L, "labels:", "retired_labels: [Bills]\nlabels:"),
        (S, "seed: 1", "seed: 1\nmin_confidence: 0.7"),
        (V, "[1901, 2000]", "[1900, 2000]"),
        (V, "aliases: [Marina]", "aliases: [Seascape]"),
        (V, "Italian: {implies: {continent: Europe}}", "Italian:"),
    ],
)
def test_every_value_changes_the_digest(tmp_path, file, old, new):
    before = rules.load(str(write(tmp_path / "before"))).digest
    assert rules.load(str(write(tmp_path / "after", file, old, new))).digest != before
