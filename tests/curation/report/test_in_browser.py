"""The page in headless Chromium, cut off from every network."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.report import write_report
from tests.curation.report import browser
from tests.curation.report import synthetic_release as made

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'> \u202egnp.exe " + "W" * 4_000

DECODED = """
(async () => {
  const width = (image) => image.decode().then(() => image.naturalWidth);
  const pictures = await Promise.all([...document.images].map(width));
  const sounds = await Promise.all([...document.querySelectorAll("audio")].map((audio) => new Promise((done, fail) => {
    if (audio.readyState > 0) return done(audio.duration);
    audio.addEventListener("loadedmetadata", () => done(audio.duration));
    audio.addEventListener("error", () => fail(audio.error.message));
    audio.load();
  })));
  return { pictures, sounds };
})()
"""


SEEK = """
(() => {
  const audio = document.querySelector("audio");
  audio.play = () => {};
  const picture = document.querySelector(".spectrogram");
  const box = picture.getBoundingClientRect();
  picture.dispatchEvent(new MouseEvent("click", { clientX: box.left + 0.75 * box.width }));
  return audio.currentTime / audio.duration;
})()
"""


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
    tab.evaluate(DECODED)
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [index.as_uri()]


def test_every_picture_and_every_sound_decodes(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    media = tab.evaluate(DECODED)
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
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_page_reads_without_javascript(tab: browser.Page, index: Path) -> None:
    tab.open(index, script=False)
    tab.call("DOM.enable")
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    found = tab.call("DOM.querySelectorAll", nodeId=root, selector="section.label h3, audio[controls]")["nodeIds"]
    assert len(found) == 3 + 6
    assert tab.complaints == []


def test_a_click_on_a_spectrogram_seeks_there(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    tab.evaluate(DECODED)
    seconds = tab.evaluate(SEEK)
    assert seconds == pytest.approx(0.75, abs=0.05)


def test_dark_and_light_differ(tab: browser.Page, index: Path) -> None:
    brightness = []
    for dark in (False, True):
        tab.open(index, dark=dark)
        brightness.append(np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("L")).mean())
    assert brightness[0] > 180
    assert brightness[1] < 70


def test_headings_descend_one_level_at_a_time(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    levels = tab.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => +heading.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_every_picture_has_an_alternative_text_and_every_player_a_name(tab: browser.Page, index: Path) -> None:
    tab.open(index)
    assert tab.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    assert tab.evaluate("[...document.querySelectorAll('audio')].every((audio) => audio.getAttribute('aria-label'))")


# WCAG 2.1, 1.4.3: at least 4.5 to 1, of every element that holds text of its own.
CONTRASTS = """
(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => v / 255).map(
      (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll("body *:not(svg *):not(script):not(.glyph)")].filter(
    (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return Math.min(...texts.map((element) => {
    const pair = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(tab: browser.Page, index: Path, dark: bool) -> None:
    tab.open(index, dark=dark)
    assert tab.evaluate(CONTRASTS) >= 4.5
