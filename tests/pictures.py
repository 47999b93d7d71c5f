"""Small pictures, made when they are needed: gradients and noise by numpy, files by Pillow."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms


def gradient(width_px: int = 240, height_px: int = 180) -> Image.Image:
    """Return red growing to the right and green growing downward: every pixel tells where it belongs."""
    pixels = np.zeros((height_px, width_px, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width_px).astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height_px).astype(np.uint8)[:, None]
    pixels[..., 2] = 64
    return Image.fromarray(pixels)


def plain(color: str | tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (200, 200)) -> Image.Image:
    return Image.new(mode, size, color)


def photo(width_px: int, height_px: int, seed: int = 0) -> Image.Image:
    """Return noise whose octaves fade as those of photographs do."""
    rng, pixels = np.random.default_rng(seed), np.zeros((height_px, width_px, 3), np.float32)
    cell_px = 2
    while cell_px < max(width_px, height_px):
        grid = rng.normal(size=(max(2, height_px // cell_px), max(2, width_px // cell_px), 3)).astype(np.float32)
        for band in range(3):
            octave = Image.fromarray(grid[..., band]).resize((width_px, height_px), Image.Resampling.BICUBIC)
            pixels[..., band] += np.asarray(octave) * cell_px**0.35
        cell_px *= 2
    pixels = (pixels - pixels.mean()) / pixels.std() * 50 + 128
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def profile(red: Sequence[float], green: Sequence[float], blue: Sequence[float]) -> bytes:
    """Return an ICC matrix profile (version 2, gamma 1) with these primaries, each as XYZ under D50."""
    xyz = [b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in primary)) for primary in (red, green, blue)]
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0) + b"\0\0\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(8 + 3 + 67 + 1)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    names = [b"desc", b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"]
    blocks = [text, white, *xyz, curve, curve, curve]
    table, data, offset = struct.pack(">I", len(names)), b"", 128 + 4 + 12 * len(names)
    for name, block in zip(names, blocks, strict=True):
        block += bytes(-len(block) % 4)
        table += name + struct.pack(">2I", offset + len(data), len(block))
        data += block
    size = offset + len(data)
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(">I4xI4s4s4s", size, 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    return (head.ljust(68, b"\0") + illuminant).ljust(128, b"\0") + table + data


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    """Write a picture in the format that the path's ending names."""
    image.save(path, **options)
    return path


def as_bytes(image: Image.Image, image_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def png(width_px: int, height_px: int, depth: int, color_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """Return a PNG with this header, whatever the rows hold: Pillow writes neither bombs nor 16-bit RGB."""
    header = struct.pack(">2I5B", width_px, height_px, depth, color_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
