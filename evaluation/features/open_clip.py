"""CLIP (Radford et al. 2021, arXiv 2103.00020) by open_clip: pictures and words as vectors in one space.

Of a picture the middle is seen, its shorter side resized as the network's own configuration tells.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from curation.torch_imports import import_torchvision
from evaluation.features import Features
from evaluation.features._extracting import STAND_IN, Extracting
from evaluation.features._weights import Published, found, reading
from rules.errors import ConfigurationError
from rules.spelling import closest
from rules.validating import did_you_mean
from training.weights import UNREADABLE, content_of, differences, seeded
from training.written_settings import check_keys

import_torchvision()
import open_clip  # noqa: E402
from open_clip.model import CLIP, set_model_preprocess_cfg  # noqa: E402
from open_clip.transform import PreprocessCfg, image_transform_v2  # noqa: E402
from open_clip.transformer import QuickGELU  # noqa: E402

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"images", "texts"})
VERSION = 1
# What open_clip 3.3 itself fetches for `openai`; the activations that OpenAI trained with are told in their
# configurations.
PUBLISHED = (
    Published("CLIP ViT-B/32 (openai)", "timm/vit_base_patch32_clip_224.openai"),
    Published("CLIP ViT-L/14@336 (openai)", "timm/vit_large_patch14_clip_336.openai"),
)
CONFIGURATION = "open_clip_config.json"
# in the order in which open_clip looks for them
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.*", "merges.txt", "*.model")
RANDOM = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")  # settings of open_clip's CLIP


class _Extractor(Extracting):
    def __init__(self, name: str, network: nn.Module, tokenize: Any) -> None:  # noqa: ANN401 - of open_clip
        seen = network.visual.preprocess_cfg
        is_quick = any(isinstance(part, QuickGELU) for part in network.modules())
        settings = json.dumps({"seen": seen, "quick_gelu": is_quick}, sort_keys=True)
        super().__init__(name, network, _width(network), VERSION, settings)
        self._tokenize = tokenize
        self._transform = image_transform_v2(PreprocessCfg(**seen), is_train=False)

    def images(self, pictures: Sequence[Image.Image]) -> Features:
        return self.passed(pictures, self._prepared, self.network.encode_image)

    def _prepared(self, picture: Image.Image) -> Tensor:
        prepared: Tensor = self._transform(picture.convert("RGB"))
        return prepared

    def texts(self, prompts: Sequence[str]) -> Features:
        return self.passed(prompts, lambda prompt: self._tokenize([prompt])[0], self.network.encode_text)


def _width(network: nn.Module) -> int:
    with torch.inference_mode():
        side = network.visual.image_size
        height, width = side if isinstance(side, tuple) else (side, side)
        return int(network.eval().encode_image(torch.zeros(1, 3, height, width)).shape[1])


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is None:
        return _drawn(network.random or {}, seed)
    weights = found(network, "CLIP", PUBLISHED, (CONFIGURATION, *WEIGHTS, *TOKENIZER))
    if weights.path.is_dir():
        name, file = f"local-dir:{weights.path}", _file_in
    else:
        name, file = _known(network.architecture), Path
    return reading(lambda: _read(name, file(weights.path), weights.name), PUBLISHED)


def _drawn(written: Mapping[str, Any], seed: int) -> _Extractor:
    check_keys(written, RANDOM, "random")
    missing = [key for key in RANDOM[:3] if key not in written]
    if missing:
        raise ConfigurationError(f"random: expected {', '.join(missing)} too, as in open_clip's configurations")
    try:
        with seeded(seed, "open_clip"):
            network = CLIP(**written)
    except (*UNREADABLE, ArithmeticError) as error:
        raise ConfigurationError(f"random: {' '.join(str(error).split())[:300]}") from None
    set_model_preprocess_cfg(network, asdict(PreprocessCfg(size=network.visual.image_size)))
    tokenize = open_clip.SimpleTokenizer(context_length=network.context_length)
    return _Extractor(f"{STAND_IN}random CLIP", network, tokenize)


def _known(architecture: str | None) -> str:
    """Return the name of an architecture that open_clip knows.

    Raises:
        ConfigurationError: it does not, or none is named.
    """
    known = open_clip.list_models()
    if architecture in known:
        return str(architecture)
    told = architecture or "nothing"
    raise ConfigurationError(
        f"architecture: {told}: expected that of the file, as open_clip calls it, like ViT-B-32; of OpenAI's weights "
        f"it ends with -quickgelu{did_you_mean(closest(told, known))}"
    )


def _file_in(folder: Path) -> Path:
    """Return the file of weights in a folder of open_clip's layout.

    Raises:
        ConfigurationError: something of it is missing.
    """
    there = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not there or not (folder / CONFIGURATION).is_file():
        raise ConfigurationError(f"{folder}: expected {CONFIGURATION} and one of {', '.join(WEIGHTS)} in it")
    return there[0]


def _read(model: str, file: Path, name: str) -> _Extractor:
    """Read a network.

    Args:
        model: as open_clip calls it, which builds it without its weights.

    Raises:
        ConfigurationError: it is damaged or of another architecture.
    """
    weights = _unwrapped(content_of(file), file)
    try:
        network = open_clip.create_model(model, load_weights=False, pretrained_text=False)
        tokenize = open_clip.get_tokenizer(model)
    except (*UNREADABLE, ArithmeticError) as error:
        raise ConfigurationError(f"{file.parent}: it cannot be read ({' '.join(str(error).split())[:300]})") from None
    if told := differences(network, weights):
        raise ConfigurationError(f"{file}: it is of another architecture than {model}: {told}")
    network.load_state_dict(weights)
    return _Extractor(name, network, tokenize)


def _unwrapped(content: Any, file: Path) -> dict[str, Any]:  # noqa: ANN401 - what somebody else wrote
    """Return weights by their names, without what open_clip's training puts around them."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ConfigurationError(f"{file}: expected weights by their names")
    return {name.removeprefix("module."): weight for name, weight in content.items()}
