"""What a curator may write about single items, and what is refused, at its line."""

from pathlib import Path

import pytest

import rules
from rules.errors import ConfigurationError
from rules.overrides import Override
from rules.reading import MAX_BYTES
from tests.rules.tiny import mistakes, write

HEAD = "item,label,reject,tags,duplicate_of,reason,date\n"
SAME_AS_CSV = """\
overrides:
  - {item: "s:a", label: posters, reason: seen, date: 2026-03-01}
  - {item: "s:b", reject: yes, reason: "blurred, alas", date: 2026-03-02}
  - item: 0123456789ab
    tags: {genre: [Marina, poster], style: cubism}
    reason: looked
    date: 2026-03-03
  - {item: "s:c:d", duplicate_of: "s:a", reason: same, date: 2026-03-04}
"""
CSV = (
    HEAD
    + """\
# a comment with a "quote
s:a,posters,,,,seen,2026-03-01
s:b,,Yes,,,"blurred, alas",2026-03-02

0123456789AB,,,genre=Marina; style = cubism ;genre=poster;,,looked,2026-03-03
s:c:d,,,,s:a,same,2026-03-04
"""
)


def with_overrides(folder: Path, text: str, name: str = "overrides.csv") -> Path:
    (write(folder) / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "text"), [("overrides.csv", CSV), ("overrides.yaml", SAME_AS_CSV)])
def test_both_files_say_the_same(tmp_path, name, text):
    found = rules.load(str(with_overrides(tmp_path, text, name))).overrides.entries
    assert [entry.model_dump(exclude_defaults=True) for entry in found] == [
        {
            "item": "0123456789ab",
            "tags": (("genre", "Marine painting"), ("genre", "Poster"), ("style", "Cubism")),
            "reason": "looked",
            "date": "2026-03-03",
        },
        {"item": "s:a", "label": "Posters", "reason": "seen", "date": "2026-03-01"},
        {"item": "s:b", "reject": True, "reason": "blurred, alas", "date": "2026-03-02"},
        {"item": "s:c:d", "duplicate_of": "s:a", "reason": "same", "date": "2026-03-04"},
    ]
    assert [entry.action for entry in found] == ["tags", "label", "reject", "duplicate_of"]


def test_an_override_says_why_and_when():
    assert Override(item="s:a", reject=True, reason="blurred", date="2026-03-01").why == (
        "override of 2026-03-01: blurred"
    )


@pytest.mark.parametrize(
    ("written", "label", "sub_genre"),
    [
        ("old views / early", "Old views", "Early"),
        ("Old views/Late", "Old views", "Late"),
        ("POSTERS", "Posters", None),
    ],
)
def test_a_recording_may_get_a_sub_genre_too(tmp_path, written, label, sub_genre):
    (entry,) = rules.load(str(with_overrides(tmp_path, f"{HEAD}s:a,{written},,,,x,2026-01-01\n"))).overrides.entries
    assert (entry.label, entry.sub_genre) == (label, sub_genre)


def test_overrides_count_in_the_digest_but_not_their_lines(tmp_path):
    plain = rules.load(str(write(tmp_path / "a"))).digest
    csv = rules.load(str(with_overrides(tmp_path / "b", CSV))).digest
    assert csv == rules.load(str(with_overrides(tmp_path / "c", "# more\n\n" + CSV))).digest
    assert csv == rules.load(str(with_overrides(tmp_path / "d", SAME_AS_CSV, "overrides.yaml"))).digest
    assert csv != plain


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("s:a,Poster,,,,x,2026-01-01", "Poster: expected a label of labels.yaml; did you mean Posters?"),
        ("s:a,Posters / Early,,,,x,2026-01-01", "Early: expected a sub-genre of Posters: Late"),
        ("s:a,,no,,,x,2026-01-01", "reject: no: expected yes, or nothing"),
        (
            "s:a,,,genre=Postr,,x,2026-01-01",
            "Postr: expected a genre of vocabulary.yaml; did you mean Poster?",
        ),
        (
            "s:a,,,genr=Poster,,x,2026-01-01",
            "genr: expected one of the kinds century, continent, genre, music_feature, nationality, style, sub_genre; "
            "did you mean genre or sub_genre?",
        ),
        ("s:a,,,;,,x,2026-01-01", "s:a: nothing to do: expected exactly one of label, reject, tags, duplicate_of"),
        ("s:a,Posters,,,,x,2026-02-30", "date: 2026-02-30: expected a day as YYYY-MM-DD"),
        ("s:a,Posters,,,,x,20260201", "date: 20260201: expected a day as YYYY-MM-DD"),
        ("s:a,Posters,,,,x,", "s:a: no date: expected a date"),
        ("s:a,Posters,,,,,2026-01-01", "s:a: no reason: expected a reason"),
        (",Posters,,,,x,2026-01-01", "override: no item: expected an item"),
        ("s:a,,,,,x,2026-01-01", "s:a: nothing to do: expected exactly one of label, reject, tags, duplicate_of"),
        (
            "s:a,Posters,yes,,,x,2026-01-01",
            "s:a: label and reject: expected exactly one of label, reject, tags, duplicate_of",
        ),
        (
            "0123456789a,Posters,,,,x,2026-01-01",
            "item: 0123456789a: expected source:source_id, or a sha256 or its first 12 digits or more",
        ),
        (
            "s:a,,,,b,x,2026-01-01",
            "duplicate_of: b: expected source:source_id, or a sha256 or its first 12 digits or more",
        ),
        ("s:a,,,,s:a,x,2026-01-01", "s:a: expected one item to stay, not a circle: s:a -> s:a"),
        ("s:a,Posters,x,2026-01-01", "4 cells: expected 7, as in the first line; quote a comma"),
        ("s:a,Posters,,,,x\x07y,2026-01-01", "character U+0007: expected printable text on one line"),
        ("s:a,Posters,,,,\tx,2026-01-01", "s:a,Posters,,,, x,2026-01-01: expected spaces, not tabs"),
        (
            's:a,Posters,,,,"x,2026-01-01',
            "from here on: expected CSV with commas and closed quotes (unexpected end of data)",
        ),
    ],
)
def test_a_mistake_is_named_at_its_line(tmp_path, row, expected):
    assert mistakes(with_overrides(tmp_path, f"{HEAD}{row}\n"))[:1] == [f"overrides.csv:2: {expected}"]


@pytest.mark.parametrize(
    ("first", "second", "contradicts"),
    [
        ("Posters,,,,", "Old views,,,,", "label: expected nothing that contradicts label by line 2"),
        ("Posters,,,,", ",yes,,,", "reject: expected nothing that contradicts label by line 2"),
        (",yes,,,", ",,,s:b,", "duplicate_of: expected nothing that contradicts reject by line 2"),
        (",,genre=Poster,,", ",,genre=Interior,,", "tags: expected nothing that contradicts tags by line 2"),
        (",,genre=Poster,,", ",,style=Cubism,,", None),
        (",,genre=Poster,,", "Posters,,,,", None),
    ],
)
def test_overrides_of_one_item_must_agree(tmp_path, first, second, contradicts):
    folder = with_overrides(tmp_path, f"{HEAD}s:a,{first}x,2026-01-01\ns:a,{second}x,2026-01-02\n")
    if contradicts:
        assert mistakes(folder) == [f"overrides.csv:3: s:a: {contradicts}"]
    else:
        assert len(rules.load(str(folder)).overrides.entries) == 2


def test_a_circle_of_duplicates_is_named_whole(tmp_path):
    rows = "".join(f"s:{a},,,,s:{b},x,2026-01-01\n" for a, b in ("ab", "bc", "ca", "da"))
    assert mistakes(with_overrides(tmp_path, HEAD + rows)) == [
        "overrides.csv:2: s:a: expected one item to stay, not a circle: s:a -> s:b -> s:c -> s:a"
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "item,lable,reason,date",
            "lable: expected one of the columns item, label, reject, tags, duplicate_of, reason, date; "
            "did you mean label?",
        ),
        ("item,label,date", "no reason: expected a column reason"),
        ("item,label,label,reason,date", "label: expected each column once"),
    ],
)
def test_wrong_columns_are_named(tmp_path, header, expected):
    assert mistakes(with_overrides(tmp_path, f"{header}\ns:a,Posters,x,2026-01-01\n"))[:1] == [
        f"overrides.csv:1: {expected}"
    ]


def test_an_empty_file_lacks_its_columns(tmp_path):
    assert mistakes(with_overrides(tmp_path, "# nothing yet\n")) == [
        "overrides.csv:1: nothing: expected a first line with the columns "
        "item, label, reject, tags, duplicate_of, reason, date"
    ]


def test_two_files_of_overrides_are_refused(tmp_path):
    (write(tmp_path) / "overrides.csv").write_text(HEAD)
    (tmp_path / "overrides.yaml").write_text("overrides: []\n")
    assert mistakes(tmp_path) == [
        "overrides.yaml:1: overrides.yaml: expected one file of overrides: overrides.csv is there too"
    ]


def test_a_huge_file_is_refused(tmp_path):
    found = mistakes(with_overrides(tmp_path, HEAD + "#" * 10_000_000))
    assert found == [f"overrides.csv:1: more than {MAX_BYTES:,} bytes: expected at most {MAX_BYTES:,} bytes"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("overrides:\n\t- x\n", "2: - x: expected spaces, not tabs"),
        ("override: []\n", "1: override: expected the one key overrides"),
        ("overrides: x\n", "1: overrides: expected a list, each entry with item, reason, date and what to do"),
        (
            "overrides:\n  - x\n",
            "2: an entry: expected keys of item, label, reject, tags, duplicate_of, reason, date",
        ),
        (
            "overrides:\n  - {item: 123456789012, reject: yes, reason: x, date: 2026-01-01}\n",
            "2: item: 123456789012: expected a text (in quotes if it looks like a number)",
        ),
        (
            "overrides:\n  - {item: 's:a', rejct: yes, reject: yes, reason: x, date: 2026-01-01}\n",
            "2: rejct: expected one of the keys item, label, reject, tags, duplicate_of, reason, date; "
            "did you mean reject?",
        ),
        (
            "overrides:\n  - {item: 's:a', tags: Poster, reason: x, date: 2026-01-01}\n",
            "2: tags: expected a mapping of kinds, each with a word or a list of words",
        ),
        (
            "overrides:\n  - {item: 's:a', tags: {genre: 7}, reason: x, date: 2026-01-01}\n",
            "2: genre: 7: expected a word or a list of words",
        ),
        (
            'overrides:\n  - {item: "s:a", reject: yes, reason: "x\\ny", date: 2026-01-01}\n',
            "2: reason: x y: expected printable text on one line",
        ),
    ],
)
def test_a_mistake_in_yaml_is_named_at_its_line(tmp_path, text, expected):
    assert f"overrides.yaml:{expected}" in mistakes(with_overrides(tmp_path, text, "overrides.yaml"))


def test_every_mistake_is_reported_at_once(tmp_path):
    folder = with_overrides(tmp_path, f"{HEAD}s:a,Poster,,,,,2026-01-01\ns:b,,maybe,,,x,soon\n")
    with pytest.raises(ConfigurationError) as refusal:
        rules.load(str(folder))
    assert [line.partition(": ")[0].rpartition(":")[2] for line in str(refusal.value).splitlines()] == list("2233")
