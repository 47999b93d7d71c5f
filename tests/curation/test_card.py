import shutil

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Features
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curation.card import prose, summary, write_card
from curation.card.counts import Count, Counts
from curation.card.described import columns
from curation.card.snippets import LOCAL, Place, bibtex, load
from curation.card.tables import MAX_ATTRIBUTIONS, MAX_ROWS, Size, Subject, tables
from curation.features import features_schema
from curation.markdown import MAX_CHARS, escaped
from curation.memory import SPLITS
from curation.releases import Release, rule_set_of
from tests.curation.report import synthetic_release

FOLDERS = {"default": "data", "metadata": "metadata", "references": "references"}
HUB = Place("owner/name", "v3", "https://hub.example/datasets/owner/name")


def card_of(release: Release) -> tuple[dict[str, object], str]:
    _, header, text = (release.folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(header), text


def test_header_is_what_datasets_and_the_hub_read(sample_release):
    header, _ = card_of(sample_release)
    assert [config["config_name"] for config in header["configs"]] == ["default", "metadata", "references"]
    assert header["configs"][0]["data_files"] == [
        {"split": split, "path": f"data/{split}-*.parquet"} for split in SPLITS
    ]
    counts = {split["name"]: split["num_examples"] for split in header["dataset_info"][0]["splits"]}
    assert counts == sample_release.manifest["pairs"]
    files = {name: row for name, row in sample_release.manifest["files"].items() if name.startswith("data/")}
    assert header["dataset_info"][0]["download_size"] == sum(row["size_bytes"] for row in files.values())
    assert header["license"] == "other"


def test_tables_stand_between_the_markers(sample_release):
    _, text = card_of(sample_release)
    markers = prose(rule_set_of(sample_release)).count("<!-- artune:begin")
    assert text.count("<!-- artune:begin") == text.count("<!-- artune:end") == markers
    assert "-->\n<!-- artune:end" not in text  # each has its table
    assert "| Electronic music | " in text
    assert "LicenseRef" in text
    assert "{" not in text.partition("```bibtex")[0]


def test_features_are_those_of_the_files_whichever_artune_wrote_them(sample_release, tmp_path):
    for folder in ("metadata", "references"):
        shutil.copytree(sample_release.folder / folder, tmp_path / folder)
    earlier = sorted((tmp_path / "references").glob("*.parquet"))
    for path in earlier:  # as before references told where media were fetched
        rows = pq.read_table(path).drop_columns(["address"])
        pq.write_table(rows.cast(Features.from_arrow_schema(rows.schema).arrow_schema), path)
    release = Release(1, tmp_path, sample_release.manifest)
    write_card(release, rule_set_of(sample_release), tmp_path / "README.md", tmp_path)
    header, _ = card_of(release)
    told = {info["config_name"]: [one["name"] for one in info["features"]] for info in header["dataset_info"]}
    assert told["references"] == pq.read_schema(earlier[0]).names
    assert told["metadata"] == features_schema(rule_set_of(sample_release), "metadata").names


def test_summary_counts_labels_and_rejections(sample_release):
    text = summary(sample_release.folder, rule_set_of(sample_release))
    pairs = sum(sample_release.manifest["pairs"].values())
    assert f"| **all** | {pairs} |" in text
    assert "| recording | measure | too_short | 2 |" in text


@pytest.mark.parametrize("config", ["default", "metadata", "references"])
def test_every_column_is_described(sample_release, config):
    assert set(features_schema(rule_set_of(sample_release), config).names) <= set(columns(config))


def test_a_card_stays_small_however_much_there_is_to_name(sample_release):
    """Nothing in it grows with rows, sources, licenses or attributions."""
    many = {("image", f"source {number} {'x' * 5 * MAX_CHARS}"): Count(number + 1, 1) for number in range(5_000)}
    licenses = {(*key, "credited"): count for key, count in many.items()}
    credited = 10**7, [(f"somebody {number}" * MAX_CHARS, number) for number in range(MAX_ATTRIBUTIONS)]
    counts = Counts({("Electronic music", "train"): Count(10**7, 10**6)}, many, licenses, 10**6)
    sizes = dict.fromkeys(FOLDERS, {"train": Size(10**7, 10**12, 10**4)})
    subject = Subject(sample_release, rule_set_of(sample_release), HUB, sizes, counts, credited)
    found = tables(subject, FOLDERS)
    assert sum(map(len, found.values())) < 60_000
    assert found["made"].count("\n| source") == MAX_ROWS
    assert f"| {5_000 - MAX_ROWS:,} more | " in found["made"]
    assert "- and 9,999,980 more" in found["attribution"]


def test_only_what_is_missing_is_told(sample_release):
    counts = Counts({("Electronic music", "train"): Count(3, 2)}, {}, {}, 3)
    sizes = {"default": {"train": Size(2, 1, 1)}} | dict.fromkeys(["metadata", "references"], {"train": Size(3, 1, 1)})
    rules = rule_set_of(sample_release)
    found = tables(Subject(sample_release, rules, HUB, sizes, counts, (0, []), excluded=4), FOLDERS)
    assert "| Electronic music | 2 of 3 | 2 of 3 | 0 | 0 |" in found["labels"]
    assert "4 more pairs of the release are left out altogether" in found["labels"]
    assert "`default` has no rows for `validation` and `test`" in found["splits"]
    assert found["attribution"] == "No row names anybody."
    assert "artune rehydrate owner/name --revision v3 --home DIR" in found["load"]
    assert f"{HUB.homepage}/discussions" in found["contact"]


@pytest.mark.parametrize(
    ("place", "call"),
    [
        (HUB, 'load_dataset("owner/name", "metadata", revision="v3")'),
        (LOCAL, 'load_dataset("DIR", "metadata")'),
        (Place('/a "b"/v3', None, ""), r'load_dataset("/a \"b\"/v3", "metadata")'),
        (Place("s3://b/v3", None, ""), 'load_dataset("parquet", data_files=files("metadata", "train", "test"))'),
    ],
)
def test_how_to_load_is_python_of_its_place(place, call):
    text = load(place, FOLDERS, dict.fromkeys(FOLDERS, ["train", "test"]))
    compile(text.removeprefix("```python\n").removesuffix("```"), "card", "exec")
    assert f"pairs = {call}\n" in text


def test_citation_names_the_revision_and_is_tex():
    rules = synthetic_release.rule_set({"Any": 1}).model_copy(update={"title": "50 % art & {music}_\\input"})
    text = bibtex(HUB, 3, rules)
    assert r"title        = {{50 \% art \& music\_input}}" in text
    assert "version      = {v3}" in text


MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})
# Control characters are gone when a text comes here: sources strip them.
words = st.text(st.sampled_from("ab\\`*_{}[]()<>#+-.!|~&$;:/@ \n1=\u202e")) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"])
)


@given(words)
def test_escaped_text_is_shown_as_it_is(text):
    """CommonMark and tables: whatever the text holds, nothing but text comes out, on one line."""
    shown = escaped(text)
    (line,) = MARKDOWN.parseInline(f"a {shown}")
    assert {token.type for token in line.children} <= {"text", "text_special"}
    assert "".join(token.content for token in line.children).split() == f"a {text}".split()


@given(words)
def test_escaped_text_keeps_to_its_cell(text):
    html = MARKDOWN.render(f"| a | b |\n|---|---|\n| {escaped(text)} | 1 |\n")
    assert html.count("<tr>") == 2
    assert html.count("<td>") == 2


@pytest.mark.parametrize(("text", "shown"), [(None, ""), ("a|b", "a\\|b"), ("a\nb", "a b"), ("<i>", "\\<i\\>")])
def test_text_from_outside_is_escaped(text, shown):
    assert escaped(text) == shown
