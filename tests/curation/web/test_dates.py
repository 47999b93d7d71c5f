from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.web.dates import date, retry_after_s

NOW = datetime(2026, 11, 22, 7, 43, 40, tzinfo=UTC)
WILD_DATES = [
    "Mon, 01 Jan 2025 00:00:00 +9999999999999999999999",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Wed, 99 Jan",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "9" * 5000 + " Jan 2025 00:00:00 GMT",
    ",",
    "\ud83d",
]


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        *(("120", 120.0), (" 0 ", 0.0), ("9" * 400, 999_999_999.0)),
        *(("Sun, 22 Nov 2026 07:44:20 GMT", 40.0), ("Sun, 22 Nov 2026 07:44:20 -0000", 40.0)),
        *(("Sunday, 22-Nov-26 07:44:20 GMT", 40.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)),
        *((text, None) for text in ("", "soon", "-5", "1.5", "²", "٣", "Wed, 99 Jan")),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(text, expected_s):
    assert retry_after_s(text, NOW) == expected_s


@pytest.mark.parametrize("text", WILD_DATES)
def test_no_wild_date_breaks_the_reading(text):
    date(text)
    retry_after_s(text, date(text) or NOW)


@given(
    st.text()
    | st.builds(
        "{}, {} {} {} {}:{}:{} {}".format,
        *(st.sampled_from(["Mon", "Monday", ""]), st.integers(), st.sampled_from(["Jan", "Foo"]), st.integers()),
        *(st.integers(), st.integers(), st.integers(), st.sampled_from(["GMT", "-0000"]) | st.integers().map(str)),
    )
)
def test_no_text_breaks_the_reading(text):
    seconds = retry_after_s(text, NOW)
    assert seconds is None or seconds >= 0
    assert (date(text) is None) or date(text).tzinfo
