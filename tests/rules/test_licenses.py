"""licenses.yaml: what a curator may write in it, what is refused at its line, and what the default says."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import rules
from curation import releases
from curation.releases import Release
from curation.sources import UNKNOWN_LICENSE, _kaggle_facts, youtube
from rules.licenses import EMBEDDING, UNKNOWN, USES, Licenses
from rules.schema import RuleSet
from tests.rules.tiny import TINY, mistakes, write

FOLDER = Path(rules.__file__).parent
DEFAULT = rules.load("museart18")

LICENSES = """\
licenses:
  embed:
    - CC0-1.0
    - Public domain
  embed_with_attribution: [CC-BY-4.0]
  reference:
    - unknown
  exclude: [Mine]
"""


def write_licenses(folder: Path, old: str = "", new: str = "") -> Path:
    assert old == "" or LICENSES.count(old) == 1
    (write(folder) / "licenses.yaml").write_text(LICENSES.replace(old, new) if old else LICENSES)
    return folder


def loaded(folder: Path, old: str = "", new: str = "") -> RuleSet:
    return rules.load(str(write_licenses(folder, old, new)))


@pytest.mark.parametrize(
    ("license", "use"),
    [
        ("CC0-1.0", "embed"),
        ("cc0-1.0", "embed"),
        (" public  Domain ", "embed"),
        ("CC-BY-4.0", "embed_with_attribution"),
        ("CC-BY-4", "reference"),
        ("CC BY 4.0", "reference"),
        ("CC-BY-4.0-DE", "reference"),
        ("unknown", "reference"),
        ("mine", "exclude"),
        ("", "reference"),
    ],
)
def test_a_license_is_looked_up_without_its_case(tmp_path: Path, license: str, use: str) -> None:
    assert loaded(tmp_path).licenses.use(license) == use


def test_what_is_in_no_list_has_the_default(tmp_path: Path) -> None:
    strict = loaded(tmp_path, "licenses:\n", "licenses:\n  default: exclude\n").licenses
    assert (strict.use("CC-BY-2.0"), strict.use("unknown"), strict.use("cc0-1.0")) == ("exclude", "reference", "embed")


def test_without_the_file_everything_is_a_reference(tmp_path: Path) -> None:
    licenses = rules.load(str(write(tmp_path))).licenses
    assert {licenses.use(name) for name in ("CC0-1.0", "CC-BY-4.0", "unknown")} == {"reference"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  embed:", "  embd:", "2: embd: expected one of the keys default, embed, embed_with_attribution"),
        ("licenses:\n", "licences:\n", "1: licences: expected one of the keys licenses"),
        ("licenses:\n", "licenses:\n  default: embed\n", "2: default: embed: expected 'reference' or 'exclude'"),
        ("[CC-BY-4.0]", "[cc0-1.0]", "5: cc0-1.0: expected each license once: it stands on line 3 already"),
        ("    - Public domain", "    - CC0-1.0", "4: CC0-1.0: expected each license once: it stands on line 3 already"),
        ("- Public domain", '- "Public domain "', "4: Public domain : expected letters or digits on one line, without"),
        ("- Public domain", '- ""', "4: : expected letters or digits on one line, without spaces around"),
        ("- Public domain", "-", "4: nothing: expected a text (in quotes if it looks like a number)"),
        ("- Public domain", "- 4.0", "4: 4.0: expected a text (in quotes if it looks like a number)"),
        ("[CC-BY-4.0]", "[]", "5: embed_with_attribution: an empty list: expected at least one entry"),
        ("[CC-BY-4.0]", "CC-BY-4.0", "5: embed_with_attribution: CC-BY-4.0: expected a list"),
        ("[CC-BY-4.0]", "[Unknown]", "5: Unknown: expected a license: where nobody knows of one, nobody said that"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = mistakes(write_licenses(tmp_path, old, new))
    assert f"licenses.yaml:{expected}" in [line[: len("licenses.yaml:" + expected)] for line in found]


def test_mistakes_come_with_those_of_the_other_files(tmp_path: Path) -> None:
    write_licenses(tmp_path, "[CC-BY-4.0]", "[cc0-1.0]")
    (tmp_path / "settings.yaml").write_text(TINY["settings.yaml"].replace("seed: 1", "seed: x"))
    assert [line.split(": expected")[0] for line in mistakes(tmp_path)] == [
        "licenses.yaml:5: cc0-1.0",
        "settings.yaml:3: seed: x",
    ]


def test_licenses_count_in_the_digest(tmp_path: Path) -> None:
    digests = {loaded(tmp_path / name, "CC0-1.0", name).digest for name in ("CC0-1.0", "PDDL-1.0")}
    assert len(digests | {rules.load(str(write(tmp_path / "none"))).digest}) == 3


def test_a_release_remembers_what_its_curator_wrote(tmp_path: Path) -> None:
    rule_set = loaded(tmp_path)
    text = releases.written(releases.publish(rule_set, None))
    assert json.loads(text)["licenses"] == yaml.safe_load(LICENSES)["licenses"]
    (tmp_path / "rule_set.json").write_text(text)
    read = releases.rule_set_of(Release(1, tmp_path, {}))
    assert (read.licenses, read.digest) == (rule_set.licenses, rule_set.digest)


def test_a_release_of_before_is_read_and_refers_to_everything(tmp_path: Path) -> None:
    values = json.loads(releases.written(releases.publish(loaded(tmp_path), None)))
    del values["licenses"]
    (tmp_path / "rule_set.json").write_text(json.dumps(values))
    read = releases.rule_set_of(Release(1, tmp_path, {}))
    assert read.licenses == Licenses()
    assert read.licenses.use("CC0-1.0") == "reference"


def test_a_rule_set_takes_the_licenses_of_the_one_whose_evidence_it_takes(tmp_path: Path) -> None:
    assert rules.load("museart32").licenses == DEFAULT.licenses
    mine = shutil.copytree(FOLDER / "museart32", tmp_path / "mine")
    (mine / "licenses.yaml").write_text("licenses: {embed: [CC0-1.0]}\n")
    assert rules.load(str(mine)).licenses == Licenses(embed=("CC0-1.0",))


# ------ the default


@pytest.mark.parametrize("license", ["unknown", youtube._license("Standard YouTube License"), "All rights reserved"])
def test_what_nobody_allowed_is_never_media(license: str) -> None:
    assert DEFAULT.licenses.use(license) == "reference"


def test_no_license_that_forbids_commerce_or_changes_goes_out_as_media() -> None:
    out = [license for use in EMBEDDING for license in getattr(DEFAULT.licenses, use)]
    assert out
    assert [license for license in out if "-NC" in license or "-ND" in license] == []


def test_every_license_that_asks_for_a_name_is_only_embedded_with_one() -> None:
    assert [license for license in DEFAULT.licenses.embed if license.startswith("CC-BY")] == []
    assert (
        DEFAULT.licenses.use(youtube._license("Creative Commons Attribution license (reuse allowed)")) == EMBEDDING[1]
    )


def test_every_license_that_a_source_writes_was_thought_of() -> None:
    listed = {license for use in USES for license in getattr(DEFAULT.licenses, use)}
    creative_commons = {
        f"CC-{terms}-{version}"
        for terms in ("BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND")
        for version in ("3.0", "4.0")
    }
    assert {*_kaggle_facts.LICENSES.values(), *creative_commons, UNKNOWN_LICENSE} - listed == set()


def test_the_rules_and_the_sources_have_one_word_for_an_unknown_license() -> None:
    assert UNKNOWN == UNKNOWN_LICENSE
