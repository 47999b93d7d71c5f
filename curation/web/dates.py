"""Dates and durations of HTTP headers, which may hold anything; light, so that every client can read them alike."""

import email.utils
from datetime import UTC, datetime


def date(text: str) -> datetime | None:
    """Return the time that an HTTP date names, None if it names none."""
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)  # "-0000" is UTC too


def retry_after_s(text: str, now: datetime) -> float | None:
    """Return for how long a Retry-After asks, None if it does not say.

    Args:
        now: what the clock of the server shows: the answer's own Date, where it has one.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = date(text)
    return None if until is None else max(0.0, (until - now).total_seconds())
