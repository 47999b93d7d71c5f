"""What coverage says of made collections, of which everything is known."""

import dataclasses

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from curation import collect, measure, releases
from curation.coverage import NOTHING_NEAR, Coverage, SideCoverage, survey
from curation.store import Home
from rules.schema import RuleSet
from tests.curation import tables
from tests.curation.tables import LABELS, Item, content, items_table, picture, recording, tiny_rules

RULES = tiny_rules()


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def uses(side: SideCoverage, attribute: str) -> dict[str, object]:
    return {use.label: getattr(use, attribute) for use in side.labels}


def two_kinds(**extra: object) -> RuleSet:
    """Return the tiny rules where faces ask for a style and a genre."""
    values = content()
    values["vocabulary"]["style"] = {"Baroque": None, "Cubism": None}
    clauses = [{"style": ["Baroque", "Cubism"]}, {"genre": ["Portrait"]}, *([extra] if extra else [])]
    values["labels"][1]["image"] = {"all": clauses}
    return RuleSet.model_validate(values)


def styled(name: str, style: str, *genres: str) -> Item:
    item = picture(name, *genres)
    return dataclasses.replace(item, tags=(("style", style), *item.tags))


def test_fits_are_counted_and_those_of_one_label_only(home):
    found = survey(home, items_table([picture("a", "Landscape"), picture("b", "Landscape", "Portrait")]), RULES)
    assert uses(found.images, "fit") == {"Old views": 2, "Faces": 1, "Bills": 0, "Grids": 0}
    assert uses(found.images, "fit_only_this") == {"Old views": 1, "Faces": 0, "Bills": 0, "Grids": 0}
    assert (found.images.items, found.images.taken, found.release) == (2, 2, None)


def test_recordings_have_their_own_side(home):
    found = survey(home, items_table([recording("a", "Late", "Chamber"), recording("b", "Hum", "Popular")]), RULES)
    assert uses(found.music, "fit") == {"Old views": 1, "Faces": 1, "Bills": 0, "Grids": 0}
    assert [(row.label, row.lacks) for row in found.music.lacks] == [("Grids", "music feature: one of Electronic")]
    assert found.images.items == 0


def test_step_that_no_item_meets_is_told_for_the_label_takes_nothing(home):
    found = survey(home, items_table([picture("a", "Portrait")]), two_kinds())
    assert uses(found.images, "unmet")["Faces"] == ["style: one of Baroque, Cubism"]
    assert uses(found.images, "unmatched")["Faces"] == {}


def test_word_that_no_item_has_is_told_where_its_step_is_met(home):
    found = survey(home, items_table([styled("a", "Cubism", "Portrait")]), two_kinds())
    assert uses(found.images, "unmet")["Faces"] == []
    assert uses(found.images, "unmatched")["Faces"] == {"style": ["Baroque"]}


def test_number_that_no_item_reaches_is_told(home):
    items = [styled("a", "Cubism", "Portrait")]
    rule_set = two_kinds(width_px={"min": 500})
    step = measure.steps(rule_set)["image"]
    home.write_table(home.derived(step.name, step.key) / "all.parquet", tables.images_table(items))
    found = survey(home, items_table(items), rule_set)
    assert uses(found.images, "unmet")["Faces"] == ["width_px at least 500"]
    roomy = survey(home, items_table(items), two_kinds(width_px={"min": 50}))
    assert uses(roomy.images, "fit")["Faces"] == 1


def test_untaken_are_counted_by_what_they_lack_and_by_their_tags(home):
    items = [picture("a", "Portrait"), picture("b", "Portrait"), picture("c"), picture("d", "Poster")]
    found = survey(home, items_table(items), two_kinds()).images
    rows = [(row.label, row.lacks, row.items, row.examples) for row in found.lacks]
    assert rows == [
        ("Faces", "style: one of Baroque, Cubism", 2, ["folder:a", "folder:b"]),
        (None, NOTHING_NEAR, 1, ["folder:c"]),
    ]
    assert [(row.tags, row.items) for row in found.untaken] == [("genre Portrait", 2), ("", 1)]


def test_items_that_could_not_be_read_are_no_business_of_the_rules(home):
    items = [picture("a", damage="undecodable_image"), picture("b", refusal="unreadable"), picture("c")]
    step = measure.steps(RULES)["image"]
    home.write_table(home.derived(step.name, step.key) / "all.parquet", tables.images_table(items[:1]))
    found = survey(home, items_table(items), RULES).images
    assert (found.items, [row.examples for row in found.untaken]) == (1, [["folder:c"]])


def test_labels_compete_for_what_fits_both(home):
    items = [picture("a", "Landscape", "Portrait"), picture("b", "Landscape", "Portrait", "Poster")]
    found = survey(home, items_table(items), RULES).images.rivals
    assert [(row.labels, row.both, row.unused) for row in found] == [
        (("Old views", "Faces"), 2, 2),
        (("Faces", "Bills"), 1, 1),
        (("Old views", "Bills"), 1, 1),
    ]


def test_an_empty_collection_says_nothing_of_the_rules(home):
    found = survey(home, items_table([]), RULES)
    assert [use.unmet for use in found.images.labels] == [[]] * len(LABELS)
    assert (found.images.lacks, found.music.rivals) == ([], [])


@settings(deadline=None, max_examples=60)
@given(tables.pictures(), st.sampled_from([RULES, two_kinds()]))
def test_everything_adds_up(tmp_path_factory, items, rule_set):
    found = survey(Home(tmp_path_factory.getbasetemp() / "no home"), items_table(items), rule_set).images
    assert found.items == sum(not item.refusal for item in items)
    assert sum(row.items for row in found.untaken) == found.items - found.taken
    assert sum(uses(found, "fit_only_this").values()) <= found.taken
    fit = uses(found, "fit")
    assert all(row.both <= min(fit[label] for label in row.labels) for row in found.rivals)


@pytest.fixture(scope="module")
def of_sample(sample_home: Home) -> Coverage:
    items = collect.current_items(sample_home, collect.list_sources(sample_home, ["sample"]))
    return survey(sample_home, items, rules.load("museart18"))


def test_the_last_release_is_told_by_label(of_sample, sample_release):
    counts = releases.label_counts(sample_release, releases.rule_set_of(sample_release))
    assert uses(of_sample.images, "released") == {label: by_split.total() for label, by_split in counts.items()}


def test_every_item_that_two_labels_want_is_somewhere(of_sample):
    assert of_sample.images.rivals
    assert all(row.both == sum(row.released) + row.elsewhere + row.unused for row in of_sample.images.rivals)


def test_what_the_release_rejected_for_want_of_a_rule_is_not_taken(of_sample, sample_release):
    rejected = pq.read_table(sample_release.folder / "rejections.parquet", columns=["reason"])["reason"].to_pylist()
    sides = (of_sample.images, of_sample.music)
    assert rejected.count("no_rule") <= sum(side.items - side.taken for side in sides)
