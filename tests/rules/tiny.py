"""A rule set of two labels, small enough to break on purpose."""

from pathlib import Path

import pytest

import rules
from rules.errors import ConfigurationError

TINY = {
    "settings.yaml": """\
name: tiny
title: A tiny rule set
seed: 1
image:
  max_side_px: 512
audio:
  sample_rate_hz: 8000
  clip_s: 2.5
splits:
  train: 0.8
  validation: 0.1
  test: 0.1
""",
    "labels.yaml": """\
labels:
  - name: Old views
    size: 10
    image:
      all:
        - style: [Baroque]
        - any:
            - genre: [Landscape, Marine painting]
            - all:
                - genre: [Interior]
                - none:
                    - century: [20th century]
      none:
        - continent: [Asia]
    look_first:
      - genre: [Marine painting]
    music:
      features: [Chamber, Religious]
      sub_genres:
        Early: 6
        Late: 4
  - name: Posters
    size: 5
    image:
      any:
        - genre: [Poster]
        - century: [21st century]
    music:
      features: [Popular]
      sub_genres:
        Late: 5
""",
    "vocabulary.yaml": """\
vocabulary:
  style:
    Baroque:
    Cubism: {implies: {century: 20th century}}
  genre:
    Landscape:
    Interior:
    Marine painting: {aliases: [Marina]}
    Poster:
  century:
    20th century: {years: [1901, 2000]}
    21st century: {years: [2001, 2100]}
  nationality:
    Italian: {implies: {continent: Europe}}
    Japanese: {aliases: [Japaneses], implies: {continent: Asia}}
    Indian: {implies: {continent: Asia}}
  continent:
    Asia:
    Europe:
  sub_genre:
    Early:
    Late:
    Other:
  music_feature:
    Chamber:
    Religious:
    Popular:
""",
}


def write(folder: Path, file: str = "", old: str = "", new: str = "") -> Path:
    """Write the rule set, in one file `old` replaced by `new`; old must stand there exactly once."""
    folder.mkdir(exist_ok=True)
    for name, text in TINY.items():
        if name == file:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def mistakes(folder: Path) -> list[str]:
    """Return the lines of the refusal, without the folder."""
    with pytest.raises(ConfigurationError) as refusal:
        rules.load(str(folder))
    return str(refusal.value).replace(f"{folder}/", "").splitlines()
