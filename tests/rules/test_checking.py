"""Conditions and names that cannot be what anybody meant are refused at their line."""

import pytest

import rules
from tests.rules.tiny import mistakes, write

L = "labels.yaml"

# Where a clause of Posters stands, and where a condition on its music.
CLAUSE, MUSIC = "- genre: [Poster]", "features: [Popular]"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (CLAUSE, "- year: {min: 1900, max: 1800}", "26: year: expected min to be at most max (1800)"),
        (CLAUSE, "- year: {}", "26: year: an empty mapping: expected min, max or both"),
        (CLAUSE, "- year: 1900", "26: year: 1900: expected a mapping (lines of `key: value`)"),
        (CLAUSE, "- width_px: {mn: 800}", "26: mn: expected one of the keys min, max; did you mean min?"),
        (CLAUSE, "- width_px: {min: many}", "26: min: many: expected a number"),
        (CLAUSE, "- duration_s: {min: 60}", "26: duration_s: expected a condition on something else: only recordings"),
        (CLAUSE, "- sub_genre: [Late]", "26: sub_genre: expected a condition on something else: only recordings"),
        (CLAUSE, "- source: [WikiArt]", "26: WikiArt: expected small letters, digits, - and _"),
        (CLAUSE, "- source: wikiart", "26: source: wikiart: expected a list"),
        (CLAUSE, f"{CLAUSE}\n          min_confidence: 80", "27: min_confidence: 80: expected a number less than or"),
        (
            CLAUSE,
            "- year: {min: 1900}\n          min_confidence: 0.8",
            "26: any: expected min_confidence beside one of",
        ),
        (CLAUSE, "- min_confidence: 0.8", "26: any: expected exactly one of all, any, none, style,"),
        (
            MUSIC,
            f"{MUSIC}\n      none:\n        - height_px: {{max: 9}}",
            "31: height_px: expected a condition on something else: only pictures have it",
        ),
        (MUSIC, f"{MUSIC}\n      all: []", "30: all: an empty list: expected at least one entry"),
        (MUSIC, f"{MUSIC}\n      any:\n        - century: [21th century]", "31: 21th century: expected a century of"),
        ("size: 5", "size: 5\n    priority: high", "24: priority: high: expected a whole number"),
        ("size: 5", "size: 5\n    weight: 0", "24: weight: 0: expected a number greater than 0"),
        ("size: 5", "size: 5\n    renamed_from: Old views", "24: Old views: expected a name that no label has now"),
        ("size: 5", "size: 5\n    renamed_from: Posters", "24: Posters: expected a name that no label has now"),
        ("labels:", "retired_labels: [Fans, posters]\nlabels:", "1: posters: expected a name that no label has now"),
        ("labels:", "retired_labels: [Fans, Fans]\nlabels:", "1: Fans: expected each earlier name once"),
    ],
)
def test_a_wrong_condition_or_name_is_named(tmp_path, old, new, expected):
    (line,) = mistakes(write(tmp_path, L, old, new))
    assert line.startswith(f"{L}:{expected}")


def test_a_label_may_change_the_case_of_its_name(tmp_path):
    folder = write(tmp_path, L, "name: Posters", "name: Posters\n    renamed_from: posters")
    assert rules.load(str(folder)).labels[1].renamed_from == "posters"


def impossible(condition: str) -> str:
    """Return what takes the place of the picture condition of Posters, in lines from 25 on."""
    return "\n".join("      " + line for line in condition.splitlines()) + "\n"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            "all:\n  - genre: [Poster]\nnone:\n  - genre: [Poster, Landscape]",
            "26: genre: expected something that line 28 does not exclude: nothing fits",
        ),
        (
            "all:\n  - genre: [Poster]\n    min_confidence: 0.9\nnone:\n  - genre: [Poster]",
            "26: genre: expected something that line 29 does not exclude: nothing fits",
        ),
        (
            "any:\n  - genre: [Poster]\n  - source: [folder]\nnone:\n  - source: [folder, sample]\n  - genre: [Poster]",
            "25: any: expected a line that `none` does not exclude: nothing fits",
        ),
        (
            "all:\n  - year: {min: 1900, max: 1950}\nnone:\n  - year: {min: 1850}",
            "26: year: expected something that line 28 does not exclude: nothing fits",
        ),
        (
            "all:\n  - year: {max: 1900}\n  - genre: [Poster]\n  - year: {min: 1900.5}",
            "28: year: expected something that line 26 allows too: nothing fits both",
        ),
        (
            "all:\n  - source: [folder]\n  - source: [sample]",
            "27: source: expected something that line 26 allows too: nothing fits both",
        ),
        (
            "any:\n  - all:\n      - width_px: {min: 9}\n      - width_px: {max: 8}",
            "28: width_px: expected something that line 27 allows too: nothing fits both",
        ),
    ],
)
def test_a_rule_that_selects_nothing_is_refused(tmp_path, condition, expected):
    old = "      any:\n        - genre: [Poster]\n        - century: [21st century]\n"
    (line,) = mistakes(write(tmp_path, L, old, impossible(condition)))
    assert line == f"{L}:{expected}"


@pytest.mark.parametrize(
    "condition",
    [
        "all:\n  - genre: [Poster]\nnone:\n  - genre: [Landscape]",
        "all:\n  - genre: [Poster]\nnone:\n  - genre: [Poster]\n    min_confidence: 0.9",  # excludes only the sure ones
        "any:\n  - genre: [Poster]\n  - century: [21st century]\nnone:\n  - genre: [Poster]",
        "all:\n  - year: {max: 1900}\n  - year: {min: 1900}\nnone:\n  - year: {min: 1900.5}",
        "all:\n  - genre: [Poster]\n  - genre: [Landscape]",  # a picture may be both
        "all:\n  - source: [folder, sample]\n  - source: [sample]",
    ],
)
def test_a_rule_that_selects_little_is_a_rule(tmp_path, condition):
    old = "      any:\n        - genre: [Poster]\n        - century: [21st century]\n"
    assert rules.load(str(write(tmp_path, L, old, impossible(condition)))).label_names == ("Old views", "Posters")


def test_a_sub_genre_that_its_own_label_excludes_is_named(tmp_path):
    folder = write(tmp_path, L, MUSIC, f"{MUSIC}\n      none:\n        - sub_genre: [Late]")
    assert mistakes(folder) == [f"{L}:33: Late: expected a sub-genre that line 31 does not exclude"]
