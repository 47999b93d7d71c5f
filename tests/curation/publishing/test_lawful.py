"""What may not be redistributed never goes out as media, and every pair is accounted for."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import releases, tombstones
from curation.publishing import lawful
from curation.publishing.lawful import Chosen, LicenseUse
from curation.releases import Release
from curation.schemas import PAIRS
from curation.store import Home
from curation.tombstones import Tombstone
from rules.errors import ConfigurationError
from rules.licenses import Licenses
from tests.curation.tables import tiny_rules

LICENSES = Licenses(embed=("CC0-1.0",), embed_with_attribution=("CC-BY-4.0",), exclude=("Secret",))


@dataclass(frozen=True)
class SideFacts:
    """What a row says of one side."""

    license: str | None
    attribution: str | None = None

    @property
    def may_go_out(self) -> bool:
        says_whom = any(char.isalnum() for char in self.attribution or "")
        named = (self.license or "").casefold() == "cc-by-4.0" and says_whom
        return (self.license or "").casefold() == "cc0-1.0" or named

    @property
    def is_secret(self) -> bool:
        return (self.license or "").casefold() == "secret"


FREE, NAMED, NAMELESS = SideFacts("CC0-1.0"), SideFacts("CC-BY-4.0", "Ida"), SideFacts("CC-BY-4.0")
CLOSED, SECRET = SideFacts("unknown"), SideFacts("Secret")

Pair = tuple[SideFacts, SideFacts]


def release_of(folder: Path, pairs: Sequence[Pair], licenses: Licenses | None = LICENSES, files: int = 1) -> Release:
    """Write of a release what is looked at, and return it; pairs are called 00, 01, 02 and dealt out to the files."""
    rows = [
        {"pair_id": f"{number:02}"}
        | {f"{side}_{name}": getattr(facts, name) for side, facts in sides for name in ("license", "attribution")}
        | {f"{side}_source": "folder" for side, _ in sides}
        | {f"{side}_source_id": f"{side}{number}" for side, _ in sides}
        | {f"{side}_sha256": f"{side[0]}{number}" for side, _ in sides}
        for number, pair in enumerate(pairs)
        for sides in [tuple(zip(lawful.SIDES, pair, strict=True))]
    ]
    (folder / "metadata").mkdir(parents=True)
    names = [f"metadata/part-{number}.parquet" for number in range(files)]
    for number, name in enumerate(names):
        pq.write_table(pa.Table.from_pylist(rows[number::files], PAIRS), folder / name, row_group_size=2)
    rule_set = tiny_rules()
    if licenses is not None:
        rule_set = rule_set.model_copy(update={"licenses": licenses})
    (folder / "rule_set.json").write_text(releases.written(releases.publish(rule_set, None)))
    manifest = {"rule_set": {"name": "tiny"}, "files": dict.fromkeys([*names, "data/part-0.parquet"])}
    return Release(3, folder, manifest)


def chosen(home: Home, release: Release) -> list[list[str]]:
    found = lawful.choose(home, release)
    return [array.to_pylist() for array in (found.embedded, found.referenced, found.excluded)]


INVISIBLE = "\u200b\ufeff\u2060"
texts = st.sampled_from([None, "", " ", "\u2003", INVISIBLE, "Ida Ekblad", "\u5d14\u5317", INVISIBLE + "Ida"])
names = st.sampled_from([None, "CC0-1.0", "cc0-1.0", "CC-BY-4.0", "cc-by-4.0", "Secret", "secret", "unknown", "MIT"])
sides = st.builds(SideFacts, names, texts)


@given(st.lists(st.tuples(sides, sides), max_size=30), st.integers(1, 3))
def test_every_pair_has_one_fate_and_none_goes_out_unless_both_sides_may(pairs, files):
    expected: list[list[str]] = [[], [], []]
    for number, pair in enumerate([(FREE, NAMED), *pairs]):
        fate = 2 if any(side.is_secret for side in pair) else 0 if all(side.may_go_out for side in pair) else 1
        expected[fate].append(f"{number:02}")
    with tempfile.TemporaryDirectory() as folder:
        release = release_of(Path(folder) / "3", [(FREE, NAMED), *pairs], files=files)
        found = lawful.choose(Home(Path(folder)), release)
    assert [array.to_pylist() for array in (found.embedded, found.referenced, found.excluded)] == expected
    assert sum(one.pictures for one in found.licenses) == sum(one.clips for one in found.licenses) == len(pairs) + 1


def test_licenses_are_counted_as_the_rows_write_them_and_rows_without_an_attribution_apart(tmp_path):
    pairs = [(FREE, NAMED), (FREE, NAMELESS), (SideFacts("cc0-1.0"), SECRET), (SideFacts(None), NAMED)]
    found = lawful.choose(Home(tmp_path), release_of(tmp_path / "3", pairs))
    assert list(found.licenses) == [
        LicenseUse("CC-BY-4.0", "embed_with_attribution", 0, 2),
        LicenseUse("CC-BY-4.0", "reference", 0, 1),
        LicenseUse("CC0-1.0", "embed", 2, 0),
        LicenseUse("Secret", "exclude", 0, 1),
        LicenseUse("cc0-1.0", "embed", 1, 0),
        LicenseUse("unknown", "reference", 1, 0),
    ]


def test_many_rows_are_read_in_several_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(lawful, "BATCH_ROWS", 2)
    pairs = [(FREE, FREE), (FREE, CLOSED), (SECRET, FREE)] * 3
    assert chosen(Home(tmp_path), release_of(tmp_path / "3", pairs, files=2)) == [
        ["00", "03", "06"],
        ["01", "04", "07"],
        ["02", "05", "08"],
    ]


def refusal(home: Home, release: Release) -> str:
    with pytest.raises(ConfigurationError) as refused:
        lawful.choose(home, release)
    return str(refused.value)


def test_a_release_of_which_nothing_may_go_out_is_refused_with_its_licenses_and_the_file_that_decides(tmp_path):
    told = refusal(Home(tmp_path), release_of(tmp_path / "3", [(FREE, CLOSED), (FREE, NAMELESS), (SECRET, FREE)]))
    assert told.startswith("release 3 of tiny: none of its pairs may be published with its media")
    assert "CC0-1.0 (2 pictures, 1 clips: embed)" in told
    assert "CC-BY-4.0 (0 pictures, 1 clips: reference)" in told
    assert "licenses.yaml of the rule set;" in told


def test_a_release_that_was_built_without_licenses_is_refused_and_the_advice_is_to_build(tmp_path):
    told = refusal(Home(tmp_path), release_of(tmp_path / "3", [(FREE, FREE)], licenses=None))
    assert "licenses.yaml of the rule set, without which this release was built" in told
    assert "`artune build` makes a release that is judged by it" in told


def test_a_release_without_pairs_is_refused(tmp_path):
    assert "expected pairs to publish; it has none" in refusal(Home(tmp_path), release_of(tmp_path / "3", []))


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    release = release_of(tmp_path / "3", [(FREE, FREE)])
    (release.folder / "metadata" / "part-0.parquet").write_bytes(b"no table")
    assert "part-0.parquet cannot be read; `artune verify` tells more" in refusal(Home(tmp_path), release)


def test_a_table_that_the_release_does_not_name_is_not_read(tmp_path):
    release = release_of(tmp_path / "3", [(FREE, FREE)])
    (release.folder / "metadata" / "other.parquet").write_bytes(b"no table")
    assert chosen(Home(tmp_path), release) == [["00"], [], []]


# ------ removal requests


def bury(home: Home, source: str, source_id: str, sha256: str | None) -> None:
    tombstones.write(home, Tombstone(source, source_id, sha256, None, None, "a mail", "2026-03-01"))


@pytest.mark.parametrize(
    ("source", "source_id", "sha256", "named"),
    [
        ("folder", "music1", None, "folder:music1"),
        ("elsewhere", "another name", "i1", "folder:image1"),  # the same bytes under another name
        ("folder", "image1", "other bytes", "folder:image1"),
    ],
)
def test_a_release_that_holds_a_removed_item_is_refused(tmp_path, source, source_id, sha256, named):
    home, release = Home(tmp_path), release_of(tmp_path / "3", [(FREE, FREE), (FREE, CLOSED)])
    bury(home, source, source_id, sha256)
    told = refusal(home, release)
    assert told == (
        f"release 3 holds items whose removal was asked for: {named}; expected a release without them: "
        "`artune build` makes one, publish that"
    )


def test_of_many_removed_items_some_are_named(tmp_path):
    home, release = Home(tmp_path), release_of(tmp_path / "3", [(FREE, FREE)] * 7)
    for number in range(7):
        bury(home, "folder", f"image{number}", None)
    assert "folder:image0, folder:image1, folder:image2, folder:image3, folder:image4 and 2 more;" in refusal(
        home, release
    )


def test_a_removal_of_something_else_stops_nothing(tmp_path):
    home, release = Home(tmp_path), release_of(tmp_path / "3", [(FREE, FREE)])
    bury(home, "attic", "image0", "f" * 64)  # of another source, and of other bytes
    assert chosen(home, release) == [["00"], [], []]


# ------ the sample


def test_the_sample_has_both_kinds(sample_home: Home, sample_release: Release) -> None:
    found: Chosen = lawful.choose(sample_home, sample_release)
    tables = [pq.read_table(path) for path in (sample_release.folder / "metadata").glob("*.parquet")]
    rows = {row["pair_id"]: row for table in tables for row in table.to_pylist()}
    assert {rows[pair_id]["music_license"] for pair_id in found.referenced.to_pylist()} == {
        "LicenseRef-CC-BY-SA-no-version"
    }
    assert len(found.embedded) == len(rows) - len(found.referenced) > 20
    assert not len(found.excluded)
    (free,) = [one for one in found.licenses if one.license == "LicenseRef-PublicDomain"]
    for side, count in zip(lawful.SIDES, (free.pictures, free.clips), strict=True):
        assert count == sum(row[f"{side}_license"] == free.license for row in rows.values()) > 0
