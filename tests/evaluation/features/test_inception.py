"""Inception's features are those that torch-fidelity computes itself, of weights that were read safely."""

import numpy as np
import pytest
import torch

from evaluation.features import inception
from evaluation.features._weights import Published
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded, pictures


def test_features_are_those_of_torch_fidelity(saved, published):
    theirs = inception.FeatureExtractorInceptionV3(
        "i", ["2048"], feature_extractor_weights_path=str(saved("inception"))
    )
    picture = pictures(1)[0]
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())[None])[0]
    np.testing.assert_array_equal(published("inception").images([picture]), expected.numpy())


def test_pictures_that_are_not_rgb_are_seen_as_such(published):
    gray = pictures(1)[0].convert("L")
    made = published("inception").images([gray, gray.convert("RGB")])
    np.testing.assert_array_equal(made[0], made[1])


def test_a_file_of_the_published_hash_is_called_as_published(saved, monkeypatch):
    digest = inception.found.__globals__["sha256_of"](saved("inception"))
    monkeypatch.setattr(inception, "PUBLISHED", (Published("Inception v3 (torch-fidelity)", "https://x", digest[:8]),))
    assert loaded("inception", saved("inception")).name == "Inception v3 (torch-fidelity)"
    assert loaded("inception", saved("inception"), sha256=digest).name == "Inception v3 (torch-fidelity)"


def test_a_file_of_another_hash_is_refused(saved):
    with pytest.raises(ConfigurationError, match="its SHA-256 is [0-9a-f]{64}, expected 0123456789abcdef"):
        loaded("inception", saved("inception"), sha256="0123456789abcdef")


def test_without_weights_there_is_no_inception():
    with pytest.raises(ConfigurationError, match="^weights: expected some"):
        loaded("inception", random={})


def test_the_address_tells_the_beginning_of_the_hash():
    published = inception.PUBLISHED[0]
    assert f"-{published.sha256}." in published.address
