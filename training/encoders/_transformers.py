"""What the families have in common whose networks are those of transformers."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from training.encoders._settings import WHERE, check_keys, drawn, listed
from training.weights import UNREADABLE, folder_of

import_torchvision()
from transformers import AutoConfig  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

# of transformers, for what it is told
REFUSALS = (
    *UNREADABLE,
    ArithmeticError,
    SafetensorError,
    StrictDataclassError,
)
FILES = ("*.json", "model*.safetensors", "pytorch_model*.bin")  # on the Hub: in folders below lie other formats
SETTING = "encoder.weights"
ADAPTER = "adapter_config.json"
NOT_NEEDED = {"masked_spec_embed"}  # drawn anew where a file lacks it; it hides parts in pretraining


def folder(weights: str, get_them: str) -> Path:
    """Return the folder of weights, which are fetched from the Hub where they are not here.

    Args:
        weights: owner/name, or a folder.
        get_them: a sentence for those who have none.

    Raises:
        ConfigurationError: there are none.
        TransientError: the Hub is busy or cannot be reached.
    """
    try:
        return folder_of(weights, None, files=FILES, setting=SETTING)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}. {_advice(get_them)}") from None


def read(kind: Any, path: Path, model_types: Collection[str], get_them: str) -> Any:  # noqa: ANN401 - of transformers
    """Read a network in float32.

    Args:
        kind: a class of transformers.
        path: the folder of its weights.
        model_types: as transformers calls what it can be, one of which its config.json must name.
        get_them: a sentence for those who have none.

    Raises:
        ConfigurationError: the weights are missing, damaged or of another network.
    """
    where, advice = f"{SETTING}: {path}", _advice(get_them)
    if (path / ADAPTER).exists():  # transformers would read the weights of whatever model it names
        raise ConfigurationError(f"{where}: expected a whole network, not an adapter of another. {advice}")
    disable_progress_bar()  # it would draw over the command's own
    try:
        # Not asked for by us, code beside weights would be offered to the user to run.
        model_type = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
        if model_type not in model_types:
            raise ConfigurationError(f"{where}: expected {' or '.join(model_types)}, not {model_type}. {advice}")
        network, told = kind.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    except REFUSALS as error:
        why = str(error).strip().partition("\n")[0][:300]
        raise ConfigurationError(f"{where}: it cannot be read ({why}). {advice}") from None
    # transformers draws what it does not find, and says so in a warning only
    lacking = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])} - NOT_NEEDED
    if lacking:
        raise ConfigurationError(f"{where}: it is of another network: without {listed(lacking)}. {advice}")
    return network


def _advice(get_them: str) -> str:
    return f"{get_them} Name a folder by `--set {SETTING}=PATH`, of a trained model by `--encoder PATH`."


def draw(kind: Any, configure: Any, written: Mapping[str, object], seed: int) -> Any:  # noqa: ANN401
    """Build a network of drawn weights.

    Args:
        kind: takes a configuration and gives the network.
        configure: a configuration class of transformers.
        written: its settings.
        seed: of the weights.

    Raises:
        ConfigurationError: there is no such setting, or there can be no such network.
    """
    check_keys(written, configure().to_dict())
    try:
        return drawn(lambda: kind(configure(**written)), seed)
    except REFUSALS as error:
        raise ConfigurationError(f"{WHERE}: {' '.join(str(error).split())[:300]}") from None


def by_length(
    waves: Tensor, lengths: Tensor, width: int, n_tokens: Callable[[int], int], hear: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Let a network hear clips of one length at a time, without what lies behind them; return features and mask.

    These networks cannot be told to leave padding out: in norms over time, windows of a fixed size or shifted windows
    it would change the features of what stands before it. Clips of one length are heard at once.

    Args:
        waves: shape (n_clips, n_samples).
        lengths: int64, shape (n_clips,).
        width: of the features.
        n_tokens: samples -> tokens.
        hear: shape (n_clips, n_samples) -> shape (n_clips, n_tokens, width).

    Raises:
        ValueError: fewer samples than make a token.
    """
    most = n_tokens(waves.shape[1])
    if most == 0:
        raise ValueError(f"{waves.shape[1]} samples make no token")
    rows_of: dict[int, list[int]] = {}
    for row, length in enumerate(lengths.tolist()):
        rows_of.setdefault(length, []).append(row)
    features: dict[int, Tensor] = {}
    for length, rows in rows_of.items():
        heard = hear(waves[rows, :length]) if n_tokens(length) else waves.new_zeros(len(rows), 0, width)
        padded = torch.nn.functional.pad(heard, (0, 0, 0, most - heard.shape[1]))
        features |= dict(zip(rows, padded, strict=True))
    whole = torch.tensor([n_tokens(length) for length in lengths.tolist()], device=waves.device)
    mask = torch.arange(most, device=waves.device) < whole[:, None]
    return torch.stack([features[row] for row in range(len(waves))]), mask
