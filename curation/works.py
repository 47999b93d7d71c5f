"""What tells one work from another: creator and title, simplified, a column at a time."""

import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import flat

_DETAIL = r"(?i)\(([^()]*\s)?detail\)|\[([^\[\]]*\s)?detail\]|,\s*detail$"

# Words that stand where nobody knew better, simplified: they tie no two works together.
_NOBODY = r"^(unknown|anonymous|anonym|anon|various|various artists|unknown artist|n a)( .*)?$"
_NO_TITLE = r"^(untitled|unknown|no title|sans titre|ohne titel|senza titolo|sin titulo|track|n a)( \d+)?$"


def simplified(texts: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return the letters and digits of each text, without case, accents and repeated spaces."""
    encoded = flat(texts).dictionary_encode()
    plain = encoded.dictionary
    if not pc.all(pc.string_is_ascii(plain)).as_py():
        plain = pc.replace_substring_regex(pc.utf8_normalize(plain, form="NFKD"), pattern=r"\p{M}+", replacement="")
    plain = pc.utf8_lower(plain)
    for written, folded in (("\u00df", "ss"), ("\u03c2", "\u03c3")):  # the two that case folding changes further
        plain = pc.replace_substring(plain, pattern=written, replacement=folded)
    plain = pc.replace_substring_regex(plain, pattern=r"[^\pL\pN]+", replacement=" ")
    return pc.utf8_trim(plain, characters=" ").take(encoded.indices)


def works_of(creators: pa.ChunkedArray | pa.Array, titles: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return "creator / title", simplified: what tells one work from another; null where they do not tell."""
    titles, details = flat(titles), are_details(titles)
    of_details = pc.replace_substring_regex(titles.filter(details), pattern=_DETAIL, replacement="")
    who, what = simplified(creators), simplified(pc.replace_with_mask(titles, details, of_details))
    who = pc.if_else(_tells(who, _NOBODY), who, None)
    what = pc.if_else(_tells(what, _NO_TITLE), what, None)
    return pc.binary_join_element_wise(who, what, " / ")


def are_details(titles: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Say which titles call the picture a detail of a work."""
    return pc.fill_null(pc.match_substring_regex(flat(titles), _DETAIL), False)


def _tells(texts: pa.Array, empty_words: str) -> pa.Array:
    return pc.and_(pc.not_equal(texts, ""), pc.invert(pc.match_substring_regex(texts, empty_words)))
