import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curation.card import escaped, prose, summary
from curation.memory import SPLITS
from curation.releases import Release, rule_set_of


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
    assert header["license"] == "other"


def test_tables_stand_between_the_markers(sample_release):
    _, text = card_of(sample_release)
    assert text.count("<!-- artune:begin") == text.count("<!-- artune:end") == prose().count("<!-- artune:begin")
    assert "| Electronic music | " in text
    assert "LicenseRef" in text
    assert "{" not in text.replace("{{", "").partition("```bibtex")[0]


def test_summary_counts_labels_and_rejections(sample_release):
    text = summary(sample_release.folder, rule_set_of(sample_release))
    pairs = sum(sample_release.manifest["pairs"].values())
    assert f"| **all** | {pairs} |" in text
    assert "| recording | measure | too_short | 2 |" in text


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
