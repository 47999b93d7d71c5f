import imagehash
import numpy as np
import pytest
from PIL import Image, ImageDraw

from evaluation.extraction.perceptual_hash import HASH_BITS, PerceptualHash, distances_bits


def _picture(seed):
    draws = np.random.default_rng(seed)
    picture = Image.new("RGB", (96, 96), tuple(draws.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, width, height = draws.integers(0, 70, 4).tolist()
        pen.rectangle((x, y, x + width, y + height), fill=tuple(draws.integers(0, 255, 3).tolist()))
    return picture


def test_products_tell_in_how_many_bits_hashes_of_imagehash_differ():
    pictures = [_picture(seed) for seed in range(4)]
    vectors = PerceptualHash().images(pictures)
    assert vectors.shape == (4, HASH_BITS)
    assert vectors.dtype == np.float32
    hashes = [imagehash.phash(picture) for picture in pictures]
    assert distances_bits(vectors @ vectors.T).tolist() == [[one - other for other in hashes] for one in hashes]


def test_another_size_and_encoding_are_near_and_another_picture_is_far():
    picture = _picture(1)
    smaller = picture.resize((64, 64), Image.Resampling.LANCZOS)
    found = PerceptualHash().images([picture, smaller, _picture(2)])
    distances = distances_bits(found @ found.T)
    assert distances[0, 1] <= 8
    assert distances[0, 2] > 10


def test_no_pictures_have_no_hashes():
    assert PerceptualHash().images([]).shape == (0, HASH_BITS)


def test_it_neither_hears_nor_reads():
    with pytest.raises(TypeError, match="hears nothing"):
        PerceptualHash().sounds([np.zeros(4, dtype=np.int16)], 16_000)
    with pytest.raises(TypeError, match="reads nothing"):
        PerceptualHash().texts(["a word"])
