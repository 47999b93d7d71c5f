"""Sounds keep their pitch and pictures their colors; what is damaged is told by its reason."""

import io
import wave as wav_files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.errors import ItemError, attempt
from rules.errors import ConfigurationError
from tests.media import encode, silence, sine
from tests.pictures import as_bytes, gradient, photo, plain, png
from training import draws
from training.reading import media
from training.reading.media import Clip


def wav(samples: np.ndarray, rate_hz: int, width_bytes: int = 2) -> bytes:
    """Return a WAV file of int16 samples, shape (n, channels)."""
    out = io.BytesIO()
    with wav_files.open(out, "wb") as file:
        file.setparams((samples.shape[1], width_bytes, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def tone(rate_hz: int, duration_s: float = 1.0, frequency_hz: float = 440.0, channels: int = 2) -> np.ndarray:
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave = np.round(16_000 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)
    return wave[:, None].repeat(channels, axis=1)


def pitch_hz(wave: np.ndarray, rate_hz: int) -> float:
    """Return the frequency that is strongest in a wave."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return float(np.argmax(spectrum)) * rate_hz / (8 * len(wave))


def reason(error: pytest.ExceptionInfo[ItemError]) -> str:
    return error.value.reason


@given(
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    wanted_hz=st.sampled_from([16_000, 48_000]),
    channels=st.integers(1, 2),
    duration_s=st.sampled_from([0.5, 0.77, 1.0]),
)
@settings(max_examples=30)
def test_a_tone_of_440_hz_stays_one(rate_hz: int, wanted_hz: int, channels: int, duration_s: float) -> None:
    """At 44.1 kHz for 16 kHz, as the published code took it, a tone would be 2.756 times as slow: 160 Hz."""
    content = wav(tone(rate_hz, channels=channels), rate_hz)
    wave = media.wave(content, wanted_hz, duration_s, Clip(rate_hz, 1.0))
    assert (wave.dtype, wave.shape) == (np.int16, (round(duration_s * wanted_hz),))
    assert pitch_hz(wave, wanted_hz) == pytest.approx(440, abs=1)
    assert np.abs(wave[500:-500]).max() == pytest.approx(16_000, rel=0.01)


def test_what_has_the_rate_is_left_as_it_is() -> None:
    samples = tone(16_000, channels=1)
    assert (media.wave(wav(samples, 16_000), 16_000, 1.0, Clip(16_000, 1.0)) == samples[:, 0]).all()


def test_channels_are_mixed_by_their_mean_and_full_scale_does_not_wrap() -> None:
    left, right = tone(16_000, channels=1), np.full((16_000, 1), 32_767, np.int16)
    mixed = media.mono(np.concatenate([left, right], axis=1), 16_000, 16_000)
    assert np.abs(mixed - (left[:, 0].astype(float) + 32_767) / 2).max() <= 0.5
    square = np.where(tone(44_100, channels=1) > 0, 32_767, -32_768).astype(np.int16)
    overshooting = media.mono(square, 44_100, 16_000)  # a filter overshoots at each edge
    assert (np.sign(overshooting[100:110]) == np.sign(media.mono(square // 2, 44_100, 16_000)[100:110])).all()
    assert np.abs(overshooting.astype(int)).max() >= 32_767


def test_samples_are_given_in_the_range_of_networks() -> None:
    found = media.samples(np.array([-32_768, 0, 16_384], np.int16))
    assert found.tolist() == [-1.0, 0.0, 0.5]


GOOD = wav(tone(22_050), 22_050)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (None, "the row has no sound"),
        (b"", "not WAV"),
        (b"RIFF", "not WAV"),
        (b"<html></html>", "not WAV"),
        (wav(tone(44_100), 44_100), "44100 Hz: expected 22050"),
        (wav(tone(22_050, 0.5), 22_050), "11,025 samples: expected 22,050"),
        (GOOD[:-1_000], "cut off: 21,800 of 22,050 samples are there"),
        (GOOD[:30], "not WAV"),
        (wav(tone(22_050), 22_050, width_bytes=4), "32 bits: expected 16-bit PCM"),
        (GOOD.replace(b"\x01\x00\x02\x00", b"\x55\x00\x02\x00", 1), "not WAV"),
    ],
    ids=["null", "empty", "head", "html", "rate", "short", "cut", "no format", "32 bits", "mp3 in wav"],
)
def test_what_is_not_the_clip_that_the_release_says_is_undecodable(content: bytes | None, detail: str) -> None:
    with pytest.raises(ItemError, match=detail) as caught:
        media.wave(content, 16_000, 1.0, Clip(22_050, 1.0))
    assert reason(caught) == "undecodable_audio"


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=100)
def test_a_flipped_byte_never_ends_a_run(place: int, byte: int) -> None:
    place %= 60  # the header
    content = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    found = attempt(lambda: media.wave(content, 16_000, 0.1, Clip(22_050, 1.0)))
    if isinstance(found, ItemError):
        assert found.reason == "undecodable_audio"
    else:
        assert found.shape == (1_600,)


@pytest.mark.parametrize("name", ["song.mp3", "song.flac", "song.ogg", "song.m4a", "song.wav"])
def test_a_song_of_any_format_keeps_its_pitch(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, np.concatenate([sine(1, 880), sine(2, 440)]))
    wave, length = media.song(path, 16_000, 1.0, start_s=1.5)
    assert (wave.dtype, wave.shape, length) == (np.int16, (16_000,), 16_000)
    assert pitch_hz(wave, 16_000) == pytest.approx(440, abs=1)


def test_a_song_that_ends_early_is_filled_up_and_says_so(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.wav", sine(1))
    wave, length = media.song(path, 16_000, 2.0)
    assert length == 16_000
    assert (len(wave), np.abs(wave[length:]).max()) == (32_000, 0)
    assert np.abs(wave[:length]).max() > 10_000


def test_what_is_no_song_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.wav", silence(1))
    with pytest.raises(ItemError, match="it ends before 2 s") as caught:
        media.song(path, 16_000, 1.0, start_s=2.0)
    assert reason(caught) == "too_short"
    (tmp_path / "page.mp3").write_bytes(b"<html>" * 99)
    with pytest.raises(ItemError) as caught:
        media.song(tmp_path / "page.mp3", 16_000, 1.0)
    assert reason(caught) == "undecodable_audio"
    with pytest.raises(ConfigurationError, match="gone.mp3: no such file: expected a recording"):
        media.song(tmp_path / "gone.mp3", 16_000, 1.0)


RED = (254, 0, 0)  # as JPEG gives it back


@pytest.mark.parametrize(
    "content",
    [
        as_bytes(plain("red", size=(90, 60)), "JPEG", quality=95),
        as_bytes(plain("red", size=(60, 90)), "PNG"),
        as_bytes(plain("red", size=(60, 90)).convert("P"), "PNG"),
        as_bytes(plain((255, 0, 0, 255), "RGBA"), "PNG"),
        as_bytes(plain((0, 255, 255, 0), "CMYK"), "JPEG", quality=95),
        as_bytes(plain("red", size=(33, 32)), "WEBP", lossless=True),
    ],
    ids=["jpeg", "png", "palette", "alpha", "cmyk", "webp"],
)
def test_red_stays_red(content: bytes) -> None:
    pixels = media.picture(content, 32)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, 32, 32))
    assert np.abs(pixels.astype(int) - np.array(RED)[:, None, None]).max() <= 2


def test_gray_becomes_three_equal_bands_and_glass_is_white() -> None:
    assert (media.picture(as_bytes(plain(77, "L"), "PNG"), 32) == 77).all()
    assert (media.picture(as_bytes(plain((9, 9, 9, 0), "RGBA"), "PNG"), 32) == 255).all()


def test_the_middle_is_taken_and_the_aspect_kept() -> None:
    """In a gradient each pixel tells where it was: red from left to right, green from top to bottom."""
    red, green, _ = media.picture(as_bytes(gradient(240, 120), "PNG"), 60).astype(int)
    assert abs(red.min() - 64) <= 3
    assert abs(red.max() - 191) <= 3
    assert green.min() <= 4
    assert green.max() >= 251
    assert np.abs(np.diff(red.mean(axis=0)) - 255 / 120).max() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_set_upright(orientation: int) -> None:
    upright = gradient(96, 64)
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Image.Transpose that undoes it
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = media.picture(as_bytes(stored, "JPEG", exif=exif, quality=95), 32)
    expected = media.picture(as_bytes(upright, "JPEG", quality=95), 32)
    assert np.abs(pixels.astype(int) - expected).mean() < 3


def test_small_and_large_pictures_get_the_same_size() -> None:
    for side_px in (20, 64, 700):
        assert media.picture(as_bytes(photo(side_px, side_px + 7), "JPEG"), 64).shape == (3, 64, 64)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_drawn_crop_is_inside_and_the_same_again(seed: int) -> None:
    content = as_bytes(gradient(120, 60), "PNG")
    first, again = (media.picture(content, 30, draws.generator(seed, "crop")) for _ in range(2))
    assert (first == again).all()
    assert first[0].max() - first[0].min() == pytest.approx(255 / 2, abs=6)


def test_drawn_crops_reach_both_ends() -> None:
    content = as_bytes(gradient(120, 60), "PNG")
    lefts = [int(media.picture(content, 30, draws.generator("crop", seed))[0].min()) for seed in range(60)]
    assert min(lefts) < 10
    assert max(lefts) > 115


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "undecodable_image"),
        (b"", "undecodable_image"),
        (b"<html>", "undecodable_image"),
        (as_bytes(photo(90, 60), "JPEG")[:700], "undecodable_image"),
        (png(20_000, 20_000, 8, 2, b""), "too_many_pixels"),
        pytest.param(
            png(9_500, 9_500, 8, 2, b""),
            "too_many_pixels",
            marks=pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
        ),
    ],
    ids=["null", "empty", "html", "cut", "bomb", "large"],
)
def test_a_picture_that_cannot_be_used_is_told_by_its_reason(content: bytes | None, expected: str) -> None:
    with pytest.raises(ItemError) as caught:
        media.picture(content, 32)
    assert reason(caught) == expected


def test_a_line_that_would_become_a_huge_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1, 300)).save(file, "PNG")
    monkeypatch.setattr(media, "MAX_PIXELS", 100_000)
    with pytest.raises(ItemError, match="1 x 300 px become 32 x 9,600") as refused:
        media.picture(file.getvalue(), 32)
    assert refused.value.reason == "too_many_pixels"
