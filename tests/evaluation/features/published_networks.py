"""Tiny networks of random weights, saved in the layouts in which the real ones are published."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from evaluation import networks
from evaluation.features import Extractor, Wave, get, inception, wav2clip
from evaluation.networks import Network
from tests.curation.models.checkpoints import save_clip
from training.weights import seeded

DINOV2 = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
WIDTHS = {"clap": 16, "dinov2": 16, "efficientnet_lite": 1280, "inception": 2048, "open_clip": 16, "wav2clip": 16}
OF_TRAINING = {  # what the published file of Wav2CLIP holds beside the network
    "image_transform.sequential.0.weight": torch.zeros(2, 2),
    "loss_fn_a.logit_scale": torch.ones([]),
}


def loaded(family: str, weights: Path | str | None = None, **written: object) -> Extractor:
    told = {"name": family, "weights": None if weights is None else str(weights), **written}
    return get(family).load(Network.model_validate(told), seed=3)


def save(family: str, folder: Path) -> Path | None:
    """Return where a network of a family was saved; None if its weights come with a package."""
    if family == "efficientnet_lite":
        return None
    with seeded(0, family):
        path: Path = globals()[f"_save_{family}"](folder)
    return path


def _save_open_clip(folder: Path) -> Path:
    return save_clip(folder / "clip")


def _save_wav2clip(folder: Path) -> Path:
    return save_wav2clip(folder / "Wav2CLIP.pt", width=2)


def save_wav2clip(path: Path, width: int, **others: object) -> Path:
    network = wav2clip.Wav2Clip(wav2clip.Sizes(width=width))
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):  # of a trained network they are not 0 and 1
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 1.5)
    torch.save({**network.state_dict(), **OF_TRAINING, **others}, path)
    return path


def _save_clap(folder: Path) -> Path:
    return save_clap(folder / "clap")


def save_clap(path: Path, **audio: object) -> Path:
    from transformers import ClapConfig, ClapModel

    text = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    sound = {**(networks.load("stand-ins").sound.random or {}), **audio}
    ClapModel(ClapConfig(text_config=text, audio_config=sound, projection_dim=16)).save_pretrained(path)
    return path


def _save_dinov2(folder: Path) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    path = folder / "dinov2"
    Dinov2Model(Dinov2Config(**DINOV2)).save_pretrained(path)
    return path


def _save_inception(folder: Path) -> Path:
    kind = inception.FeatureExtractorInceptionV3
    with patch.object(kind, "load_state_dict"), patch("torch.load"):  # the class reads weights as soon as it is made
        network = kind("inception", ["2048"], feature_extractor_weights_path="none")
    path = folder / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


def pictures(n: int = 3) -> list[Image.Image]:
    """Return pictures of different shapes that are no noise."""
    random = np.random.default_rng(5)
    sizes = [(70 + 30 * number, 90) for number in range(n)]
    small = [Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for _ in range(n)]
    return [picture.resize(size, Image.Resampling.BICUBIC) for picture, size in zip(small, sizes, strict=True)]


def waves(sample_rate_hz: int, n: int = 3, duration_s: float = 0.5) -> list[Wave]:
    """Return clips of noise of different colors, each a little longer than the one before."""
    random = np.random.default_rng(6)
    lengths = [round(sample_rate_hz * duration_s * (1 + number / 10)) for number in range(n)]
    made = [np.convolve(random.standard_normal(length), np.ones(2 + 5 * k), "same") for k, length in enumerate(lengths)]
    return [(wave / np.abs(wave).max() * 20_000).astype(np.int16) for wave in made]
