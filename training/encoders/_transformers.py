"""What the families have in common whose networks are those of transformers."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rules.errors import ConfigurationError
from training import transformers_networks
from training.encoders._settings import WHERE
from training.weights import folder_of

SETTING = "encoder.weights"


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
        return folder_of(weights, None, files=transformers_networks.FILES, setting=SETTING)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}. {_advice(get_them)}") from None


def read(kind: Any, path: Path, model_types: Collection[str], get_them: str) -> Any:  # noqa: ANN401 - of transformers
    """Read a network as `transformers_networks.read` does.

    Args:
        get_them: a sentence for those who have none.
    """
    try:
        return transformers_networks.read(kind, path, model_types)
    except ConfigurationError as error:
        raise ConfigurationError(f"{SETTING}: {error}. {_advice(get_them)}") from None


def _advice(get_them: str) -> str:
    return f"{get_them} Name a folder by `--set {SETTING}=PATH`, of a trained model by `--encoder PATH`."


def draw(kind: Any, configuration: Any, written: Mapping[str, object], seed: int) -> Any:  # noqa: ANN401
    """Build a network of drawn weights, as `transformers_networks.draw` does."""
    return transformers_networks.draw(kind, configuration, written, WHERE, seed, "encoder")


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
