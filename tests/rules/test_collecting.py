"""What to collect is read with the rules, or refused with them; the default has lists of its own for each need."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

import rules
from curation import releases
from rules import engine
from rules.collecting import Query
from rules.engine import Facts
from rules.errors import ConfigurationError
from rules.spelling import fold
from tests.rules.table_3_1 import LABELS
from tests.rules.tiny import TINY, mistakes, write

RULE_SET = rules.load("museart18")
FOLDER = Path(rules.__file__).parent
SOURCES = ("wikiart", "kaggle", "pinterest", "youtube")
CATEGORIES = sorted(
    {(kind, word) for _, _, by_kind, _, _ in LABELS.values() for kind, words in by_kind.items() for word in words}
)
MIN_SEARCHES = 8  # of each sub-genre of each label, for that label alone

COLLECT = """\
collect:
  gallery:
    - tags: {style: baroque}
      lists:
        - category: old/baroque
        - board: me/baroque
    - label: posters
      tags: {genre: Poster, nationality: [italian, Japaneses]}
      lists: [{search: posters}]
    - lists: [{dataset: all/of-it}]
  radio:
    - tags: {sub_genre: Late, music_feature: [Chamber]}
      lists: [{search: late quartets}]
    - tags: {sub_genre: Late}
      lists: [{search: late}]
"""


def collect(folder: Path, text: str = COLLECT) -> Path:
    (write(folder) / "collect.yaml").write_text(text, encoding="utf-8")
    return folder


def canonical(kind: str, spelling: str) -> tuple[str, str]:
    return kind, RULE_SET.spellings[kind, fold(spelling)]


def facts(tags: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Facts:
    return Facts(engine.canonical_tags(RULE_SET, tags, None))


def queries(source: str) -> pytest.MarkDecorator:
    """Give one query of each entry: all lists of an entry have the same tags."""
    by_tags = {(query.tags, query.labels): query for query in reversed(RULE_SET.queries(source))}
    return pytest.mark.parametrize("query", [*by_tags.values()], ids=lambda query: query.text)


# ------ reading


def test_lists_are_read_in_their_order_with_what_is_true_of_them(tmp_path):
    rule_set = rules.load(str(collect(tmp_path)))
    baroque = {"tags": (("style", "Baroque"),), "labels": ("Old views",)}
    of_posters = ("genre", "Poster"), ("nationality", "Italian"), ("nationality", "Japanese")
    assert rule_set.queries("gallery") == (
        Query("gallery", "category", "old/baroque", **baroque),
        Query("gallery", "board", "me/baroque", **baroque),
        Query("gallery", "search", "posters", of_posters, ("Posters",)),
        Query("gallery", "dataset", "all/of-it"),
    )
    assert rule_set.queries("gallery")[0].name == "category: old/baroque"
    assert rule_set.queries("elsewhere") == ()


def test_a_label_is_asked_for_with_its_lists_and_those_of_which_nothing_is_known(tmp_path):
    rule_set = rules.load(str(collect(tmp_path)))
    assert [query.text for query in rule_set.queries("gallery", "Posters")] == ["posters", "all/of-it"]
    assert [query.text for query in rule_set.queries("radio", "Posters")] == ["late"]
    with pytest.raises(ConfigurationError, match="rule set tiny has no label 'Postres'; did you mean Posters"):
        rule_set.queries("gallery", "Postres")


@pytest.mark.parametrize(
    ("tags", "labels"),
    [
        ("{genre: Interior}", ["Old views"]),  # asked for by a condition within another
        ("{genre: Marine painting, style: Baroque}", ["Old views"]),
        ("{genre: Landscape, nationality: Italian}", ["Old views"]),  # no label asks for a nationality
        ("{century: 21st century}", ["Posters"]),
        ("{century: 21st century, genre: Poster}", ["Posters"]),
        ("{sub_genre: Late}", ["Old views", "Posters"]),
        ("{sub_genre: Late, music_feature: Popular}", ["Posters"]),
        ("{music_feature: Religious}", ["Old views"]),
    ],
)
def test_without_a_label_the_tags_say_which_may_be_filled(tmp_path, tags, labels):
    text = f"collect:\n  gallery:\n    - tags: {tags}\n      lists: [{{search: x}}]\n"
    (query,) = rules.load(str(collect(tmp_path, text))).queries("gallery")
    assert list(query.labels) == labels


@pytest.mark.parametrize(
    "tags",
    [
        "{style: Cubism}",
        "{style: Cubism, genre: Interior}",  # the label that asks for one of them asks for another style
        "{style: Baroque, nationality: Japanese}",  # Asia is implied, and excluded
        "{sub_genre: Other}",
        "{sub_genre: Early, music_feature: Popular}",
    ],
)
def test_lists_for_which_no_label_asks_are_not_collected(tmp_path, tags):
    """So that a label can go, or its condition change, without a word about its lists."""
    text = f"collect:\n  gallery:\n    - tags: {tags}\n      lists: [{{search: x}}]\n"
    assert rules.load(str(collect(tmp_path, text))).queries("gallery") == ()


def test_lists_of_another_rule_set_serve_by_their_tags(tmp_path):
    mine = shutil.copytree(FOLDER / "museart32", tmp_path / "mine")
    labels = (mine / "labels.yaml").read_text(encoding="utf-8")
    of_metal = labels[labels.index("  - name: Heavy metal") :]
    (mine / "labels.yaml").write_text("labels:\n" + of_metal.replace("name: Heavy", "name: Loud"), encoding="utf-8")
    asked = {source: rules.load(str(mine)).queries(source) for source in SOURCES}
    expected = {source: [q.text for q in RULE_SET.queries(source, "Heavy metal")] for source in SOURCES}
    assert {source: [query.text for query in found] for source, found in asked.items()} == expected
    assert {query.labels for found in asked.values() for query in found} == {("Loud metal",), ()}


def test_a_file_of_its_own_wins_over_that_of_another_rule_set(tmp_path):
    mine = shutil.copytree(FOLDER / "museart32", tmp_path / "mine")
    (mine / "collect.yaml").write_text("collect:\n  gallery:\n    - label: Jazz\n      lists: [{search: jazz}]\n")
    assert rules.load(str(mine)).queries("gallery") == (Query("gallery", "search", "jazz", (), ("Jazz",)),)
    assert rules.load(str(mine)).queries("youtube") == ()


# ------ what is refused


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "{style: baroque}",
            "{style: Baroqe}",
            "3: Baroqe: expected a style of vocabulary.yaml; did you mean Baroque?",
        ),
        ("[italian, ", "[italien, ", "8: italien: expected a nationality of vocabulary.yaml; did you mean Italian?"),
        ("[italian, ", "[Italian, italian, ", "8: italian: expected each nationality once in a list"),
        ("{style: baroque}", "{stile: Baroque}", "3: stile: expected 'style', 'genre', 'century', "),
        ("{style: baroque}", "{style: []}", "3: style: an empty list: expected at least one entry"),
        ("label: posters", "label: Postres", "7: Postres: expected a label of labels.yaml; did you mean Posters?"),
        ("label: posters", "labels: posters", "7: labels: expected one of the keys label, tags, lists"),
        (
            "board: me/baroque",
            "category: Old Baroque",
            "6: category: Old Baroque: expected each list once: it stands on line 5",
        ),
        ("search: posters", "board: me/baroque", "9: board: me/baroque: expected each list once: it stands on line 6"),
        ("lists: [{search: posters}]", "lists: []", "9: lists: an empty list: expected at least one entry"),
        ("      lists: [{search: posters}]\n", "", "7: no lists: expected the key lists"),
        ("{search: posters}", "{search: posters, board: me/x}", "9: lists: expected one list after each dash"),
        ("{search: posters}", "{}", "9: an empty mapping: expected one list after each dash, as `search: text`"),
        ("{search: posters}", "posters", "9: posters: expected a mapping"),
        ("{search: posters}", "{search: [posters]}", "9: search: a list: expected a text"),
        (
            "{search: posters}",
            "{search: 1920}",
            "9: search: 1920: expected a text (in quotes if it looks like a number)",
        ),
        ("{search: posters}", "{Search it: posters}", "9: Search it: expected small letters, digits, - and _"),
        ("{search: posters}", '{search: "a\\tb"}', "9: search: a b: expected letters or digits on one line"),
        ("  radio:", "  Radio One:", "11: Radio One: expected small letters, digits, - and _"),
        ("collect:\n", "collected:\n", "1: collected: expected one of the keys collect"),
        (
            "tags: {sub_genre: Late, ",
            "label: Posters\n      tags: {sub_genre: Early, ",
            "13: Early: expected a sub_genre of the label Posters: Late",
        ),
        (
            "tags: {sub_genre: Late, ",
            "label: Posters\n      tags: {sub_genre: Late, ",
            "13: Chamber: expected a music_feature of the label Posters: Popular",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, expected):
    assert COLLECT.count(old) == 1
    found = mistakes(collect(tmp_path, COLLECT.replace(old, new)))
    assert f"collect.yaml:{expected}" in [line[: len("collect.yaml:" + expected)] for line in found]


def test_a_list_may_be_asked_of_two_sources_and_by_two_kinds(tmp_path):
    text = COLLECT.replace("search: late quartets", "search: posters").replace(
        "board: me/baroque", "board: old/baroque"
    )
    assert rules.load(str(collect(tmp_path, text))).queries("radio")[0].text == "posters"


def test_all_mistakes_come_at_once_with_those_of_the_other_files(tmp_path):
    text = COLLECT.replace("style: baroque", "style: Baroqe").replace("label: posters", "label: Postres")
    text = text.replace("search: posters", "board: me/baroque").replace("search: late}", "search: 3}")
    (collect(tmp_path, text) / "settings.yaml").write_text(TINY["settings.yaml"].replace("seed: 1", "seed: x"))
    assert [line.split(": expected")[0] for line in mistakes(tmp_path)] == [
        "collect.yaml:3: Baroqe",
        "collect.yaml:7: Postres",
        "collect.yaml:9: board: me/baroque",
        "collect.yaml:15: search: 3",
        "settings.yaml:3: seed: x",
    ]


def test_what_is_collected_is_no_part_of_a_release(tmp_path):
    without = rules.load(str(write(tmp_path)))
    rule_set = rules.load(str(collect(tmp_path)))
    assert rule_set.collect
    assert rule_set.digest == without.digest
    assert "collect" not in json.loads(releases.written(releases.publish(rule_set, None)))


# ------ the default


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category[1])
def test_each_category_of_the_table_has_lists_that_no_other_has(category):
    of_table = {canonical(*other) for other in CATEGORIES}
    own = [
        query for query in RULE_SET.queries("wikiart") if of_table.intersection(query.tags) == {canonical(*category)}
    ]
    assert own


def test_the_table_has_93_categories_and_43_sub_genres_of_labels():
    assert (len(CATEGORIES), sum(len(quotas) for *_, quotas in LABELS.values())) == (93, 43)


@pytest.mark.parametrize(
    ("label", "sub_genre"), [(label, word) for label, (*_, quotas) in LABELS.items() for word in quotas]
)
def test_each_sub_genre_of_a_label_has_searches_that_no_other_has(label, sub_genre):
    asked = RULE_SET.queries("youtube", label)
    own = [query for query in asked if query.labels == (label,) and canonical("sub_genre", sub_genre) in query.tags]
    assert len(own) >= MIN_SEARCHES
    assert all(sum(kind == "sub_genre" for kind, _ in query.tags) == 1 for query in own)


def test_no_list_of_the_default_is_for_nothing():
    written = {source: sum(len(entry.lists) for entry in entries) for source, entries in RULE_SET.collect.items()}
    assert {source: len(RULE_SET.queries(source)) for source in SOURCES} == written


@pytest.mark.parametrize("source", SOURCES)
def test_every_label_has_lists_at_every_source(source):
    assert [label for label in RULE_SET.label_names if not RULE_SET.queries(source, label)] == []


@queries("youtube")
def test_a_recording_fits_the_labels_of_its_list(query):
    fits = engine.recording_fits(RULE_SET, facts(query.tags))
    assert {fit.label for fit in fits} == set(query.labels) != set()
    assert {("sub_genre", fit.sub_genre) for fit in fits} <= set(query.tags)


@queries("pinterest")
def test_a_pin_fits_the_labels_of_its_list(query):
    """A pin says nothing of itself, so what is true of its list must do."""
    fits = {fit.label for fit in engine.image_fits(RULE_SET, facts(query.tags))}
    assert set(query.labels) <= fits


@pytest.mark.parametrize("label", RULE_SET.labels, ids=lambda label: label.name)
def test_an_artwork_of_lists_of_each_kind_fits_the_label(label):
    tags = {tag for query in RULE_SET.queries("wikiart", label.name) for tag in query.tags}
    steps = [clauses for group, clauses in label.image.steps if group != "none"]
    leaves = [[leaf for clause in clauses for leaf in (clause.any or (clause,))] for clauses in steps]
    found = [
        next((leaf.kind, word) for leaf in step for word in leaf.words if (leaf.kind, word) in tags) for step in leaves
    ]
    assert label.name in {fit.label for fit in engine.image_fits(RULE_SET, facts(found))}


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_knows_the_lists_that_it_is_asked_for(source):
    module = importlib.import_module(f"curation.sources.{source}")
    for query in RULE_SET.queries(source):
        module.check(query)


def test_museart32_asks_for_the_same_lists():
    sub_genres = rules.load("museart32")
    for source in ("wikiart", "pinterest", "youtube"):
        assert [query.name for query in sub_genres.queries(source)] == [q.name for q in RULE_SET.queries(source)]
    jazz = {query.labels for query in sub_genres.queries("youtube") if ("sub_genre", "Jazz") in query.tags}
    assert jazz == {("Jazz",)}
