"""The text-to-image model that is conditioned: Stable Diffusion 1 or 2, or tiny networks of random weights.

A folder of weights has the layout of diffusers: unet, vae, text_encoder, tokenizer and scheduler, each a folder.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from rules.errors import ConfigurationError
from training import recipe
from training.diffusion.libraries import (
    AutoencoderKL,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    UNet2DConditionModel,
    disable_progress_bar,
)
from training.diffusion.noise import NoiseSchedule
from training.diffusion.tokenizer import N_TOKENS, clip_tokenizer
from training.weights import folder_of, seeded, weights_sha256

SETTING = "base.weights"
_SURE = -10.0  # logarithm of the variance of latents, about; a trained VAE is as sure of them or more
_NETWORKS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
# In float32 and safetensors: other variants lie beside them, and pickles, which can run code, are not read.
_WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
_FILES = (
    "tokenizer/*",
    "scheduler/*.json",
    *(f"{part}/config.json" for part in _NETWORKS),
    *(
        f"{part}/{name}{end}"
        for part, name in _WEIGHTS.items()
        for end in (".safetensors", ".safetensors.index.json", "-0*-of-*.safetensors")
    ),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Base:
    """The parts of a base, in float32, on the CPU, in evaluation mode.

    Args:
        sha256: of the weights of "unet", "vae" and "text_encoder", as they were loaded.
    """

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    noise: NoiseSchedule
    sha256: Mapping[str, str]


def load(base: recipe.Base, seed: int) -> Base:
    """Read a base, or draw the weights of a random one by the seed.

    Raises:
        ConfigurationError: its weights are missing, cannot be read, or are of a kind that cannot be trained.
        TransientError: they are to come from the Hub, and it is busy.
    """
    if base.random is not None:
        networks = {part: _drawn(part, base.random[part], seed) for part in ("unet", "vae", "text_encoder")}
        tokenizer, where = clip_tokenizer(), "base.random"
        noise = NoiseSchedule(base.random["scheduler"], f"{where}.scheduler")
    else:
        assert base.weights is not None  # noqa: S101 - Recipe has one of both
        folder = folder_of(base.weights, base.revision, files=_FILES, setting=SETTING)
        _expect_kind(folder)
        disable_progress_bar()  # in this process: it would garble ours
        scheduler = folder / "scheduler" / "scheduler_config.json"
        noise, where = NoiseSchedule(_json(scheduler), str(scheduler)), str(folder)
        tokenizer = _read_tokenizer(folder)
        networks = {part: _read(folder, part) for part in _NETWORKS}
    for network in networks.values():
        network.eval()
    digests = {part: weights_sha256(network) for part, network in networks.items()}
    found = Base(**networks, tokenizer=tokenizer, noise=noise, sha256=digests)
    _expect_fitting(found, where)
    return found


def _drawn(part: str, settings: Mapping[str, Any], seed: int) -> torch.nn.Module:
    """Make a network by its settings, its weights drawn by the seed."""
    where = f"base.random.{part}"
    try:
        with seeded(seed, "base", part):
            if part == "vae":
                return _sure(AutoencoderKL(**settings))
            if part == "unet":
                unet: torch.nn.Module = UNet2DConditionModel(**settings)
                return unet
            unknown = set(settings) - {field.name for field in dataclasses.fields(CLIPTextConfig)}
            if unknown:
                raise ConfigurationError(f"{where}: {', '.join(sorted(unknown))}: CLIPTextConfig has no such setting")
            return CLIPTextModel(CLIPTextConfig(**settings))
    except (ArithmeticError, TypeError, ValueError, IndexError, StrictDataclassError) as error:
        raise ConfigurationError(f"{where}: {_line(error)}") from None


def _sure(vae: AutoencoderKL) -> AutoencoderKL:
    """Let a drawn VAE vary its latents a little; else by 1, more than two pictures differ: nothing could be learned."""
    last = vae.encoder.conv_out if vae.quant_conv is None else vae.quant_conv
    with torch.no_grad():
        last.bias[vae.config.latent_channels :] += _SURE
    return vae


def _expect_kind(folder: Path) -> None:
    """Refuse what is no Stable Diffusion 1 or 2 before gigabytes are read."""
    needed = [f"{part}/config.json" for part in _NETWORKS] + ["scheduler/scheduler_config.json"]
    if (folder / "text_encoder_2").exists() or "addition_embed_type" in _given(folder / "unet" / "config.json"):
        raise ConfigurationError(
            f"{SETTING}: {folder}: it has two text encoders, as Stable Diffusion XL: expected one, as Stable Diffusion "
            "1 and 2 have; XL takes a second embedding of the prompt, and music has none"
        )
    missing = [name for name in needed if not (folder / name).is_file()]
    missing += [
        f"{part}/{name}.safetensors"
        for part, name in _WEIGHTS.items()
        if not any((folder / part / f"{name}.safetensors{end}").is_file() for end in ("", ".index.json"))
    ]
    missing += [] if (folder / "tokenizer").is_dir() else ["tokenizer"]
    if missing:
        raise ConfigurationError(
            f"{SETTING}: {folder}: there is no {', '.join(missing)}: expected a folder as diffusers' "
            "`StableDiffusionPipeline.save_pretrained` writes it, in safetensors; it may lie elsewhere: "
            f"--set {SETTING}=FOLDER, of a trained model --base FOLDER"
        )
    kind = _json(folder / "text_encoder" / "config.json").get("model_type", "clip_text_model")
    if kind != "clip_text_model":
        raise ConfigurationError(f"{SETTING}: {folder}/text_encoder: it is of kind {kind}: expected CLIP's")


def _given(config: Path) -> set[str]:
    """Return the names of the settings that have a value; none where there is no such file."""
    return {name for name, value in _json(config).items() if value is not None} if config.is_file() else set()


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {_line(error)}") from None
    if not isinstance(read, dict):
        raise ConfigurationError(f"{path}: expected settings, {{...}}")
    return read


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read(folder: Path, part: str) -> torch.nn.Module:
    """Read a network; every weight must be there, and no other."""
    dtype = {"dtype" if part == "text_encoder" else "torch_dtype": torch.float32}
    try:
        network, told = _NETWORKS[part].from_pretrained(
            folder, subfolder=part, use_safetensors=True, local_files_only=True, output_loading_info=True, **dtype
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError, StrictDataclassError) as error:
        raise ConfigurationError(f"{SETTING}: {folder / part}: cannot be read: {_line(error)}") from None
    # Older text encoders hold the numbers of their positions, too.
    unexpected = [name for name in told["unexpected_keys"] if not name.endswith("position_ids")]
    wrong = [*told["missing_keys"], *unexpected, *(str(found) for found in told["mismatched_keys"])]
    if wrong:
        raise ConfigurationError(
            f"{SETTING}: {folder / part}: its weights do not fit its config.json: {len(wrong)} are missing, too many "
            f"or of another shape, as {wrong[0]}"
        )
    result: torch.nn.Module = network
    return result


def _read_tokenizer(folder: Path) -> CLIPTokenizer:
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer", local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{SETTING}: {folder / 'tokenizer'}: cannot be read: {_line(error)}") from None
    if len(tokenizer) != N_TOKENS:
        raise ConfigurationError(
            f"{SETTING}: {folder / 'tokenizer'}: it has {len(tokenizer)} tokens: expected the {N_TOKENS} of CLIP"
        )
    return tokenizer


def _expect_fitting(base: Base, where: str) -> None:
    """Refuse parts that are not of one model."""
    unet, vae, text = base.unet.config, base.vae.config, base.text_encoder.config
    expected = {
        "unet: cross_attention_dim": (unet.cross_attention_dim, text.hidden_size, "the text encoder's hidden_size"),
        "unet: in_channels": (unet.in_channels, vae.latent_channels, "the VAE's latent_channels"),
        "unet: out_channels": (unet.out_channels, vae.latent_channels, "the VAE's latent_channels"),
        "text_encoder: vocab_size": (text.vocab_size, N_TOKENS, "the size of CLIP's vocabulary"),
    }
    for what, (found, wanted, why) in expected.items():
        if found != wanted:
            raise ConfigurationError(f"{where}: {what}: {found}: expected {wanted}, {why}")
