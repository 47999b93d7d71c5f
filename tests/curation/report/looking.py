"""What is asked of every page of artune that lies open in Chromium, with pictures and sounds in it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.curation.report.browser import Page

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
  const picture = document.querySelector(".strip");
  const box = picture.getBoundingClientRect();
  picture.dispatchEvent(new MouseEvent("click", { clientX: box.left + 0.75 * box.width }));
  return audio.currentTime / audio.duration;
})()
"""

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


def media(tab: Page) -> Any:
    """Decode every picture and sound: return the widths of pictures and the durations of sounds."""
    return tab.evaluate(DECODED)


def asks_only_for_itself(tab: Page, path: Path) -> bool:
    return [url for url in tab.requests if not url.startswith("data:")] == [path.as_uri()]


def fits_its_width(tab: Page) -> bool:
    return bool(tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def least_contrast(tab: Page) -> float:
    return float(tab.evaluate(CONTRASTS))


def seeks(tab: Page) -> float:
    """Click on three quarters of the first drawn sound; return where its player is, in [0, 1]."""
    return float(tab.evaluate(SEEK))


def brightness(tab: Page) -> float:
    return float(np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("L")).mean())


def skipped_headings(tab: Page) -> list[tuple[int, int]]:
    """Return the levels of headings that are not one level at most below the heading before them."""
    levels = tab.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => +heading.tagName[1])")
    return [(before, after) for before, after in zip([0, *levels], levels, strict=False) if after > before + 1]


def are_media_named(tab: Page) -> bool:
    pictures = tab.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    return bool(pictures and tab.evaluate("[...document.querySelectorAll('audio')].every((audio) => audio.ariaLabel)"))
