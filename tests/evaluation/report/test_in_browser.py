"""The page of an evaluation in headless Chromium, cut off from every network: whole, of a data set alone, and bare."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.report import write_report
from evaluation.result import PAGE
from tests.curation.report import browser, looking
from tests.evaluation.report import synthetic_result as made

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'> \u202egnp.exe " + "W" * 3_000
KINDS = ("run", "images", "data", "bare")
LABELS = [f"{HOSTILE} {number}" for number in range(3)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a page of each kind; every text from outside in it is hostile and long."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for kind in KINDS:
        bare = {"figures": [], "memorization": None, "quality": None, "left_out": [], "networks": []}
        result = made.result("images" if kind == "bare" else kind, LABELS, **(bare if kind == "bare" else {}))
        result = made.with_texts(result, HOSTILE)
        write_report(result, made.shown(result, made.Media(HOSTILE)), folder / kind)
        found[kind] = folder / kind / PAGE
    return found


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("profile")) as page:
        yield page


def open_all(tab: browser.Page) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_complains_and_nothing_is_fetched(tab: browser.Page, pages: dict[str, Path], kind: str) -> None:
    tab.open(pages[kind])
    looking.media(tab)
    assert tab.complaints == []
    assert looking.asks_only_for_itself(tab, pages[kind])


def test_every_picture_and_every_sound_decodes(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"])
    media = looking.media(tab)
    heard, seen = 3 * 4, 3 * 1  # of five items a label
    assert len(media["pictures"]) == 2 * heard + seen + 2 * 12 + 2 * 3  # copies, leaks
    assert min(media["pictures"]) > 0
    assert media["sounds"] == pytest.approx([made.CLIP_S] * heard, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_texts_run_nothing(tab: browser.Page, pages: dict[str, Path], kind: str) -> None:
    tab.open(pages[kind])
    assert "window.hostile = 1" in tab.evaluate("document.body.innerText")
    assert tab.evaluate("typeof window.hostile") == "undefined"


@pytest.mark.parametrize("width_px", [320, 400, 768, 1440])
@pytest.mark.parametrize("kind", ["run", "data"])
def test_nothing_is_wider_than_the_page(tab: browser.Page, pages: dict[str, Path], kind: str, width_px: int) -> None:
    tab.open(pages[kind], width_px=width_px)
    open_all(tab)
    assert looking.fits_its_width(tab)


def test_the_page_reads_without_javascript(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"], script=False)
    tab.call("DOM.enable")
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    found = tab.call("DOM.querySelectorAll", nodeId=root, selector=".verdict, audio[controls]")["nodeIds"]
    assert len(found) == 1 + 12
    assert tab.complaints == []


def test_a_click_on_a_waveform_seeks_there(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"])
    looking.media(tab)
    assert looking.seeks(tab) == pytest.approx(0.75, abs=0.05)


def test_dark_and_light_differ(tab: browser.Page, pages: dict[str, Path]) -> None:
    found = []
    for dark in (False, True):
        tab.open(pages["run"], dark=dark)
        found.append(looking.brightness(tab))
    assert found[0] > 180
    assert found[1] < 70


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["run", "data"])
def test_text_has_contrast(tab: browser.Page, pages: dict[str, Path], kind: str, dark: bool) -> None:
    tab.open(pages[kind], dark=dark)
    open_all(tab)
    assert looking.least_contrast(tab) >= 4.5


@pytest.mark.parametrize("kind", KINDS)
def test_headings_descend_and_media_are_named(tab: browser.Page, pages: dict[str, Path], kind: str) -> None:
    tab.open(pages[kind])
    assert looking.skipped_headings(tab) == []
    assert looking.are_media_named(tab)


def test_the_tab_key_reaches_every_player_table_and_fold(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"])
    reached = tab.evaluate(
        "[...document.querySelectorAll('audio, summary, .scroll')].every((each) => { each.focus(); return "
        "document.activeElement === each || each.checkVisibility() === false; })"
    )
    assert reached


def test_a_screen_reader_is_told_the_numbers_that_are_drawn(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"])
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    spoken = [node["name"]["value"] for node in nodes if node.get("name") and not node["ignored"]]
    cells = [
        text
        for node, text in ((n, n["name"]["value"]) for n in nodes if n.get("name"))
        if node["role"]["value"] == "cell"
    ]
    assert "True partner" in spoken
    assert any(text.startswith("51.62") and "51.43 to 51.81" in text for text in cells)


def test_marks_lie_where_their_values_are(tab: browser.Page, pages: dict[str, Path]) -> None:
    tab.open(pages["run"])
    places = tab.evaluate(
        "[...document.querySelectorAll('.hero .lane b')].map((mark) => { const box = mark.getBoundingClientRect(); "
        "return box.left + box.width / 2; })"
    )
    shuffled, other, subject, same, partner = places
    assert other < shuffled < subject < same < partner
    assert (subject - shuffled) / (partner - shuffled) == pytest.approx(0.15 / 1.62, abs=0.02)
