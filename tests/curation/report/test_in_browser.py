"""The page in headless Chromium, cut off from every network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.report import write_report
from tests.curation.report import browser, looking
from tests.curation.report import synthetic_release as made

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'> \u202egnp.exe " + "W" * 4_000


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    changes = {name: HOSTILE for name in ("image_title", "music_title", "image_creator", "rule", "music_license")}
    rows = [made.pair(number, number % 2, clip_split) for number, clip_split in enumerate(["train", "test"] * 4)]
    rows[0] |= changes
    candidates = [{"side": "image", "kind": "near_miss", "sha256": "0", "title": HOSTILE, "labels": ["Gamma"]}]
    release = made.write(folder / "1", rows, candidates=candidates)
    write_report(release, made.rule_set({"Alpha": 20, "Beta": 10, "Gamma": 10}), folder / "report", 1)
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("profile")) as page:
        yield page


def test_nothing_complains_and_nothing_is_fetched(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    looking.media(tab)
    assert tab.complaints == []
    assert looking.asks_only_for_itself(tab, index)


def test_every_picture_and_every_sound_decodes(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    media = looking.media(tab)
    assert len(media["pictures"]) == 8 + 6  # thumbnails and spectrograms
    assert min(media["pictures"]) > 0
    assert len(media["sounds"]) == 6
    assert media["sounds"] == pytest.approx([1.0] * 6, abs=0.1)


def test_hostile_titles_run_nothing(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    assert "window.hostile = 1" in tab.evaluate("document.body.innerText")
    assert tab.evaluate("typeof window.hostile") == "undefined"


@pytest.mark.parametrize("width_px", [320, 768, 1440])
def test_nothing_is_wider_than_the_page(tab: browser.Page, index: Path, width_px: int) -> None:
    tab.open(index, width_px=width_px)
    assert looking.fits_its_width(tab)


def test_the_page_reads_without_javascript(tab: browser.Page, index: Path) -> None:
    tab.open(index, script=False)
    tab.call("DOM.enable")
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    found = tab.call("DOM.querySelectorAll", nodeId=root, selector="section.label h3, audio[controls]")["nodeIds"]
    assert len(found) == 3 + 6
    assert tab.complaints == []


def test_a_click_on_a_spectrogram_seeks_there(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    looking.media(tab)
    assert looking.seeks(tab) == pytest.approx(0.75, abs=0.05)


def test_dark_and_light_differ(tab: browser.Page, index: Path) -> None:
    brightness = []
    for dark in (False, True):
        tab.open(index, dark=dark)
        brightness.append(looking.brightness(tab))
    assert brightness[0] > 180
    assert brightness[1] < 70


def test_headings_descend_one_level_at_a_time(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    assert looking.skipped_headings(tab) == []


def test_every_picture_has_an_alternative_text_and_every_player_a_name(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    assert looking.are_media_named(tab)


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(tab: browser.Page, index: Path, dark: bool) -> None:
    tab.open(index, dark=dark)
    assert looking.least_contrast(tab) >= 4.5
