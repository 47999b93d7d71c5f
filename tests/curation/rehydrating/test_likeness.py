"""Another encoding is the same content; another picture, another sound or another place in it is not."""

import base64
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curation import audio, fingerprints, images
from curation.rehydrating.likeness import fate
from rules.schema import AudioSettings, ImageSettings
from tests.media import encode, noise, silence, tune
from tests.pictures import photo, plain, saved

SETTINGS = AudioSettings(sample_rate_hz=8_000, channels=1, clip_s=10)
SONG = tune(20, seed=1)
START_S, CLIP_S = 5.0, 10.0


def picture_row(image: Image.Image, folder: Path, **facts: object) -> tuple[str, dict[str, object]]:
    """Return the fingerprint that is published of a picture, and what is measured of it."""
    path = saved(folder / "x.png", image)
    measured = images.measure(path, ImageSettings(min_side_px=16))
    row = {name: getattr(measured, name) for name in ("phash", "thumbnail")} | {"reason": None, "detail": None}
    return f"{measured.phash:016x}", row | facts


def side(kind: str, fingerprint: object, **facts: object) -> dict[str, object]:
    row = {"side": kind, "sha256": "a", "found": "b", "fingerprint": fingerprint, "is_embedded": False}
    return row | {"is_removed": False, "reason": None, "detail": None, "start_s": START_S} | facts


def heard(path: Path) -> dict[str, object]:
    found = audio.listen(path, SETTINGS)
    return {"frames": found.frames, "fingerprint": found.fingerprint, "reason": None, "detail": None}


@pytest.fixture(scope="module")
def span(tmp_path_factory: pytest.TempPathFactory) -> str:
    whole = heard(encode(tmp_path_factory.mktemp("song") / "a.flac", SONG))["fingerprint"]
    return base64.b64encode(fingerprints.clip_span(whole, START_S, CLIP_S)).decode()


def fate_of_song(path: Path, span: object, **facts: object) -> str:
    return fate(side("music", span, **facts), heard(path), round((START_S + CLIP_S) * 8_000))[0]


@pytest.mark.parametrize(("name", "options"), [("a.mp3", ("-b:a", "64k")), ("a.ogg", ()), ("a.m4a", ("-b:a", "48k"))])
def test_another_encoding_of_a_recording_is_the_same_content(tmp_path, span, name, options):
    assert fate_of_song(encode(tmp_path / name, SONG, *options), span) == "same_content"


@pytest.mark.parametrize(
    "waveform",
    [tune(20, seed=2), np.concatenate([tune(3, seed=3), SONG]), silence(20), noise(20)],
    ids=["another", "cut elsewhere", "silence", "noise"],
)
def test_other_sound_at_the_start_of_the_clip_is_not(tmp_path, span, waveform):
    assert fate_of_song(encode(tmp_path / "a.flac", waveform), span) == "changed"


def test_a_recording_that_ends_before_the_clip_cannot_be_used(tmp_path, span):
    path = encode(tmp_path / "a.flac", SONG[: 14 * 44_100])
    row = side("music", span)
    assert fate(row, heard(path), 15 * 8_000) == ("changed", "too_short", "112,000 of 120,000 frames")
    assert fate(row | {"found": "a"}, heard(path), 15 * 8_000)[:2] == ("exact", "too_short")


def test_a_smaller_picture_in_another_encoding_is_the_same_content_and_another_picture_is_not(tmp_path):
    fingerprint, _ = picture_row(photo(200, 150, 1), tmp_path)
    _, smaller = picture_row(photo(200, 150, 1).resize((120, 90)), tmp_path)
    _, other = picture_row(photo(200, 150, 2), tmp_path)
    assert fate(side("image", fingerprint), smaller, 0) == ("same_content", None, None)
    assert fate(side("image", fingerprint), other, 0) == ("changed", "changed", None)


def test_a_flat_picture_is_not_told_from_another_flat_one(tmp_path):
    """A site that shows a placeholder in place of all that it lost must not pass."""
    fingerprint, flat = picture_row(plain("white"), tmp_path)
    assert fate(side("image", fingerprint), flat, 0)[0] == "changed"


def test_what_cannot_be_decoded_says_why_even_if_it_is_exact():
    damaged = {"reason": "undecodable_image", "detail": "truncated"}
    assert fate(side("image", "0" * 16), damaged, 0) == ("changed", "undecodable_image", "truncated")
    assert fate(side("image", "0" * 16, found="a"), damaged, 0) == ("exact", "undecodable_image", "truncated")


@given(st.none() | st.text(max_size=40))
def test_a_fingerprint_that_is_none_fits_nothing(text):
    picture = {"phash": 2**63 + 12345, "thumbnail": bytes(256), "reason": None, "detail": None}
    recording = {"frames": 10**9, "fingerprint": bytes(400), "reason": None, "detail": None}
    assert fate(side("image", text), picture, 0)[0] == "changed"
    assert fate(side("music", text), recording, 0)[0] == "changed"
