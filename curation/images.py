"""A picture file -> its measurements, and the JPEG to publish: RGB, sRGB, upright, bounded, without metadata."""

import ctypes
import errno
import functools
import hashlib
import importlib.metadata
import io
import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError, _imaging, features

# Importing a plugin registers its format: done here, so that no thread meets Pillow's own, half finished, lazy search.
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from curation.errors import ItemError
from rules.schema import ImageSettings

VERSION = 3  # raise it when the same file would give other measurements or another JPEG

# MPO, the JPEG of stereo cameras, comes with JPEG; nothing else that Pillow could open is ever tried.
FORMATS = tuple(
    str(plugin.format)
    for plugin in (AvifImageFile, BmpImageFile, GifImageFile, JpegImageFile, PngImageFile, TiffImageFile, WebPImageFile)
)
MAX_PIXELS = 89_478_485  # Pillow's own limit, where it begins to warn: 256 MB of RGB
JPEG_DRAFT_GAP = 1.0  # the decoder may shrink by 2, 4 or 8 while the sides stay this many times the result's
REDUCING_GAP = 2.0  # a box filter may shrink first while the sides stay this many times the result's
Box = tuple[float, float, float, float]
VIPS_MODES = {"L": 1, "RGB": 3}  # their bands; libvips knows nothing of the alpha and the inks of the others
GRAY_SIDE_PX = 32  # to which imagehash.phash shrinks a picture before it looks at it
THUMBNAIL_SIDE_PX = 16

# What Pillow raises on damaged files. Flipped, cut and repeated bytes in all seven formats gave OSError, SyntaxError,
# ValueError and RuntimeError; the others are what its plugins let through when a header lies about sizes and tags. An
# OSError of the machine (errno other than EINVAL, which a seek to a nonsensical offset gives) is no fault of a picture.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
BROKEN_PROFILE = (ImageCms.PyCMSError, OSError, TypeError, ValueError)

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPS_SIDES = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, RGB in sRGB, and the size that its file has when upright."""

    image: Image.Image
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a picture once it was decoded; the fields of schemas.IMAGES."""

    width_px: int  # upright, as fetched
    height_px: int
    pixels_sha256: str  # of the size and the RGB bytes after normalize
    phash: int  # 64 bits
    mirror_phash: int  # of the picture seen in a mirror
    thumbnail: bytes  # 16 x 16 gray values, row by row


def measure(path: Path, settings: ImageSettings) -> Measured:
    """Return the size and that by which exact and near duplicates are found.

    Raises:
        ItemError: "undecodable_image", "too_many_pixels" or "too_small".
    """
    import imagehash  # brings scipy: too slow for commands that measure nothing

    picture = _large_enough(path, settings)
    pixels = hashlib.sha256(f"{picture.image.width}x{picture.image.height}:".encode())
    pixels.update(picture.image.tobytes())
    gray = picture.image.convert("L").resize((GRAY_SIDE_PX, GRAY_SIDE_PX), Image.Resampling.LANCZOS)
    mirrored = gray.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Measured(
        width_px=picture.width_px,
        height_px=picture.height_px,
        pixels_sha256=pixels.hexdigest(),
        phash=int(str(imagehash.phash(gray)), 16),
        mirror_phash=int(str(imagehash.phash(mirrored)), 16),
        thumbnail=gray.reduce(GRAY_SIDE_PX // THUMBNAIL_SIDE_PX).tobytes(),
    )


def encode(path: Path, settings: ImageSettings) -> bytes:
    """Return the published JPEG: 4:2:0, no metadata, the same bytes for the same file.

    Raises:
        ItemError: "undecodable_image", "too_many_pixels" or "too_small".
    """
    picture = _large_enough(path, settings)
    out = io.BytesIO()
    picture.image.save(out, "JPEG", quality=settings.jpeg_quality, subsampling="4:2:0")
    return out.getvalue()


@functools.cache
def decoder_version() -> str:
    """Name the libraries that decide over pixels and hashes; it is part of the key under which both are stored."""
    libraries = ("libjpeg_turbo", "littlecms2", "webp", "avif", "libtiff")
    versions = [f"pillow {features.version('pil')}", *(f"{name} {features.version(name)}" for name in libraries)]
    versions.append(f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}")
    return ", ".join([*versions, f"imagehash {importlib.metadata.version('ImageHash')}"])


def normalize(path: Path, max_side_px: int) -> Picture:
    """Return the first frame: upright, in sRGB, flattened on white, 8 bits, bounded and never enlarged.

    The order decides over speed and correctness: what one color stands for is settled at full size (palette, color
    key, depth), the rest is done on the few pixels that stay (color profile, then alpha, then orientation).

    Args:
        path: a file of one of FORMATS, whatever its name.
        max_side_px: the longest side that the result may have.

    Raises:
        ItemError: "undecodable_image" or "too_many_pixels".
    """
    _silence_pillow()
    with path.open("rb") as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                width_px, height_px = image.size
                if width_px * height_px > MAX_PIXELS:
                    raise _too_many(f"{width_px:,} x {height_px:,} px")
                bounded = _bounded(image, max_side_px)
                orientation = _orientation(image)
        except Image.DecompressionBombError as error:
            raise _too_many(f"more than {2 * MAX_PIXELS:,} px") from error
        except UnidentifiedImageError as error:  # its own text holds a path of this machine
            raise ItemError("undecodable_image", f"not even the header of {', '.join(FORMATS)}") from error
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise ItemError("undecodable_image", str(error) or type(error).__name__) from error
    result = _flattened(bounded)
    if orientation in UPRIGHT:
        result = result.transpose(UPRIGHT[orientation])
    if orientation in SWAPS_SIDES:
        width_px, height_px = height_px, width_px
    result.info.clear()  # Pillow would write a comment from here into the JPEG
    return Picture(result, width_px, height_px)


@functools.cache
def _silence_pillow() -> None:
    """Keep what Pillow and libtiff think of damaged files off the terminal: a rejection says it.

    For the whole process and once: warnings.catch_warnings is not safe in threads. The pixel limit needs no warning.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    libtiff = ctypes.CDLL(_imaging.__file__)  # finds what Pillow's own extension is linked with
    for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):  # by default libtiff writes to stderr, past Python
        set_handler = getattr(libtiff, name, None)
        if set_handler is not None:  # a Pillow that was built otherwise may hide them
            set_handler(None)


def _too_many(found: str) -> ItemError:
    return ItemError("too_many_pixels", f"{found}; at most {MAX_PIXELS:,} px are decoded")


def _large_enough(path: Path, settings: ImageSettings) -> Picture:
    picture = normalize(path, settings.max_side_px)
    if min(picture.image.size) < settings.min_side_px:
        bounded = f"{picture.image.width:,} x {picture.image.height:,} px"
        found = f"{picture.width_px:,} x {picture.height_px:,} px"
        if bounded != found:
            found += f", {bounded} when bounded to {settings.max_side_px:,} px"
        raise ItemError("too_small", f"{found}; the shorter side needs at least {settings.min_side_px:,} px")
    return picture


def _bounded(image: Image.Image, max_side_px: int) -> Image.Image:
    """Decode an opened picture and shrink it, still in its own color space."""
    width_px, height_px = image.size
    scale = min(1.0, max_side_px / max(width_px, height_px))
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    drafted = image.draft(None, (int(size[0] * JPEG_DRAFT_GAP), int(size[1] * JPEG_DRAFT_GAP)))  # JPEG only
    color_key = _color_key(image)  # what it stands for is known before loading only
    image.load()
    image = _resizable(image, color_key)
    box = drafted[1] if drafted else (0.0, 0.0, float(image.width), float(image.height))
    if image.size == size:
        return image
    if image.mode in VIPS_MODES:
        image, box = _shrunk_by_vips(image, size, box, (width_px, height_px))
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def _shrunk_by_vips(
    image: Image.Image, size: tuple[int, int], box: Box, original: tuple[int, int]
) -> tuple[Image.Image, Box]:
    """Shrink in a third of Pillow's time, along the sides on which the picture ends with a whole pixel.

    libvips aligns the middles of pictures: where a decoder has padded an odd side, that would be a quarter pixel off.

    Args:
        box: left, top, right and bottom of the picture within this one.
        original: width and height that the picture had.

    Returns:
        the picture, and the box in it that is left for Pillow.
    """
    ends = (box[2], box[3])
    done = [side if whole == end else whole for side, whole, end in zip(size, image.size, ends, strict=True)]
    if done == list(image.size):
        return image, box
    _tame_vips()
    # What the decoder has shrunk is a little soft already; elsewhere the longer filter is slower and no better.
    kernel = "lanczos3" if ends != original else "cubic"
    pixels = pyvips.Image.new_from_memory(image.tobytes(), *image.size, VIPS_MODES[image.mode], "uchar")
    scale_x, scale_y = (side / whole for side, whole in zip(done, image.size, strict=True))
    shrunk = pixels.resize(scale_x, vscale=scale_y, kernel=kernel, gap=REDUCING_GAP)
    result = Image.frombytes(image.mode, (shrunk.width, shrunk.height), shrunk.write_to_memory())
    result.info = image.info  # the color profile
    right, bottom = (
        float(side) if whole == end else end for side, whole, end in zip(done, image.size, ends, strict=True)
    )
    return result, (0.0, 0.0, right, bottom)


@functools.cache
def _tame_vips() -> None:
    """Let libvips keep no picture, start no threads, for batches are the workers here, and log no calls."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    # To tell of a call it renders the picture, and tells of that, too: within the lock of one handler it waits for the
    # lock of the next, which another thread may hold.
    logging.getLogger("pyvips").setLevel(logging.WARNING)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it cannot be read; a TIFF is upright once it is loaded."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:
        return 1  # browsers, too, show a picture whose EXIF block is broken


def _color_key(image: Image.Image) -> int | tuple[int, ...] | bytes | None:
    """Return what makes pixels transparent: a color or a palette's alphas. Pillow keeps 8 of a color's 16 bits."""
    key: int | tuple[int, ...] | bytes | None = image.info.pop("transparency", None)
    if isinstance(key, tuple) and any(tile.args == "RGB;16B" for tile in getattr(image, "tile", ())):
        return tuple(value >> 8 for value in key)
    return key


def _resizable(image: Image.Image, color_key: int | tuple[int, ...] | bytes | None) -> Image.Image:
    """Return L, LA, RGB, RGBA, CMYK or LAB, 8 bits: the modes whose neighboring pixels may be mixed."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _to_8_bits(image, color_key)
    if color_key is not None and image.mode in ("1", "L", "P", "RGB"):
        image.info["transparency"] = color_key
        return image.convert("RGBA")
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        return image
    return image.convert({"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, "RGB"))


def _to_8_bits(image: Image.Image, color_key: int | tuple[int, ...] | bytes | None) -> Image.Image:
    """Scale deep gray values to L, or LA if one of them is transparent.

    16-bit values lose their low byte, as the bands of 16-bit RGB do in Pillow. Integers of 32 bits and floats do not
    say what white is: it is the smallest of the usual values that none exceeds. Negative ones and NaN are black.
    """
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        gray = (pixels >> 8).astype(np.uint8)
    else:
        values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        whites = (255.0, 65_535.0, 4_294_967_295.0) if image.mode == "I" else (1.0, 255.0, 65_535.0)
        peak = float(values.max())
        white = next((white for white in whites if peak <= white), peak)
        gray = (np.clip(values, 0.0, white) / white * 255.0 + 0.5).astype(np.uint8)
    result = Image.fromarray(gray)
    if isinstance(color_key, int):
        result.putalpha(Image.fromarray(np.where(pixels == color_key, 0, 255).astype(np.uint8)))
    result.info.update(image.info)
    return result


def _flattened(image: Image.Image) -> Image.Image:
    """Return RGB in sRGB on white."""
    if image.mode not in ("LA", "RGBA"):
        return _to_srgb(image)
    white = Image.new("RGB", image.size, "white")
    white.paste(_to_srgb(image.convert(image.mode[:-1])), mask=image.getchannel("A"))
    return white


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return RGB in sRGB from L, RGB, CMYK or LAB; a profile that is broken or of other colors counts as none."""
    data = image.info.get("icc_profile")
    if not data:
        return image if image.mode == "RGB" else image.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if image.mode == "L" and profile.profile.xcolor_space == "RGB ":
            image = image.convert("RGB")  # common in the wild, and what browsers do
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB")
        return transform.apply(image)
    except BROKEN_PROFILE:
        return image.convert("RGB")
