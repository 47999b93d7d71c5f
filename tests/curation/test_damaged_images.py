import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import images
from curation.errors import ItemError, attempt
from rules.schema import ImageSettings
from tests import pictures

# pytest undoes the filters that images sets
pytestmark = pytest.mark.filterwarnings(
    "ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning:PIL.TiffImagePlugin"
)

SMALL = ImageSettings(max_side_px=128, min_side_px=16, jpeg_quality=92)


def reason(path: Path) -> str:
    with pytest.raises(ItemError) as caught:
        images.measure(path, SMALL)
    with pytest.raises(ItemError) as again:
        images.encode(path, SMALL)
    assert again.value.reason == caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("size", [(9_460, 9_460), (20_000, 20_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(pictures.png(*size, 8, 2, b"\0"))
    assert reason(path) == "too_many_pixels"


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tiff", "gif", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated_picture_is_undecodable(tmp_path: Path, ending: str, share: float) -> None:
    path = pictures.saved(tmp_path / f"x.{ending}", pictures.photo(240, 180))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert reason(path) == "undecodable_image"


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", b"\xff\xd8\xff\xe0", bytes(1000), b"%PDF-1.7"])
def test_other_content_under_a_picture_name_is_undecodable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert reason(path) == "undecodable_image"


def test_format_outside_of_the_list_is_not_even_tried(tmp_path: Path) -> None:
    assert reason(pictures.saved(tmp_path / "x.ppm", pictures.gradient())) == "undecodable_image"


def test_details_name_no_path_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"nothing")
    with pytest.raises(ItemError) as caught:
        images.measure(path, SMALL)
    assert str(tmp_path) not in caught.value.detail


def test_missing_blob_is_a_bug_and_no_rejection(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        images.measure(tmp_path / "x.jpg", SMALL)


SEEDS = [
    pictures.as_bytes(pictures.photo(48, 40), image_format, **options)
    for image_format, options in [
        ("JPEG", {"icc_profile": pictures.srgb_profile()}),
        ("PNG", {}),
        ("WEBP", {}),
        ("AVIF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {}),
        ("GIF", {}),
        ("BMP", {}),
    ]
]


@given(
    seed=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_file_is_decoded_or_rejected(tmp_path: Path, seed: bytes, flips: list[tuple[float, bytes]]) -> None:
    data = bytearray(seed)
    for place, flip in flips:
        at = int(place * len(data))
        data[at : at + len(flip)] = flip
    path = tmp_path / "x"
    path.write_bytes(data)
    result = attempt(lambda: images.encode(path, SMALL))
    assert isinstance(result, bytes) or result.reason in {"undecodable_image", "too_many_pixels", "too_small"}


def test_damaged_files_write_nothing_to_the_terminal(tmp_path: Path) -> None:
    data = bytearray(pictures.as_bytes(pictures.photo(200, 200), "TIFF", compression="tiff_lzw"))
    data[50:400] = bytes(350)
    (tmp_path / "x.tiff").write_bytes(data)
    (tmp_path / "x.png").write_bytes(pictures.png(10_000, 10_000, 8, 2, b"\0"))
    code = (
        "import sys; from pathlib import Path; from curation import images; from curation.errors import attempt\n"
        "for path in sys.argv[1:]: attempt(lambda: images.normalize(Path(path), 64))"
    )
    command = [sys.executable, "-c", code, tmp_path / "x.tiff", tmp_path / "x.png"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(images.__file__).parents[1])
    assert (done.stdout, done.stderr) == (b"", b"")
