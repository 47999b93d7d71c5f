import pytest

from curation.media_types import HEAD_BYTES, modality
from tests import media, pictures


@pytest.mark.parametrize(
    ("image_format", "options"),
    [(name, {}) for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP")]
    + [("TIFF", {"big_tiff": True}), ("AVIF", {"save_all": True}), ("MPO", {})],
)
def test_pictures_are_images(image_format: str, options: dict[str, bool]) -> None:
    assert modality(pictures.as_bytes(pictures.gradient(), image_format, **options)[:HEAD_BYTES]) == "image"


@pytest.mark.parametrize(
    "ending", ["wav", "mp3", "mp2", "m4a", "mp4", "mov", "flac", "ogg", "opus", "aac", "aiff", "au", "caf", "mka",
               "webm", "wma", "avi", "ts", "mpg", "w64", "wv", "tta"]
)  # fmt: skip
def test_recordings_are_music(tmp_path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    media.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", path)
    assert modality(path.read_bytes()[:HEAD_BYTES]) == "music"


@pytest.mark.parametrize("bitrate", ["32k", "320k"])
@pytest.mark.parametrize("rate_hz", ["8000", "22050", "48000"])
def test_mp3_without_any_tag_is_music(tmp_path, rate_hz: str, bitrate: str) -> None:
    path = tmp_path / "x.mp3"
    options = ["-ar", rate_hz, "-b:a", bitrate, "-write_xing", "0", "-id3v2_version", "0"]
    media.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", *options, path)
    head = path.read_bytes()[:HEAD_BYTES]
    assert head[0] == 0xFF
    assert modality(head) == "music"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"BMW is a maker of cars, and this is a text",
        b"GIF images are old",
        b'{"title": "x"}',
        b"%PDF-1.7",
        b"PK\x03\x04" + bytes(26),
        b"RIFF\0\0\0\0CDXA",
        b"MThd\0\0\0\x06\0\1",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"\xff\xfeH\0e\0l\0l\0o\0",
        b"\xef\xbb\xbftext",
        b"\x7fELF",
        bytes(HEAD_BYTES),
    ],
)
def test_everything_else_is_neither(head: bytes) -> None:
    assert modality(head) is None


def test_avif_with_a_general_brand_first_is_an_image() -> None:
    assert modality(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "image"


def test_brands_end_where_their_box_ends() -> None:
    assert modality(b"\0\0\0\x10ftypisom\0\0\0\0avif") == "music"
