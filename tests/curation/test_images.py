import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from curation import images
from curation.errors import ItemError
from curation.store import digest
from rules.schema import ImageSettings
from tests import pictures

SMALL = ImageSettings(max_side_px=128, min_side_px=16, jpeg_quality=92)
DEFAULT = ImageSettings()
SRGB_PRIMARIES = ((0.436, 0.222, 0.014), (0.385, 0.717, 0.097), (0.143, 0.061, 0.714))


def near(image: Image.Image, point: tuple[int, int], color: tuple[int, int, int], tolerance: int = 4) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(image.getpixel(point), color, strict=True))


def test_shrinking_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To log a call, libvips' binding logs others from within a handler: two threads would wait for each other."""
    path = pictures.saved(tmp_path / "x.png", pictures.gradient(1200, 900))
    with caplog.at_level(logging.DEBUG):
        images.encode(path, SMALL)
    assert [record.name for record in caplog.records if record.name.startswith("pyvips")] == []


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tiff", "gif", "bmp"])
def test_every_format_gives_the_same_picture(tmp_path: Path, ending: str) -> None:
    path = pictures.saved(tmp_path / f"x.{ending}", pictures.gradient())
    picture = images.normalize(path, 240)
    difference = np.abs(np.asarray(picture.image, int) - np.asarray(pictures.gradient(), int))
    assert (picture.width_px, picture.height_px) == picture.image.size == (240, 180)
    assert difference.mean() < 12  # GIF has 256 colors


@pytest.mark.parametrize("ending", ["jpg", "tiff", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, ending: str) -> None:
    stored = pictures.gradient()
    undo = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    method = undo.get(orientation, images.UPRIGHT.get(orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = pictures.saved(tmp_path / f"x.{ending}", stored if method is None else stored.transpose(method), exif=exif)
    measured, image = images.measure(path, SMALL), images.normalize(path, 120).image
    assert (measured.width_px, measured.height_px) == (240, 180)
    assert image.size == (120, 90)
    assert near(image, (119, 0), (255, 0, 64), 12)
    assert near(image, (0, 89), (0, 255, 64), 12)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # pytest undoes the filter of images
def test_picture_with_broken_exif_is_kept_as_it_lies(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.jpg", pictures.gradient(), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert images.measure(path, SMALL).width_px == 240


def test_swapped_primaries_of_a_color_profile_are_swapped_back(tmp_path: Path) -> None:
    red, green, blue = SRGB_PRIMARIES
    swapped = pictures.profile(green, red, blue)
    path = pictures.saved(tmp_path / "x.png", pictures.plain((255, 0, 0)), icc_profile=swapped)
    assert near(images.normalize(path, 100).image, (50, 50), (0, 255, 0), 8)


def test_linear_profile_brightens_the_middle(tmp_path: Path) -> None:
    linear = pictures.profile(*SRGB_PRIMARIES)
    path = pictures.saved(tmp_path / "x.jpg", pictures.plain((128, 128, 128)), icc_profile=linear)
    assert near(images.normalize(path, 100).image, (50, 50), (188, 188, 188))


@pytest.mark.parametrize(("mode", "color"), [("L", 128), ("LA", (128, 255)), ("RGBA", (128, 128, 128, 255))])
def test_profile_of_rgb_reaches_gray_and_transparent_pictures(
    tmp_path: Path, mode: str, color: int | tuple[int, ...]
) -> None:
    linear = pictures.profile(*SRGB_PRIMARIES)
    path = pictures.saved(tmp_path / "x.png", Image.new(mode, (50, 50), color), icc_profile=linear)
    assert near(images.normalize(path, 50).image, (9, 9), (188, 188, 188))


def test_palette_picture_is_converted_with_its_profile(tmp_path: Path) -> None:
    linear = pictures.profile(*SRGB_PRIMARIES)
    image = pictures.plain((128, 128, 128)).convert("P", palette=Image.Palette.ADAPTIVE)
    path = pictures.saved(tmp_path / "x.png", image, icc_profile=linear)
    assert near(images.normalize(path, 50).image, (9, 9), (188, 188, 188))


@pytest.mark.parametrize("broken", [b"junk", pictures.srgb_profile()[:200], b""])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_broken_profile_counts_as_srgb(tmp_path: Path, broken: bytes, mode: str) -> None:
    gray = pictures.plain((128, 128, 128)).convert(mode)
    path = pictures.saved(tmp_path / "x.jpg", gray, icc_profile=broken)
    assert near(images.normalize(path, 100).image, (50, 50), (128, 128, 128))


def test_profile_of_other_colors_counts_as_srgb(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    path = pictures.saved(tmp_path / "x.jpg", pictures.plain((128, 128, 128)), icc_profile=lab)
    assert near(images.normalize(path, 100).image, (50, 50), (128, 128, 128))


@pytest.mark.parametrize("icc", [None, b"junk"])
def test_cmyk_without_usable_profile_becomes_rgb(tmp_path: Path, icc: bytes | None) -> None:
    path = pictures.saved(tmp_path / "x.jpg", pictures.plain((0, 255, 255, 0), "CMYK"), icc_profile=icc)
    assert near(images.normalize(path, 100).image, (50, 50), (255, 0, 0))


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.tiff", pictures.plain((255, 128, 128), "LAB"))
    assert near(images.normalize(path, 100).image, (50, 50), (255, 255, 255))


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("LA", (0, 128), (127, 127, 127)),
    ],
)
def test_alpha_is_flattened_on_white(
    tmp_path: Path, mode: str, color: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    path = pictures.saved(tmp_path / "x.png", pictures.plain(color, mode))
    assert near(images.normalize(path, 100).image, (50, 50), expected)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
@pytest.mark.parametrize("ending", ["png", "gif"])
def test_transparent_palette_entry_is_flattened_on_white(
    tmp_path: Path, ending: str, transparency: int | bytes
) -> None:
    image = Image.new("P", (60, 60), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 30, 60))
    chosen = transparency if ending == "png" else 0
    path = pictures.saved(tmp_path / f"x.{ending}", image, transparency=chosen)
    result = images.normalize(path, 60).image
    assert near(result, (50, 30), (255, 255, 255))
    assert near(result, (10, 30), (0, 0, 200))


@pytest.mark.parametrize(
    ("depth", "color_type", "pixel", "key", "expected"),
    [
        (8, 0, b"\x50", b"\0\x50", (255, 255, 255)),
        (8, 2, b"\x50\x60\x70", b"\0\x50\0\x60\0\x70", (255, 255, 255)),
        (16, 0, b"\x50\x01", b"\x50\x01", (255, 255, 255)),
        (16, 0, b"\x50\x02", b"\x50\x01", (0x50, 0x50, 0x50)),
        (16, 2, b"\x50\x01\x60\x01\x70\x01", b"\x50\x01\x60\x01\x70\x01", (255, 255, 255)),
        (1, 0, b"\0", b"\0\0", (255, 255, 255)),
    ],
)
def test_color_key_of_png_is_flattened_on_white(
    tmp_path: Path, depth: int, color_type: int, pixel: bytes, key: bytes, expected: tuple[int, int, int]
) -> None:
    row = b"\0" + pixel * 32
    path = tmp_path / "x.png"
    rows = (row if depth > 1 else row[:5]) * 32
    path.write_bytes(pictures.png(32, 32, depth, color_type, rows, pictures.chunk(b"tRNS", key)))
    assert near(images.normalize(path, 32).image, (9, 9), expected, 1)


def test_16_bit_rgb_keeps_its_high_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(pictures.png(32, 32, 16, 2, (b"\0" + b"\xff\xff\x80\x01\x00\xff" * 32) * 32))
    assert near(images.normalize(path, 32).image, (9, 9), (255, 128, 0), 0)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((32, 32), 32_768, np.uint16), 128),
        (np.full((32, 32), 65_535, np.uint16), 255),
        (np.full((32, 32), 200, np.int32), 200),
        (np.full((32, 32), 51_400, np.int32), 200),
        (np.full((32, 32), 0.5, np.float32), 128),
        (np.full((32, 32), 100.0, np.float32), 100),
        (np.full((32, 32), -7.0, np.float32), 0),
        (np.full((32, 32), np.nan, np.float32), 0),
        (np.full((32, 32), 3e38, np.float32), 255),
    ],
)
def test_deep_gray_becomes_8_bits(tmp_path: Path, pixels: np.ndarray, expected: int) -> None:
    path = pictures.saved(tmp_path / "x.tiff", Image.fromarray(pixels))
    assert near(images.normalize(path, 32).image, (9, 9), (expected,) * 3, 1)


def test_16_bit_gray_png_becomes_8_bits(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.png", Image.fromarray(np.full((32, 32), 32_768, np.uint16)))
    assert near(images.normalize(path, 32).image, (9, 9), (128, 128, 128), 1)


def test_black_and_white_picture_shrinks_to_gray(tmp_path: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([[True, False]]), (200, 100)))
    path = pictures.saved(tmp_path / "x.png", stripes)
    assert near(images.normalize(path, 50).image, (25, 25), (128, 128, 128), 8)


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_first_frame_of_an_animation_is_taken(tmp_path: Path, ending: str) -> None:
    later = [pictures.plain("blue"), pictures.plain("black")]
    path = pictures.saved(tmp_path / f"x.{ending}", pictures.plain("red"), save_all=True, append_images=later)
    assert near(images.normalize(path, 100).image, (50, 50), (255, 0, 0), 8)


def test_stereo_jpeg_gives_its_first_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    pictures.plain("red").save(path, "MPO", save_all=True, append_images=[pictures.plain("blue")])
    assert near(images.normalize(path, 100).image, (50, 50), (255, 0, 0), 8)


@pytest.mark.parametrize("size", [(5000, 3000), (3000, 5000), (2100, 700), (1025, 1024), (8191, 640)])
def test_large_jpeg_shrinks_to_the_bound_and_looks_as_fully_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    image = pictures.gradient(*size)
    picture = images.normalize(pictures.saved(tmp_path / "x.jpg", image, quality=95), 1024)
    scale = 1024 / max(size)
    expected = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(picture.image, int) - np.asarray(expected, int))
    assert picture.image.size == expected.size
    assert difference.max() <= 6


def test_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    assert images.normalize(pictures.saved(tmp_path / "x.png", pictures.gradient(40, 30)), 1024).image.size == (40, 30)


@pytest.mark.parametrize("size", [(1, 1), (159, 1000), (30_000, 200), (1000, 159)])
def test_thin_picture_is_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    path = pictures.saved(tmp_path / "x.png", pictures.plain("red", size=size))
    with pytest.raises(ItemError, match=f"{size[0]:,} x {size[1]:,} px.* at least 160 px") as caught:
        images.measure(path, DEFAULT)
    assert caught.value.reason == "too_small"


def test_picture_of_exactly_the_smallest_size_is_kept(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.png", pictures.plain("red", size=(160, 160)))
    assert images.measure(path, DEFAULT).width_px == 160


def test_encoded_jpeg_is_rgb_420_without_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret"
    options = {"exif": exif, "comment": b"secret", "icc_profile": pictures.srgb_profile(), "xmp": b"secret"}
    data = images.encode(pictures.saved(tmp_path / "x.jpg", pictures.gradient(), **options), SMALL)
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 96))
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
    assert b"secret" not in data


def test_quality_comes_from_the_settings(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.png", pictures.photo(128, 128))
    low = images.encode(path, ImageSettings(max_side_px=128, min_side_px=16, jpeg_quality=40))
    assert len(low) < len(images.encode(path, SMALL)) / 2


def test_threads_give_the_same_bytes(tmp_path: Path) -> None:
    path = pictures.saved(tmp_path / "x.jpg", pictures.photo(700, 500), icc_profile=pictures.profile(*SRGB_PRIMARIES))
    with ThreadPoolExecutor(4) as pool:
        encoded = list(pool.map(lambda _: images.encode(path, SMALL), range(12)))
        measured = list(pool.map(lambda _: images.measure(path, SMALL), range(12)))
    assert len(set(encoded)) == len(set(measured)) == 1


def test_pixels_decide_over_the_hash_and_the_container_does_not(tmp_path: Path) -> None:
    image = pictures.photo(100, 80)
    first = images.measure(pictures.saved(tmp_path / "a.png", image), SMALL)
    assert images.measure(pictures.saved(tmp_path / "b.bmp", image), SMALL) == first
    image.putpixel((50, 40), (0, 0, 0))
    changed = images.measure(pictures.saved(tmp_path / "c.png", image), SMALL)
    assert changed.pixels_sha256 != first.pixels_sha256
    assert bin(changed.phash ^ first.phash).count("1") <= 4


def test_same_bytes_in_another_shape_are_another_picture(tmp_path: Path) -> None:
    wide = images.measure(pictures.saved(tmp_path / "a.png", pictures.plain("red", size=(64, 32))), SMALL)
    tall = images.measure(pictures.saved(tmp_path / "b.png", pictures.plain("red", size=(32, 64))), SMALL)
    assert wide.pixels_sha256 != tall.pixels_sha256


def test_perceptual_hash_is_64_bits_of_imagehash(tmp_path: Path) -> None:
    import imagehash

    image = pictures.photo(128, 96)
    measured = images.measure(pictures.saved(tmp_path / "x.png", image), SMALL)
    assert f"{measured.phash:016x}" == str(imagehash.phash(image))


def test_smaller_copy_has_nearly_the_same_perceptual_hash(tmp_path: Path) -> None:
    image = pictures.photo(800, 600)
    large = images.measure(pictures.saved(tmp_path / "a.jpg", image), SMALL)
    small = images.measure(pictures.saved(tmp_path / "b.jpg", image.resize((200, 150)), quality=60), SMALL)
    assert bin(large.phash ^ small.phash).count("1") <= 6


def test_mirror_image_swaps_the_hashes_and_mirrors_the_thumbnail(tmp_path: Path) -> None:
    image = pictures.photo(128, 96)
    seen = images.measure(pictures.saved(tmp_path / "a.png", image), SMALL)
    mirrored = images.measure(pictures.saved(tmp_path / "b.png", ImageOps.mirror(image)), SMALL)
    assert (mirrored.phash, mirrored.mirror_phash) == (seen.mirror_phash, seen.phash)
    rows = np.frombuffer(seen.thumbnail, np.uint8).reshape(16, 16)
    assert mirrored.thumbnail == rows[:, ::-1].tobytes()


def test_thumbnail_is_the_picture_in_gray(tmp_path: Path) -> None:
    measured = images.measure(pictures.saved(tmp_path / "x.png", pictures.gradient()), SMALL)
    rows = np.frombuffer(measured.thumbnail, np.uint8).reshape(16, 16)
    expected = np.asarray(pictures.gradient().convert("L").resize((16, 16), Image.Resampling.BOX))
    assert np.abs(rows.astype(int) - expected).max() <= 3


def test_measurements_are_those_of_this_code_version(tmp_path: Path) -> None:
    """Where this fails though nobody updated Pillow, raise images.VERSION: stored measurements are not remade else."""
    blocks = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((240, 180), Image.Resampling.NEAREST)
    measured = asdict(images.measure(pictures.saved(tmp_path / "x.png", image), SMALL))
    measured["thumbnail"] = measured["thumbnail"].hex()
    assert (images.VERSION, digest(measured)[:16]) == (3, "4cbb2367d025606f")


def test_decoder_version_names_the_libraries() -> None:
    assert all(
        f"{name} " in images.decoder_version() for name in ("pillow", "libjpeg_turbo", "littlecms2", "imagehash")
    )
    assert "None" not in images.decoder_version()
