"""Which labels take which tags, why, and what the others lack."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from rules.engine import (
    ORIGINS,
    Facts,
    Fit,
    NearMiss,
    Tag,
    Trial,
    canonical_tags,
    explain_image,
    explain_recording,
    image_fits,
    image_near_misses,
    recording_fits,
    recording_near_misses,
)
from rules.schema import KINDS, Condition, RuleSet
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
    return tuple(function(rule_set, Facts(tags)) for function in everything)


def known(rule_set, raw, year=None, **numbers):
    return Facts(canonical_tags(rule_set, raw, year), numbers)


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
    assert image_fits(tiny, Facts(tags)) == (Fit("Old views", None, "tiny/Old views", evidence),)


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
    assert [fit.label for fit in image_fits(tiny, known(tiny, raw))] == labels


def test_evidence_within_a_nested_condition_says_what_was_absent(tiny):
    tags = canonical_tags(tiny, [("style", "Baroque"), ("genre", "Interior")], None)
    (fit,) = image_fits(tiny, Facts(tags))
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
    assert image_near_misses(tiny, known(tiny, raw)) == (NearMiss("Old views", lacks),)


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
    assert image_near_misses(tiny, known(tiny, raw)) == ()


def test_a_recording_fits_by_sub_genre_and_feature(tiny):
    tags = canonical_tags(tiny, [("sub_genre", "late"), ("music_feature", "religious")], None)
    evidence = "sub-genre Late (source); music feature Religious (source)"
    assert recording_fits(tiny, Facts(tags)) == (Fit("Old views", "Late", "tiny/Old views/Late", evidence),)


def test_a_recording_may_fit_twice_within_a_label(tiny):
    raw = [("sub_genre", "Late"), ("sub_genre", "Early"), ("music_feature", "Chamber")]
    fits = recording_fits(tiny, known(tiny, raw))
    assert [(fit.label, fit.sub_genre) for fit in fits] == [("Old views", "Early"), ("Old views", "Late")]


def test_the_order_of_sub_genres_in_the_file_does_not_matter(tiny, tmp_path):
    swapped = write(tmp_path, "labels.yaml", "Early: 6\n        Late: 4", "Late: 4\n        Early: 6")
    raw = [("sub_genre", "Late"), ("sub_genre", "Early")]
    assert outcome(rules.load(str(swapped)), raw) == outcome(tiny, raw)


@pytest.mark.parametrize("features", [[], [("music_feature", "unheard of")]])
def test_without_a_known_feature_every_label_of_the_sub_genre_fits(tiny, features):
    fits = recording_fits(tiny, known(tiny, [("sub_genre", "Late"), *features]))
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
    found = recording_near_misses(tiny, known(tiny, raw))
    assert {miss.label: miss.lacks for miss in found} == misses


PORTRAIT = {"genre": ["Portrait"]}


def made(*images, music=(), **more):
    """Make a rule set of labels A, B, ... from the conditions of their pictures, and of their music."""
    labels = [
        {
            "name": name,
            "size": 1,
            "image": {"all": [image]},
            "music": {"features": ["Popular"], "sub_genres": {"Song": 1}, **dict(music)},
        }
        for name, image in zip("ABC", images or [PORTRAIT], strict=False)
    ]
    for label, priority in zip(labels, more.pop("priorities", ()), strict=False):
        label["priority"] = priority
    genres = {"Portrait": {"implies": {"style": "Flat"}}, "Landscape": None}
    vocabulary = {
        "style": {"Flat": None, "Round": None},
        "genre": genres,
        "century": {"19th century": {"years": (1801, 1900)}},
        "sub_genre": {"Song": None, "Hum": None},
        "music_feature": {"Popular": None},
    }
    return RuleSet.model_validate(
        {"name": "made", "title": "Made", "seed": 1, "labels": labels, "vocabulary": vocabulary, **more}
    )


def labels_of(rule_set, *tags, source=None, **numbers):
    return [fit.label for fit in image_fits(rule_set, Facts(tags, numbers, source))]


@pytest.mark.parametrize(("stronger", "weaker"), list(zip(ORIGINS, ORIGINS[1:], strict=False)))
def test_an_origin_speaks_only_for_kinds_of_which_no_stronger_one_gave_a_known_word(stronger, weaker):
    said = [
        Tag("genre", "portrait", weaker),
        Tag("sub_genre", "hum", f"{weaker} and more"),
        Tag("genre", "landscape", stronger),
    ]
    assert canonical_tags(made(), [], None, said) == (
        Tag("genre", "Landscape", stronger),
        Tag("sub_genre", "Hum", f"{weaker} and more"),
    )


def test_what_follows_from_a_weaker_origin_does_not_speak_against_a_stronger_one():
    tags = canonical_tags(made(), [("style", "Round")], None, [Tag("genre", "Portrait", "artists")])
    assert {(tag.kind, tag.value) for tag in tags} == {("style", "Round"), ("genre", "Portrait")}


def test_a_word_that_nobody_knows_silences_nobody_but_under_an_override():
    unknown, known = ("genre", "mood"), Tag("genre", "Portrait", "title")
    assert known in canonical_tags(made(), [unknown], None, [known])
    assert canonical_tags(made(), [("genre", "Landscape")], None, [Tag(*unknown, "override")]) == (
        Tag("genre", "mood", "override"),
    )


def test_the_surest_of_equal_tags_stays_and_what_follows_is_as_sure():
    said = [Tag("genre", "Portrait", "model a", 0.6), Tag("genre", "portrait", "model b", 0.9)]
    assert canonical_tags(made(), [], None, said) == (
        Tag("style", "Flat", "genre Portrait", 0.9),
        Tag("genre", "Portrait", "model b", 0.9),
    )


@pytest.mark.parametrize(("confidence", "labels"), [(0.49, []), (0.5, ["A"]), (0.79, ["A"]), (0.8, ["A", "B"])])
def test_a_tag_counts_from_the_floor_of_its_clause_or_else_of_the_rule_set(confidence, labels):
    rule_set = made(PORTRAIT, {**PORTRAIT, "min_confidence": 0.8})
    assert labels_of(rule_set, Tag("genre", "Portrait", "model m", confidence)) == labels


def test_evidence_names_the_floor_that_a_tag_reached_and_not_its_confidence():
    rule_set = made(PORTRAIT, {**PORTRAIT, "min_confidence": 0.8}, min_confidence=0.25)
    fits = image_fits(rule_set, Facts((Tag("genre", "Portrait", "model m", 0.93),)))
    assert [fit.evidence for fit in fits] == [
        "genre Portrait (model m, confidence at least 0.25)",
        "genre Portrait (model m, confidence at least 0.8)",
    ]


@pytest.mark.parametrize(
    ("limits", "year", "evidence"),
    [
        ({"min": 1850, "max": 1900}, 1850, "year 1850 to 1900"),
        ({"min": 1850, "max": 1900}, 1900, "year 1850 to 1900"),
        ({"min": 1850, "max": 1900}, 1849, None),
        ({"min": 1850, "max": 1900}, 1901, None),
        ({"min": 1850}, 2100, "year at least 1850"),
        ({"max": 1900}, -5, "year at most 1900"),
    ],
)
def test_a_range_holds_its_ends_and_evidence_names_it(limits, year, evidence):
    fits = image_fits(made({"year": limits}), Facts((), {"year": year}))
    assert [fit.evidence for fit in fits] == ([evidence] if evidence else [])


@pytest.mark.parametrize("condition", [{"year": {"max": 3000}}, {"source": ["folder"]}])
def test_what_is_unknown_satisfies_nothing(condition):
    assert labels_of(made(condition)) == []
    assert labels_of(made({"none": [condition]})) == ["A"]


def test_a_source_is_one_of_those_named():
    rule_set = made({"source": ["folder", "sample"]}, {"none": [{"source": ["sample"]}]})
    (fit,) = image_fits(rule_set, Facts((), {}, "sample"))
    assert (fit.label, fit.evidence) == ("A", "source sample")
    (fit,) = image_fits(rule_set, Facts((), {}, "wikiart"))
    assert (fit.label, fit.evidence) == ("B", "no source sample")


def test_numbers_alone_speak_for_no_label():
    rule_set = made(PORTRAIT, {"width_px": {"min": 800}})
    steps = rule_set.labels[0].image.all + rule_set.labels[1].image.all
    both = rule_set.labels[0].model_copy(update={"image": Condition(all=steps)})
    rule_set = rule_set.model_copy(update={"labels": (both,)})
    large, portrait = Facts((), {"width_px": 900}), Facts((Tag("genre", "Portrait", "source"),), {"width_px": 700})
    assert image_near_misses(rule_set, large) == ()
    assert image_near_misses(rule_set, portrait) == (NearMiss("A", "width_px at least 800"),)


SONG = Tag("sub_genre", "Song", "source")


@pytest.mark.parametrize(
    ("duration_s", "evidence", "lacks"),
    [
        (60, "sub-genre Song (source); no music feature known, so each label of the sub-genre fits; {}", None),
        (59, None, "duration_s at least 60"),
    ],
)
def test_music_may_have_a_condition_of_its_own(duration_s, evidence, lacks):
    rule_set = made(PORTRAIT, music={"all": [{"duration_s": {"min": 60}}]})
    facts = Facts((SONG,), {"duration_s": duration_s})
    written = [fit.evidence for fit in recording_fits(rule_set, facts)]
    assert written == ([evidence.format("duration_s at least 60")] if evidence else [])
    assert recording_near_misses(rule_set, facts) == ((NearMiss("A", lacks),) if lacks else ())


def test_an_item_fits_only_the_labels_of_the_highest_priority_that_take_it():
    portrait = Tag("genre", "Portrait", "source")
    rule_set = made(PORTRAIT, PORTRAIT, {"genre": ["Landscape"]}, priorities=(0, 1, 2))
    assert labels_of(rule_set, portrait) == ["B"]
    assert image_near_misses(rule_set, Facts((portrait,))) == ()
    assert [fit.label for fit in recording_fits(rule_set, Facts((SONG,)))] == ["C"]


def test_a_trial_says_of_every_label_what_held_and_what_did_not():
    rule_set = made(PORTRAIT, PORTRAIT, {"genre": ["Landscape"]}, priorities=(0, 1, 2))
    assert explain_image(rule_set, Facts((Tag("genre", "Portrait", "source"),))) == (
        Trial("A", False, (("genre Portrait (source)", True), ("priority 0: B with 1 comes first", False))),
        Trial("B", True, (("genre Portrait (source)", True),)),
        Trial("C", False, (("genre: one of Landscape", False),)),
    )


def test_a_trial_of_a_recording_has_its_sub_genre_feature_and_condition():
    rule_set = made(PORTRAIT, music={"none": [{"loudness_lufs": {"max": -30}}]})
    facts = Facts((SONG, Tag("music_feature", "Popular", "title", 0.4)), {"loudness_lufs": -31.5})
    assert explain_recording(rule_set, facts) == (
        Trial(
            "A",
            False,
            (
                ("sub-genre Song (source)", True),
                ("no music feature known, so each label of the sub-genre fits", True),
                ("excluded by loudness_lufs at most -30", False),
            ),
        ),
    )


DERIVED = st.lists(
    st.builds(
        lambda word, origin, confidence: Tag(*word, origin, confidence),
        st.sampled_from(WORDS),
        st.sampled_from([origin for origin in ORIGINS if origin != "year"]),
        st.sampled_from([0.3, 0.5, 0.9, 1.0]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(RAW_TAGS, YEARS, DERIVED.flatmap(lambda tags: st.tuples(st.just(tags), st.permutations(tags))))
def test_the_order_of_derived_tags_never_matters(raw, year, derived):
    tags, shuffled = derived
    assert canonical_tags(MUSEART, raw, year, tags) == canonical_tags(MUSEART, raw, year, shuffled)


@settings(deadline=None)
@given(RAW_TAGS, YEARS, DERIVED)
def test_a_trial_holds_where_a_label_fits(raw, year, derived):
    facts = Facts(canonical_tags(MUSEART, raw, year, derived))
    trials = explain_image(MUSEART, facts) + explain_recording(MUSEART, facts)
    fits = [*image_fits(MUSEART, facts), *dict.fromkeys(fit.label for fit in recording_fits(MUSEART, facts))]
    assert [trial.label for trial in trials if trial.holds] == [getattr(fit, "label", fit) for fit in fits]


@settings(deadline=None)
@given(RAW_TAGS, YEARS, st.lists(st.integers(-1, 2), min_size=18, max_size=18))
def test_priorities_only_take_labels_away_and_leave_the_highest(raw, year, priorities):
    labels = zip(MUSEART.labels, priorities, strict=True)
    ranked = MUSEART.model_copy(
        update={"labels": tuple(label.model_copy(update={"priority": rank}) for label, rank in labels)}
    )
    facts = known(MUSEART, raw, year)
    all_fits, rank_of = image_fits(MUSEART, facts), {label.name: label.priority for label in ranked.labels}
    highest = max((rank_of[fit.label] for fit in all_fits), default=0)
    assert image_fits(ranked, facts) == tuple(fit for fit in all_fits if rank_of[fit.label] == highest)


@settings(deadline=None)
@given(RAW_TAGS.flatmap(lambda raw: st.tuples(st.just(raw), st.permutations(raw))), YEARS)
def test_the_order_of_tags_never_matters(raws, year):
    raw, shuffled = raws
    assert canonical_tags(MUSEART, shuffled, year) == canonical_tags(MUSEART, raw, year)
    assert outcome(MUSEART, shuffled, year) == outcome(MUSEART, raw, year)


@settings(deadline=None)
@given(RAW_TAGS, YEARS, st.sampled_from([*KINDS, "mood"]), NEVER_KNOWN)
def test_an_unknown_tag_changes_nothing(raw, year, kind, value):
    assert outcome(MUSEART, [*raw, (kind, value)], year) == outcome(MUSEART, raw, year)


@settings(deadline=None)
@given(RAW_TAGS, YEARS)
def test_no_label_both_takes_an_item_and_nearly_takes_it(raw, year):
    fits, _, misses, _ = outcome(MUSEART, raw, year)
    assert {fit.label for fit in fits}.isdisjoint(miss.label for miss in misses)


@settings(deadline=None)
@given(RAW_TAGS, YEARS)
def test_canonical_tags_are_a_fixed_point(raw, year):
    tags = canonical_tags(MUSEART, raw, year)
    again = canonical_tags(MUSEART, [(tag.kind, tag.value) for tag in tags], year)
    assert [(tag.kind, tag.value) for tag in again] == [(tag.kind, tag.value) for tag in tags]


@settings(deadline=None)
@given(st.text())
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


def test_the_closest_spellings_come_first():
    assert closest("impresionism", ["Expressionism", "Impressionism", "Cubism"]) == ["Impressionism", "Expressionism"]
