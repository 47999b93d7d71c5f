"""What a person writes into a published card stays, or is refused; nothing of it is ever lost."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.card.counts import Count, Counts
from curation.card.header import Page, divided
from curation.card.markers import parts, without_tables
from curation.card.snippets import Place
from curation.card.tables import Size, Subject
from curation.publishing.manifest import Manifest
from curation.publishing.pages import Card, Renewed, check, renewed
from curation.releases import Release
from rules.errors import ConfigurationError
from tests.curation.report import synthetic_release

WHERE = "owner/name: README.md"
OWN = {"pretty_name", "size_categories", "configs", "dataset_info"}
SUGGESTED = {"license", "license_name", "license_link", "task_categories", "tags"}
BEGIN, END = "<!-- artune:begin labels -->\n", "<!-- artune:end labels -->\n"


def subject(number: int = 1) -> Subject:
    rules = synthetic_release.rule_set({"Some": number, "More": 2})
    sizes = dict.fromkeys(("default", "metadata", "references"), {"train": Size(number, 10, 1)})
    counts = Counts({("Some", "train"): Count(number, number)}, {}, {}, number)
    place = Place("owner/name", f"v{number}", "https://hub.example/datasets/owner/name")
    return Subject(Release(number, Path(), {}), rules, place, sizes, counts, (0, []))


def known(card: Renewed) -> Manifest:
    """Make the manifest that stands beside a card: only what tells whether somebody edited it."""
    return Manifest("made", 1, "", "", 7, 1, {}, {}, {}, card.prose_sha256)


FRESH = renewed(subject(), None)
KNOWN = known(FRESH)


def over(text: str | bytes, manifest: Manifest | None = KNOWN, number: int = 1) -> Renewed:
    content = text if isinstance(text, bytes) else text.encode()
    return renewed(subject(number), Card(content, manifest, WHERE))


def others(page: Page) -> Mapping[object, object]:
    return {key: value for key, value in page.values.items() if key not in OWN}


CHUNKS = st.sampled_from(
    ["```\n", "~~~~\n", "---\n", "\n", "# note\n", "viewer: false\n", "tags: [a]\n", "configs: x\n", BEGIN, END, " x"]
) | st.text(st.sampled_from("ab#`~<>!-:{}|\\\n\r\t é\u2028\x0b"), max_size=20)


@given(st.lists(st.tuples(st.integers(0, 400), CHUNKS), max_size=4), st.booleans())
def test_whatever_is_written_stays_or_is_refused(edits, is_known):
    lines = FRESH.text.splitlines(keepends=True)
    for at, chunk in edits:
        lines.insert(at % (len(lines) + 1), chunk)
    text = "".join(lines)
    try:
        first = over(text, KNOWN if is_known else None)
    except ConfigurationError as error:
        assert WHERE in str(error)  # noqa: PT017 - either of two ends is right
        return
    before, after = divided(text.encode(), WHERE), divided(first.text.encode(), WHERE)
    said = [without_tables(parts(page.body, WHERE)) for page in (before, after)]
    assert said[0].strip() == said[1].strip()
    assert before.header is None or others(before).items() <= others(after).items()
    second = over(first.text, known(first))
    assert second.text == first.text
    assert second.tables_left_out == first.tables_left_out


def test_a_later_release_changes_tables_and_what_datasets_reads():
    edited = FRESH.text.replace("## Citation", "## To cite it").replace("license: other", "license: mit\nviewer: false")
    later = over(edited, number=2)
    page = divided(later.text.encode(), WHERE)
    assert "## To cite it" in later.text
    assert '"owner/name", revision="v2"' in later.text
    assert (page.values["license"], page.values["viewer"]) == ("mit", False)
    assert page.values["dataset_info"][0]["splits"][0]["num_examples"] == 2
    assert list(page.values)[: len(SUGGESTED) + 1] == [
        "license",
        "viewer",
        *list(divided(FRESH.text.encode(), "").values)[1:5],
    ]


def test_a_card_that_nobody_edited_is_written_anew():
    assert over(FRESH.text, number=2).text == renewed(subject(2), None).text


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text, str.rstrip])
def test_what_editors_do_to_a_file_is_no_edit(change):
    card = over(change(FRESH.text))
    assert card.text == FRESH.text
    assert not card.hand_edited


def test_comments_and_the_order_of_a_header_stay():
    text = FRESH.text.replace("---\n", "---\n# ours\nextra_gated_prompt: |-\n  Do you?\n  # no comment\n\n", 1)
    text = text.replace("size_categories:", "# before it\nsize_categories:").replace("tags:\n", "tags:  # seen\n")
    found = over(text).text
    assert found.startswith("---\n# ours\nextra_gated_prompt: |-\n  Do you?\n  # no comment\n\nlicense: other\n")
    assert "tags:  # seen\n" in found
    assert "# before it\n" in found
    assert found.count("size_categories:") == 1


def test_a_header_within_braces_is_written_anew():
    body = divided(FRESH.text.encode(), "").body
    found = over('---\n{license: mit, configs: [1], "a key": &x [1], other: *x}\n---\n' + body + "More.\n")
    values = divided(found.text.encode(), "").values
    assert (values["license"], values["a key"], values["other"]) == ("mit", [1], [1])
    assert values["configs"][0]["config_name"] == "default"


def test_a_key_that_a_person_deleted_stays_deleted():
    found = over(FRESH.text.replace("license_name: per-row\n", ""))
    assert found.hand_edited
    assert "license_name" not in found.text


def test_a_repository_that_was_made_with_a_license_keeps_it():
    """As the Hub makes a README.md where a person chooses a license on the page of a new data set."""
    found = over("---\nlicense: cc0-1.0\n---\n", None)
    values = divided(found.text.encode(), "").values
    assert values["license"] == "cc0-1.0"
    assert set(values) >= SUGGESTED
    assert divided(found.text.encode(), "").body == divided(FRESH.text.encode(), "").body


def test_a_card_without_header_gets_one():
    body = divided(FRESH.text.encode(), "").body
    assert over(body).text == FRESH.text


def test_markers_in_code_are_text():
    code = f"````md\n```\n{BEGIN}{END}```\n````\n"
    found = over(FRESH.text.replace("## Citation\n", f"## Citation\n{code}"))
    assert code in found.text
    assert found.tables_left_out == ()


def test_tables_that_artune_does_not_know_stay():
    strange = "<!-- artune:begin weather -->\nrain\n<!-- artune:end weather -->\n"
    assert strange in over(FRESH.text + strange).text


BODY = divided(FRESH.text.encode(), "").body


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FRESH.text.replace(BEGIN, ""), r"line \d+: <!-- artune:end labels -->: expected its begin before"),
        (FRESH.text.replace(END, ""), "expected artune:end labels, for it was begun in line"),
        (FRESH.text + BEGIN, "expected each table once"),
        (FRESH.text.replace(END, END * 2), "expected its begin before"),
        (f"{BODY}<!-- artune:begin own -->\n", "expected <!-- artune:end own --> on a line of its own"),
        (f"---\na: [1\n---\n{BODY}", "line 2: expected YAML"),
        (f"---\na: 2024-99-99\n---\n{BODY}", "expected YAML between the lines ---"),
        (f"---\n- a\n---\n{BODY}", "line 2: expected lines of `key: value`"),
        (f"---\nlicense: mit\ntags: []\nlicense: mit\n---\n{BODY}", "line 4: expected license only once"),
        (b"---\na: \xff\n---\n", "expected UTF-8"),
    ],
)
def test_a_broken_card_is_refused_by_its_line(text, told):
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigurationError, match=told) as caught:
        check(Card(content, KNOWN, WHERE))
    assert WHERE in str(caught.value)


def test_a_readme_of_somebody_else_is_refused():
    with pytest.raises(ConfigurationError, match="expected a card of artune, or none"):
        check(Card(b"---\nlicense: mit\n---\n# My data\n", None, WHERE))
