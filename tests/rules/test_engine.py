"""Which labels take which tags, why, and what the others lack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from rules.engine import (
    Fit,
    NearMiss,
    Tag,
    canonical_tags,
    image_fits,
    image_near_misses,
    recording_fits,
    recording_near_misses,
)
from rules.schema import KINDS
from rules.spelling import closest, fold
from tests.rules.tiny import write

MUSEART = rules.load("museart18")
WORDS = [(kind, word) for kind, words in sorted(MUSEART.vocabulary.items()) for word in words]
RAW_TAGS = st.lists(st.sampled_from(WORDS), max_size=8)
YEARS = st.none() | st.integers(1300, 2030)
NEVER_KNOWN = st.text(min_size=1).map(lambda text: f"zzz {text}")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return rules.load(str(write(tmp_path_factory.mktemp("rules"))))


def outcome(rule_set, raw, year=None):
    tags = canonical_tags(rule_set, raw, year)
    everything = (image_fits, recording_fits, image_near_misses, recording_near_misses)
    return tuple(function(rule_set, tags) for function in everything)


def test_tags_are_canonical_sorted_and_each_once(tiny):
    raw = [("nationality", "japaneses"), ("genre", "MARINA"), ("genre", "marine painting"), ("nationality", "Indian")]
    assert canonical_tags(tiny, raw, 1950) == (
        Tag("genre", "Marine painting", "source"),
        Tag("century", "20th century", "year"),
        Tag("nationality", "Indian", "source"),
        Tag("nationality", "Japanese", "source"),
        Tag("continent", "Asia", "nationality Indian"),
    )


def test_an_unknown_tag_stays_as_it_was_written(tiny):
    raw = [("genre", " Stilleben "), ("mood", "Landscape")]
    assert canonical_tags(tiny, raw, None) == (
        Tag("genre", " Stilleben ", "source"),
        Tag("mood", "Landscape", "source"),
    )


@pytest.mark.parametrize(
    ("raw", "century"),
    [
        ([], Tag("century", "21st century", "year")),
        ([("century", "20th Century")], Tag("century", "20th century", "source")),
        ([("style", "Cubism")], Tag("century", "20th century", "style Cubism")),
    ],
)
def test_a_year_speaks_only_where_no_century_is_known(tiny, raw, century):
    assert [tag for tag in canonical_tags(tiny, raw, 2010) if tag.kind == "century"] == [century]


def test_a_year_speaks_beside_a_century_that_is_not_understood(tiny):
    origins = {tag.origin for tag in canonical_tags(tiny, [("century", "a while ago")], 2010)}
    assert origins == {"source", "year"}


def test_a_year_outside_the_vocabulary_says_nothing(tiny):
    assert canonical_tags(tiny, [], 1478) == ()


def test_what_follows_from_a_year_is_said_too(tmp_path):
    implying = write(
        tmp_path, "vocabulary.yaml", "years: [2001, 2100]", "years: [2001, 2100], implies: {genre: Poster}"
    )
    assert Tag("genre", "Poster", "century 21st century") in canonical_tags(rules.load(str(implying)), [], 2010)


def test_a_fit_names_its_rule_and_its_tags(tiny):
    tags = canonical_tags(tiny, [("genre", "Marina"), ("style", "Baroque"), ("genre", "Portrait")], None)
    evidence = (
        "style Baroque (source); genre Marine painting (source); no continent Asia; "
        "looked for first: genre Marine painting (source)"
    )
    assert image_fits(tiny, tags) == (Fit("Old views", None, "tiny/Old views", evidence),)


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        ([("style", "Baroque"), ("genre", "Landscape")], ["Old views"]),
        ([("style", "Baroque"), ("genre", "Interior")], ["Old views"]),
        ([("style", "Baroque"), ("genre", "Interior"), ("century", "20th century")], []),
        ([("style", "Baroque"), ("genre", "Landscape"), ("century", "20th century")], ["Old views"]),
        ([("style", "Baroque"), ("genre", "Landscape"), ("nationality", "Italian")], ["Old views"]),
        ([("style", "Baroque"), ("genre", "Landscape"), ("nationality", "Japanese")], []),
        ([("style", "Baroque"), ("genre", "Landscape"), ("genre", "Poster")], ["Old views", "Posters"]),
        ([("style", "Baroque")], []),
        ([("genre", "Landscape")], []),
        ([("century", "21st century")], ["Posters"]),
        ([("music_feature", "Poster")], []),
        ([], []),
    ],
)
def test_all_any_and_none_combine(tiny, raw, labels):
    assert [fit.label for fit in image_fits(tiny, canonical_tags(tiny, raw, None))] == labels


def test_evidence_within_a_nested_condition_says_what_was_absent(tiny):
    tags = canonical_tags(tiny, [("style", "Baroque"), ("genre", "Interior")], None)
    (fit,) = image_fits(tiny, tags)
    assert fit.evidence == "style Baroque (source); genre Interior (source); no century 20th century; no continent Asia"


@pytest.mark.parametrize(
    ("raw", "lacks"),
    [
        ([("genre", "Landscape")], "style: one of Baroque"),
        (
            [("style", "Baroque")],
            "genre: one of Landscape, Marine painting, or genre: one of Interior, and no century 20th century",
        ),
        (
            [("style", "Baroque"), ("genre", "Landscape"), ("nationality", "Japanese")],
            "excluded by continent Asia (nationality Japanese)",
        ),
    ],
)
def test_a_near_miss_says_the_one_thing_it_lacks(tiny, raw, lacks):
    assert image_near_misses(tiny, canonical_tags(tiny, raw, None)) == (NearMiss("Old views", lacks),)


@pytest.mark.parametrize(
    "raw",
    [
        [],  # nothing speaks for any label
        [("style", "Baroque"), ("nationality", "Japanese")],  # two things fail
        [("style", "Baroque"), ("genre", "Landscape")],  # a fit is no near miss
        [("nationality", "Italian")],  # not being from Asia alone does not speak for a view
    ],
)
def test_what_fails_twice_or_fits_is_no_near_miss(tiny, raw):
    assert image_near_misses(tiny, canonical_tags(tiny, raw, None)) == ()


def test_a_recording_fits_by_sub_genre_and_feature(tiny):
    tags = canonical_tags(tiny, [("sub_genre", "late"), ("music_feature", "religious")], None)
    evidence = "sub-genre Late (source); music feature Religious (source)"
    assert recording_fits(tiny, tags) == (Fit("Old views", "Late", "tiny/Old views/Late", evidence),)


def test_a_recording_may_fit_twice_within_a_label(tiny):
    raw = [("sub_genre", "Late"), ("sub_genre", "Early"), ("music_feature", "Chamber")]
    fits = recording_fits(tiny, canonical_tags(tiny, raw, None))
    assert [(fit.label, fit.sub_genre) for fit in fits] == [("Old views", "Early"), ("Old views", "Late")]


def test_the_order_of_sub_genres_in_the_file_does_not_matter(tiny, tmp_path):
    swapped = write(tmp_path, "labels.yaml", "Early: 6\n        Late: 4", "Late: 4\n        Early: 6")
    raw = [("sub_genre", "Late"), ("sub_genre", "Early")]
    assert outcome(rules.load(str(swapped)), raw) == outcome(tiny, raw)


@pytest.mark.parametrize("features", [[], [("music_feature", "unheard of")]])
def test_without_a_known_feature_every_label_of_the_sub_genre_fits(tiny, features):
    fits = recording_fits(tiny, canonical_tags(tiny, [("sub_genre", "Late"), *features], None))
    assert [fit.label for fit in fits] == ["Old views", "Posters"]
    assert {fit.evidence for fit in fits} == {
        "sub-genre Late (source); no music feature known, so each label of the sub-genre fits"
    }


@pytest.mark.parametrize(
    ("raw", "misses"),
    [
        (
            [("sub_genre", "Early"), ("music_feature", "Popular")],
            {"Old views": "music feature: one of Chamber, Religious"},
        ),
        ([("music_feature", "Popular")], {"Posters": "sub-genre: one of Late"}),
        ([("sub_genre", "Other"), ("music_feature", "Popular")], {}),
        ([("sub_genre", "Other")], {}),
        ([("sub_genre", "Late"), ("music_feature", "Chamber")], {"Posters": "music feature: one of Popular"}),
        ([], {}),
    ],
)
def test_a_recording_nearly_fits(tiny, raw, misses):
    found = recording_near_misses(tiny, canonical_tags(tiny, raw, None))
    assert {miss.label: miss.lacks for miss in found} == misses


@given(RAW_TAGS.flatmap(lambda raw: st.tuples(st.just(raw), st.permutations(raw))), YEARS)
def test_the_order_of_tags_never_matters(raws, year):
    raw, shuffled = raws
    assert canonical_tags(MUSEART, shuffled, year) == canonical_tags(MUSEART, raw, year)
    assert outcome(MUSEART, shuffled, year) == outcome(MUSEART, raw, year)


@given(RAW_TAGS, YEARS, st.sampled_from([*KINDS, "mood"]), NEVER_KNOWN)
def test_an_unknown_tag_changes_nothing(raw, year, kind, value):
    assert outcome(MUSEART, [*raw, (kind, value)], year) == outcome(MUSEART, raw, year)


@given(RAW_TAGS, YEARS)
def test_no_label_both_takes_an_item_and_nearly_takes_it(raw, year):
    fits, _, misses, _ = outcome(MUSEART, raw, year)
    assert {fit.label for fit in fits}.isdisjoint(miss.label for miss in misses)


@given(RAW_TAGS, YEARS)
def test_canonical_tags_are_a_fixed_point(raw, year):
    tags = canonical_tags(MUSEART, raw, year)
    again = canonical_tags(MUSEART, [(tag.kind, tag.value) for tag in tags], year)
    assert [(tag.kind, tag.value) for tag in again] == [(tag.kind, tag.value) for tag in tags]


@given(st.text())
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


def test_the_closest_spellings_come_first():
    assert closest("impresionism", ["Expressionism", "Impressionism", "Cubism"]) == ["Impressionism", "Expressionism"]
