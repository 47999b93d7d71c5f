"""NOTICE: whose works the published media are, where their licenses ask that this is told."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from curation.card.counts import SIDES, Pairs, querying
from curation.publishing import license_names
from curation.releases import PublishedRules
from rules.licenses import UNKNOWN

NAME = "NOTICE"
BATCH_ROWS = 10_000
WIDTH = 80  # of the text around the names
_COLUMNS = ("license", "attribution", "title", "url")

Entry = tuple[str, str, str, str]  # _COLUMNS


def write(pairs: Pairs, licenses: Sequence[str], rule_set: PublishedRules, number: int, out: Path) -> None:
    """Write the NOTICE of a release.

    Args:
        licenses: of the published media, as the rows write them.
        out: the file to write; beside it there is room to sort.
    """
    asking = [license for license in licenses if rule_set.licenses.use(license) == "embed_with_attribution"]
    with out.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_head(rule_set, number))
        if not asking:
            file.write("\nNo license of the media in this data set asks that somebody is named.\n")
        for license, entries in groupby(_entries(pairs, asking, out.parent), key=itemgetter(0)):
            file.write(_license_head(license))
            for attribution, works in groupby(entries, key=itemgetter(1)):
                file.write(f"\n{attribution}\n")
                file.writelines(f"    {_work(title, url)}\n" for *_, title, url in works)
            file.write(_license_text(license))


def _entries(pairs: Pairs, licenses: Sequence[str], scratch: Path) -> Iterator[Entry]:
    """Yield each work once, by license, whom to name, title and address."""
    rows = pairs.reader([f"{side}_{name}" for side in SIDES for name in _COLUMNS])
    sides = [f"{{{', '.join(f'{name!r}: {side}_{name}' for name in _COLUMNS)}}}" for side in SIDES]
    query = f"""
        SELECT DISTINCT {", ".join(f"coalesce({name}, '{UNKNOWN if name == 'license' else ''}')" for name in _COLUMNS)}
        FROM (SELECT unnest([{", ".join(sides)}], recursive := true) FROM rows WHERE is_embedded)
        WHERE license IN (SELECT unnest($licenses)) ORDER BY ALL
        """
    with querying(rows, scratch) as connection:
        for batch in connection.sql(query, params={"licenses": list(licenses)}).to_arrow_reader(BATCH_ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                license, attribution, title, url = map(plain, row)
                yield license, attribution, title, url


def plain(text: str) -> str:
    """Return text from outside on one line, without what is not seen or moves what is."""
    seen = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(seen.split())


def _head(rule_set: PublishedRules, number: int) -> str:
    image, audio = rule_set.image, rule_set.audio
    told = (
        "This data set holds works of others, each under its own license. Those whose license asks that somebody is "
        "named stand below: by license, whom to name, and each work with the address where it was found. In the data, "
        "the columns image_license, image_attribution, music_license and music_attribution of a row say the same, and "
        "of all other works too.",
        "The works were changed. Pictures were turned upright, converted to sRGB, scaled down to at most "
        f"{image.max_side_px:,} pixels and stored as JPEG. Recordings were cut to clips of {audio.clip_s:g} seconds, "
        f"resampled to {audio.sample_rate_hz:,} Hz and stored as WAV. What is under a license that asks to share alike "
        "stays under it. Nobody who is named has anything to do with this data set, or endorses it.",
    )
    return (
        "\n\n".join([f"{plain(rule_set.title)}, release {number}", *(textwrap.fill(part, WIDTH) for part in told)])
        + "\n"
    )


def _license_head(license: str) -> str:
    name, link = license_names.full_name(license), license_names.link(license)
    title = f"{license}: {name}" if name != license else license
    return "\n\n" + "\n".join([title, *([link] if link else []), "-" * WIDTH]) + "\n"


def _license_text(license: str) -> str:
    text = license_names.text(license)
    return f"\nThe terms of {license}:\n\n{text}" if text else ""


def _work(title: str, url: str) -> str:
    return ", ".join([f'"{title}"' if title else "Untitled", *([url] if url else [])])
