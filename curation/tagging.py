"""From the words of a source to the labels that fit: the rules run once for each distinct combination of tags."""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rules import engine
from rules.engine import Fit, NearMiss
from rules.schema import RuleSet

# Control characters cannot occur in a tag: sources strip them.
_KIND, _TAG, _YEAR = "\x1f", "\x1e", "\x1d"

_DETAIL = re.compile(r"\(([^()]*\s)?detail\)|\[([^\[\]]*\s)?detail\]|,\s*detail$", re.IGNORECASE)

# Words that stand where nobody knew better, simplified: they tie no two works together.
_NOBODY = re.compile(r"(unknown|anonymous|anonym|anon|various|various artists|unknown artist|n a)( .*)?")
_NO_TITLE = re.compile(r"(untitled|unknown|no title|sans titre|ohne titel|senza titolo|sin titulo|track|n a)( \d+)?")


@dataclass(frozen=True, slots=True)
class Fitting:
    """What the rules say of a table of items.

    Attributes:
        combination: int64, shape (n_items,): index into the three lists.
        fits: for each combination of tags, the labels that fit.
        near_misses: for each combination that fits nowhere, the labels that lack one clause.
        features: for each combination, the canonical music features.
        tags: for each combination, its canonical tags in words.
    """

    combination: npt.NDArray[np.int64]
    fits: list[tuple[Fit, ...]]
    near_misses: list[tuple[NearMiss, ...]]
    features: list[list[str]]
    tags: list[str]

    def of(self, row: int) -> tuple[Fit, ...]:
        return self.fits[int(self.combination[row])]


def fitting(items: pa.Table, rule_set: RuleSet, modality: str) -> Fitting:
    """Find the labels that fit each item.

    Args:
        items: rows of one modality with the columns tags and year.
        modality: "image" or "music".
    """
    is_image = modality == "image"
    fit = engine.image_fits if is_image else engine.recording_fits
    miss = engine.image_near_misses if is_image else engine.recording_near_misses
    encoded = _combinations(items, rule_set).dictionary_encode()
    fits, near_misses, features, words = [], [], [], []
    for combination in encoded.dictionary.to_pylist():
        raw, year = _parse(combination)
        tags = engine.canonical_tags(rule_set, raw, year)
        fits.append(fit(rule_set, tags))
        near_misses.append(() if fits[-1] else miss(rule_set, tags))
        features.append(sorted({tag.value for tag in tags if tag.kind == "music_feature"}))
        words.append(", ".join(f"{tag.kind.replace('_', ' ')} {tag.value}" for tag in tags))
    index = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Fitting(index, fits, near_misses, features, words)


def _combinations(items: pa.Table, rule_set: RuleSet) -> pa.Array:
    """Write each row's tags and year as one string, without a Python object per row.

    Years that say the same words count as one, so that there are few combinations.
    """
    tags = items["tags"].combine_chunks()
    if isinstance(tags, pa.ChunkedArray):  # combine_chunks of an empty column
        tags = pa.concat_arrays(tags.chunks) if tags.num_chunks else pa.array([], tags.type)
    flat = tags.flatten()
    joined = pc.binary_join_element_wise(flat.field("kind"), flat.field("value"), _KIND)
    lists = pa.ListArray.from_arrays(_offsets(tags), joined)
    years = pc.fill_null(pc.cast(_first_alike(items["year"], rule_set), pa.string()), "")
    return pc.binary_join_element_wise(pc.fill_null(pc.binary_join(lists, _TAG), ""), years, _YEAR)


def _first_alike(years: pa.ChunkedArray, rule_set: RuleSet) -> pa.Array:
    """Return for each year the first of those that say the same words; null where it says none."""
    bounds = np.unique([bound for *_, first, last in rule_set.spans for bound in (first, last + 1)])
    if not len(bounds):
        return pa.nulls(len(years), pa.int64())
    numbers = pc.fill_null(years.cast(pa.int64()), int(bounds[0]) - 1).to_numpy()
    place = np.searchsorted(bounds, numbers, side="right") - 1
    return pa.array(bounds[place], pa.int64(), mask=place < 0)


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _parse(combination: str) -> tuple[list[tuple[str, str]], int | None]:
    tags, _, year = combination.partition(_YEAR)
    raw = [(kind, value) for kind, _, value in (tag.partition(_KIND) for tag in tags.split(_TAG) if tag)]
    return raw, int(year) if year else None


def simplified(text: str) -> str:
    """Return the letters and digits of a text, without case, accents and repeated spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())


def work_of(creator: str | None, title: str | None) -> str | None:
    """Return "creator / title", simplified: what tells one work from another; None where they do not tell."""
    who, what = simplified(creator or ""), simplified(_DETAIL.sub("", title or ""))
    tells = who and what and not _NOBODY.fullmatch(who) and not _NO_TITLE.fullmatch(what)
    return f"{who} / {what}" if tells else None


def is_detail(title: str | None) -> bool:
    """Say whether a title calls the picture a detail of a work."""
    return bool(title and _DETAIL.search(title))
