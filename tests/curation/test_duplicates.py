import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from curation import images
from curation.duplicates import THUMBNAIL_SIDE, Looks, near_hashes, similar_pictures
from curation.sources import sample
from rules.schema import ImageSettings
from tests import pictures

SHAPE = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)

near = st.lists(
    st.builds(
        lambda base, flips: base ^ sum({1 << bit for bit in flips}),
        st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]),
        st.lists(st.integers(0, 63), max_size=10),
    ),
    max_size=20,
).map(lambda hashes: np.array(hashes, np.uint64))


@settings(deadline=None)
@given(near, st.integers(0, 12))
def test_near_hashes_are_all_pairs_of_few_differing_bits(hashes, max_bits):
    pairs = itertools.combinations(range(len(hashes)), 2)
    right = [(a, b) for a, b in pairs if (hashes[a] ^ hashes[b]).bit_count() <= max_bits]
    assert sorted(map(tuple, np.sort(near_hashes(hashes, hashes, max_bits)).tolist())) == right


@settings(deadline=None)
@given(near, near, st.integers(0, 12))
def test_near_hashes_of_two_sets_are_all_pairs_of_few_differing_bits(a, b, max_bits):
    right = [(i, j) for i, j in np.ndindex(len(a), len(b)) if (a[i] ^ b[j]).bit_count() <= max_bits]
    assert sorted(map(tuple, near_hashes(a, b, max_bits).tolist())) == right


PAINTINGS = [
    "bruegel_harvesters.jpg",
    "hokusai_great_wave.jpg",
    "kandinsky_composition_viii.jpg",
    "leonardo_mona_lisa.jpg",
    "renoir_moulin_de_la_galette.jpg",
    "van_gogh_church_at_auvers.jpg",
]


def paintings() -> list[Image.Image]:
    return [images.normalize(sample.SAMPLE / "images" / name, 512).image for name in PAINTINGS]


def looks_of(tmp_path, shown, **options) -> Looks:
    """Measure pictures that were saved as JPEG."""
    bounds = ImageSettings(max_side_px=512, min_side_px=16)
    measured = [images.measure(pictures.saved(tmp_path / "x.jpg", image, **options), bounds) for image in shown]
    return Looks(
        hashes=np.array([each.phash for each in measured], np.uint64),
        mirror_hashes=np.array([each.mirror_phash for each in measured], np.uint64),
        thumbnails=np.frombuffer(b"".join(each.thumbnail for each in measured), np.uint8).reshape(-1, *SHAPE),
    )


def joined(a: Looks, b: Looks) -> Looks:
    return Looks(
        np.concatenate([a.hashes, b.hashes]),
        np.concatenate([a.mirror_hashes, b.mirror_hashes]),
        np.concatenate([a.thumbnails, b.thumbnails]),
    )


def cut(image: Image.Image, share: float) -> Image.Image:
    """Take away a share of the size on every side."""
    return ImageOps.crop(image, (round(share * image.width), round(share * image.height)) * 2)


def labeled(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).rectangle((0.85 * image.width, 0.95 * image.height, *image.size), fill="white")
    return image


def altered(change: str, image: Image.Image) -> Image.Image:
    changes = {
        "encoded anew": lambda: image,
        "small": lambda: image.resize((120, round(120 * image.height / image.width))),
        "stretched": lambda: image.resize((image.width, round(1.05 * image.height))),
        "cut": lambda: cut(image, 0.02),
        "bordered": lambda: ImageOps.expand(image, round(0.01 * image.width), "white"),
        "bright": lambda: ImageEnhance.Brightness(image).enhance(1.2),
        "pale": lambda: ImageEnhance.Color(image).enhance(0.6),
        "gray": lambda: image.convert("L"),
        "labeled": lambda: labeled(image),
        "mirrored": lambda: ImageOps.mirror(image),
        "mirrored, cut": lambda: ImageOps.mirror(cut(image, 0.01)),
    }
    return changes[change]()


@pytest.mark.parametrize(
    "change",
    [
        *("encoded anew", "small", "stretched", "cut", "bordered", "bright", "pale", "gray", "labeled"),
        *("mirrored", "mirrored, cut"),
    ],
)
def test_altered_copies_are_linked_and_different_paintings_are_not(tmp_path, change):
    originals = looks_of(tmp_path, paintings())
    copies = looks_of(tmp_path, [altered(change, image) for image in paintings()], quality=30)
    count = len(PAINTINGS)
    assert similar_pictures(joined(originals, copies)).tolist() == [[row, row + count] for row in range(count)]


def test_pictures_of_one_hash_that_show_different_things_are_not_linked():
    draws = np.random.default_rng(0)
    hashes = np.full(50, 0x5555_5555_5555_5555, np.uint64)
    thumbnails = draws.integers(0, 256, (50, *SHAPE), dtype=np.uint8)
    assert similar_pictures(Looks(hashes, hashes, thumbnails)).tolist() == []


def test_flat_pictures_are_not_linked(tmp_path):
    shown = [pictures.plain(color, size=size) for color in ("white", "gray") for size in ((300, 300), (300, 200))]
    assert similar_pictures(looks_of(tmp_path, shown)).tolist() == []


def test_darker_and_paler_thumbnails_agree_and_inverted_ones_do_not():
    thumbnail = np.random.default_rng(0).integers(100, 200, SHAPE, dtype=np.uint8)
    shown = np.stack([thumbnail, thumbnail // 2, thumbnail // 2 + 90, 255 - thumbnail])
    hashes = np.arange(4, dtype=np.uint64)
    found = similar_pictures(Looks(hashes, ~hashes, shown))
    assert found.tolist() == [[0, 1], [0, 2], [1, 2]]


def test_placeholders_are_linked_to_the_first_of_them_only():
    draws = np.random.default_rng(0)
    count = 3_000
    hashes, mirror_hashes = draws.integers(0, 2**64, (2, count), dtype=np.uint64)
    thumbnails = draws.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    placeholders = np.arange(7, count, 2)
    for each in (hashes, mirror_hashes, thumbnails):
        each[placeholders] = each[placeholders[0]]
    found = similar_pictures(Looks(hashes, mirror_hashes, thumbnails))
    assert found.tolist() == [[7, row] for row in placeholders[1:].tolist()]


def test_nothing_looks_like_nothing():
    nothing = Looks(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty((0, *SHAPE), np.uint8))
    assert similar_pictures(nothing).shape == (0, 2)
