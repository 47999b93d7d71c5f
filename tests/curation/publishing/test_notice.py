"""NOTICE: who has to be named beside published media."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from curation.card.counts import Pairs
from curation.publishing import license_names, notice
from rules.licenses import Licenses
from tests.curation.report import synthetic_release

RULES = synthetic_release.rule_set({"Some": 100}).model_copy(
    update={"licenses": Licenses(embed=("CC0-1.0",), embed_with_attribution=("CC-BY-4.0", "BSD-3-Clause"))}
)
ATTRIBUTED = ("CC-BY-4.0", "BSD-3-Clause")


def told(
    tmp_path: Path,
    rows: Sequence[Mapping[str, object]],
    embedded: Sequence[int] | None = None,
    licenses: Sequence[str] = ("CC0-1.0", *ATTRIBUTED),
) -> str:
    """Write the NOTICE of a release with these rows; those of the numbers `embedded` have media."""
    synthetic_release.write(tmp_path, [synthetic_release.pair(at, 0, **row) for at, row in enumerate(rows)])
    ids = [synthetic_release.pair(number, 0)["pair_id"] for number in embedded or range(len(rows))]
    pairs = Pairs(tmp_path, RULES.numbering, pa.array(sorted(ids)))
    notice.write(pairs, licenses, RULES, 3, tmp_path / "NOTICE")
    return (tmp_path / "NOTICE").read_text(encoding="utf-8")


def of(side: str, license: str, attribution: str | None, title: str | None, url: str | None) -> dict[str, object]:
    other = "music" if side == "image" else "image"
    said = {"license": license, "attribution": attribution, "title": title, "url": url}
    return {f"{side}_{name}": value for name, value in said.items()} | {f"{other}_license": "CC0-1.0"}


def test_works_stand_once_under_their_license_and_who_made_them(tmp_path):
    rows = [
        of("image", "CC-BY-4.0", "Ann", "Two", "https://a.example/2"),
        of("music", "CC-BY-4.0", "Ann", "One", "https://a.example/1"),
        of("music", "CC-BY-4.0", "Ann", "One", "https://a.example/1"),  # another clip of the same recording
        of("image", "BSD-3-Clause", "Bob", None, None),
    ]
    text = told(tmp_path, rows)
    assert 'Ann\n    "One", https://a.example/1\n    "Two", https://a.example/2\n' in text
    assert "CC-BY-4.0: Creative Commons Attribution 4.0\nhttps://creativecommons.org/licenses/by/4.0/\n" in text
    assert "Bob\n    Untitled\n" in text
    assert text.index("BSD-3-Clause") < text.index("Redistributions in binary form") < text.index("CC-BY-4.0:")
    assert "After number" not in text  # whose CC0 asks for nothing
    assert "scaled" in text
    assert "cut to clips of 30 seconds" in " ".join(text.split())


def test_only_published_media_are_told_of(tmp_path):
    rows = [of("image", "CC-BY-4.0", name, name, "u") for name in ("Ann", "Bob")]
    text = told(tmp_path, rows, embedded=[1])
    assert "Bob" in text
    assert "Ann" not in text


def test_nobody_to_name_is_said(tmp_path):
    text = told(tmp_path, [of("image", "CC0-1.0", "Ann", "One", "u")], licenses=["CC0-1.0"])
    assert "No license of the media in this data set asks that somebody is named." in text


def test_text_from_outside_stays_on_its_line(tmp_path):
    nasty = "Ann\r\n\n\x1b[31mCC-BY-4.0: mine\u2028\u202eevil\x00"
    text = told(tmp_path, [of("image", "CC-BY-4.0", nasty, nasty, nasty)])
    plain = "Ann [31mCC-BY-4.0: mine evil"
    assert f'\n{plain}\n    "{plain}", {plain}\n' in text
    assert not re.search(r"[^\n\x20-\x7e]", text)


def test_the_same_rows_give_the_same_bytes_in_whatever_order(tmp_path):
    rows = [of("image", "CC-BY-4.0", f"Ann {number}", "One", "u") for number in range(40)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    head, _, names = told(tmp_path / "a", rows).partition("-----\n")
    assert told(tmp_path / "b", rows[::-1]) == f"{head}-----\n{names}"
    assert re.findall(r"Ann \d+", names) == sorted(re.findall(r"Ann \d+", names))


@pytest.mark.parametrize(
    ("license", "name", "link"),
    [
        (
            "CC-BY-SA-3.0",
            "Creative Commons Attribution-ShareAlike 3.0",
            "https://creativecommons.org/licenses/by-sa/3.0/",
        ),
        ("cc-by-2.5-au", "Creative Commons Attribution 2.5 AU", "https://creativecommons.org/licenses/by/2.5/au/"),
        ("CC0", "Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("mit", "mit", "https://spdx.org/licenses/MIT.html"),
        ("LicenseRef-PublicDomain", "LicenseRef-PublicDomain", None),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0", None),
        ("<script>", "<script>", None),
        ("unknown", "unknown", None),
    ],
)
def test_a_license_has_its_name_and_link(license, name, link):
    assert license_names.full_name(license) == name
    assert license_names.link(license) == link


def test_a_license_that_asks_for_its_text_has_it():
    assert "Redistributions in binary form" in license_names.text("bsd-3-clause")
    assert license_names.text("CC-BY-4.0") is None
