"""What of YAML is read, and what is refused at its line."""

import re

import pytest

import rules
from rules.reading import MAX_BYTES, MAX_DEPTH
from tests.rules.tiny import TINY, mistakes, write

L, S, V = "labels.yaml", "settings.yaml", "vocabulary.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            S,
            "title: A tiny",
            "title: !!python/name:os.system A",
            "2: tag:yaml.org,2002:python/name:os.system: expected no YAML tag",
        ),
        (S, "seed: 1", "seed: &a 1", "3: &a: expected no YAML anchor"),
        (L, "Late: 5", "Late: 5\n        Late: 4", "32: Late: expected each key once: it stands on line 31 already"),
        (S, "seed: 1", "seed: 1\nseed: 1", "4: seed: expected each key once: it stands on line 3 already"),
        (S, "seed: 1", "seed:\t1", "3: seed: 1: expected spaces, not tabs"),
        (S, "seed: 1", "seed: 1\n---\nseed: 2", "4: ---: expected one document in a file"),
        (S, "title: A tiny", "title: 'A tiny", "13: end of the file: expected YAML"),
        (S, "seed: 1", "seed: [1}", "3: seed: [1}: expected YAML"),
        (S, "seed: 1", "seed: 1\n? [a]\n: 2", "4: a list, mapping or alias as a key: expected a word as a key"),
        (S, "seed: 1", "seed: 1 # \x07", "3: character U+0007: expected printable text"),
    ],
)
def test_yaml_that_surprises_is_refused(tmp_path, file, old, new, expected):
    (line,) = mistakes(write(tmp_path, file, old, new))
    assert line.startswith(f"{file}:{expected}")


def test_an_alias_is_refused(tmp_path):
    found = mistakes(write(tmp_path, L, "size: 5", "size: *a"))
    assert found[0] == "labels.yaml:23: *a: expected the value itself: YAML aliases are not read"


@pytest.mark.parametrize("name", TINY)
def test_a_missing_file_is_named(tmp_path, name):
    (write(tmp_path) / name).unlink()
    assert mistakes(tmp_path) == [f"{name}:1: no such file: expected a file {name} in every rule set"]


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("- a\n- b\n", "a list"), ("# a\nword\n", "'word'")])
def test_a_file_must_be_a_mapping(tmp_path, name, text, found):
    (write(tmp_path) / name).write_text(text)
    (line,) = mistakes(tmp_path)
    assert re.fullmatch(rf"{name}:[12]: {found}: expected a mapping .*", line)


def test_a_large_file_is_refused(tmp_path):
    (write(tmp_path) / V).write_text("# " + "x" * MAX_BYTES)
    assert mistakes(tmp_path) == ["vocabulary.yaml:1: more than 1,000,000 bytes: expected at most 1,000,000 bytes"]


def test_bytes_that_are_no_text_are_refused_at_their_line(tmp_path):
    (write(tmp_path) / S).write_bytes(b"name: tiny\ntitle: \xff\n")
    assert mistakes(tmp_path) == ["settings.yaml:2: byte 0xff: expected text in UTF-8"]


def test_a_bomb_of_brackets_is_refused(tmp_path):
    (write(tmp_path) / S).write_text("name: " + "[" * 900_000)
    assert mistakes(tmp_path) == [
        f"settings.yaml:1: level {MAX_DEPTH + 1}: expected at most {MAX_DEPTH} levels of nesting"
    ]


@pytest.mark.parametrize("word", ["no", "yes", "on", "1_000", "1:30", "2001-01-01"])
def test_words_are_not_read_as_yaml_types(tmp_path, word):
    assert rules.load(str(write(tmp_path, S, "A tiny rule set", word))).title == word


def test_a_number_in_quotes_is_a_text(tmp_path):
    assert rules.load(str(write(tmp_path, S, "A tiny rule set", '"1970"'))).title == "1970"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (write(tmp_path) / S).write_bytes(b"\xef\xbb\xbf" + TINY[S].encode())
    assert rules.load(str(tmp_path)).name == "tiny"
