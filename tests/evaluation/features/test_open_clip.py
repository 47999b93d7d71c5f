"""CLIP read as open_clip itself reads it, from folders and from files."""

import json
import shutil

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch

from evaluation.features import open_clip as family
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded, pictures
from training.weights import seeded

SMALL = "tiny-ViT"
CONFIGURATION = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    """A name that open_clip knows, of a network that is small."""
    path = tmp_path_factory.mktemp("configurations") / f"{SMALL}.json"
    path.write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    open_clip.add_model_config(path)
    yield SMALL
    open_clip.factory._MODEL_CONFIGS.pop(SMALL)


def test_a_folder_gives_what_open_clip_gives(saved, published):
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{saved('open_clip')}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{saved('open_clip')}")
    model.eval()
    with torch.inference_mode():
        seen = torch.cat([model.encode_image(transform(picture)[None]) for picture in pictures()])
        read = torch.cat([model.encode_text(tokenize([prompt])) for prompt in ("a tree", "music")])
    np.testing.assert_allclose(published("open_clip").images(pictures()), seen.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(published("open_clip").texts(["a tree", "music"]), read.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["safetensors", "pt", "checkpoint"])
def test_a_file_gives_the_network_of_its_architecture(architecture, layout, tmp_path):
    with seeded(0, "file"):
        model = open_clip.create_model(architecture)
    weights = model.state_dict()
    path = tmp_path / f"mine.{'safetensors' if layout == 'safetensors' else 'pt'}"
    if layout == "safetensors":
        safetensors.torch.save_file(weights, path)
    elif layout == "pt":
        torch.save(weights, path)
    else:  # as open_clip's training saves it
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}}, path)
    network = loaded("open_clip", path, architecture=architecture)
    assert network.name == f"CLIP of {path.name}"
    with torch.inference_mode():
        seen = model.eval().encode_image(
            family.image_transform_v2(family.PreprocessCfg(size=32), False)(pictures()[0])[None]
        )
    np.testing.assert_allclose(network.images(pictures()[:1]), seen.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("named", "told"), [(None, "nothing"), ("ViT-B-23", "did you mean ViT-B-32")])
def test_a_file_needs_the_name_of_its_architecture(named, told, tmp_path):
    torch.save({}, tmp_path / "w.pt")
    with pytest.raises(ConfigurationError, match=f"^architecture: .*{told}"):
        loaded("open_clip", tmp_path / "w.pt", architecture=named)


def test_weights_of_another_size_are_not_bent_to_fit(architecture, tmp_path):
    weights = open_clip.create_model(architecture).state_dict()
    weights["visual.positional_embedding"] = torch.zeros(50, 32)  # which open_clip would interpolate
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(
        ConfigurationError, match="another architecture than tiny-ViT: of other shape visual.positional"
    ):
        loaded("open_clip", tmp_path / "w.pt", architecture=architecture)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*TorchScript archive:UserWarning")
def test_a_program_of_torchscript_is_not_run(architecture, tmp_path):
    path = tmp_path / "ViT-B-32.pt"  # as OpenAI published CLIP
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ConfigurationError, match="https://huggingface.co/timm/vit_base_patch32_clip_224.openai"):
        loaded("open_clip", path, architecture=architecture)


@pytest.mark.parametrize("lacking", [family.CONFIGURATION, family.WEIGHTS[0]])
def test_a_folder_that_lacks_a_file_is_refused(lacking, saved, tmp_path):
    folder = shutil.copytree(saved("open_clip"), tmp_path / "mine")
    (folder / lacking).unlink()
    with pytest.raises(ConfigurationError, match=f"{folder}: expected {family.CONFIGURATION} and one of"):
        loaded("open_clip", folder)


@pytest.mark.parametrize("written", ["{", "{}", '{"model_cfg": {"embed_dim": 3}}', '{"model_cfg": 3}', "[]"])
def test_a_damaged_configuration_is_refused(written, saved, tmp_path):
    folder = shutil.copytree(saved("open_clip"), tmp_path / "mine")
    (folder / family.CONFIGURATION).write_text(written, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"^weights: {folder}: it cannot be read"):
        loaded("open_clip", folder)


def test_other_settings_of_the_same_weights_are_another_network(saved, published, tmp_path):
    folder = shutil.copytree(saved("open_clip"), tmp_path / "mine")
    told = json.loads((folder / family.CONFIGURATION).read_text(encoding="utf-8"))
    digests = {published("open_clip").weights_sha256}
    for changed in (
        {**told, "preprocess_cfg": {**told["preprocess_cfg"], "mean": [0.4] * 3}},
        {**told, "model_cfg": {**told["model_cfg"], "quick_gelu": True}},
    ):
        (folder / family.CONFIGURATION).write_text(json.dumps(changed), encoding="utf-8")
        digests.add(loaded("open_clip", folder).weights_sha256)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"embed_dim": 16}, "random: expected vision_cfg, text_cfg too"),
        ({**CONFIGURATION, "vision_cfg": {"widht": 3}}, "random: .*widht"),
        ({**CONFIGURATION, "embed_dim": "many"}, "random: "),
    ],
    ids=["missing", "unknown", "no_number"],
)
def test_settings_that_make_no_network_are_refused(written, told):
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        loaded("open_clip", random=written)
