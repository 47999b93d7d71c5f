import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.works import are_details, simplified, works_of


def strings(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Caf\u00e9  Terrace,\tat Night!", "cafe terrace at night"),
        ("STRASSE", "strasse"),
        ("Stra\u00dfe", "strasse"),
        ("\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3", "\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c3"),
    ],
)
def test_case_accents_and_marks_do_not_tell_works_apart(text, plain):
    assert simplified(strings(text)).to_pylist() == [plain]


@given(st.lists(st.text(st.characters(max_codepoint=0x24F)) | st.none(), max_size=5))
def test_a_column_is_simplified_as_single_texts_are(texts):
    def plain(text: str) -> str:
        bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
        return " ".join("".join(c if c.isalnum() else " " for c in bare).split())

    assert simplified(strings(*texts)).to_pylist() == [None if text is None else plain(text) for text in texts]


@pytest.mark.parametrize(
    ("title", "detail"),
    [
        ("Lake (detail)", True),
        ("Lake (landscape detail)", True),
        ("Lake [Detail]", True),
        ("Lake, detail", True),
        ("Attention to Detail", False),
        ("Lake (details of a life)", False),
        ("", False),
        (None, False),
    ],
)
def test_title_says_whether_it_is_a_detail(title, detail):
    assert are_details(strings(title)).to_pylist() == [detail]


@pytest.mark.parametrize(
    ("creator", "title", "work"),
    [
        ("Zo\u00eb", "The Lake (detail)", "zoe / the lake"),
        ("Zo\u00eb", "The lake", "zoe / the lake"),
        (None, "The lake", None),
        ("Zo\u00eb", None, None),
        ("Zo\u00eb", "(detail)", None),
        ("Zo\u00eb", "Untitled 12", None),
        ("Unknown master", "The lake", None),
        ("---", "Lake", None),
    ],
)
def test_work_is_told_by_creator_and_title(creator, title, work):
    assert works_of(strings(creator, creator), strings("Mill", title)).to_pylist()[1] == work
