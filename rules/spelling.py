"""When two spellings are the same word."""

import difflib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=1 << 16)  # items and rules say the same words over and over
def fold(text: str) -> str:
    """Return what spellings of one word have in common.

    Case, accents, surplus spaces and punctuation do not count: "Naïve Art (Primitivism)" and "naive_art-primitivism",
    or "19th – 20th c." and "19th-20th c.", are the same.
    """
    bare = (c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in bare).split())


def tidy(text: str) -> str:
    """Return a text that a curator may use as a name.

    Raises:
        ValueError: it is none, said in words that follow "expected".
    """
    if text != " ".join(text.split()) or not text.isprintable() or not fold(text):
        raise ValueError("letters or digits on one line, without spaces around or doubled inside")
    return text


def closest(text: str, choices: Iterable[str]) -> list[str]:
    """Return at most three of the choices that look like the text, the most alike first."""
    folded = {fold(choice): choice for choice in sorted(choices, reverse=True)}
    return [folded[match] for match in difflib.get_close_matches(fold(text), folded, n=3, cutoff=0.6)]
