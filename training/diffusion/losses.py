"""The parts of the loss, each by itself; all are computed in float32."""

import torch
from torch import Tensor
from torch.nn import functional

from training import recipe
from training.batch import Losses


def noise_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean square error of each item, shape (B,), of what was predicted; both have shape (B, C, h, w)."""
    return (predicted.float() - target.float()).square().flatten(1).mean(1)


def min_snr_weights(snr: Tensor, gamma: float, prediction_type: str) -> Tensor:
    """Return how much the noise of each item counts (Hang et al. 2023, arXiv 2303.09556, section 3.4).

    An error of the clean latents is to count min(snr, gamma). That of the noise is 1 / snr as large, and that of the
    velocity 1 / (snr + 1).

    Args:
        snr: ratio of signal to noise, shape (B,); 0 is allowed, the weight has its limit there.
        prediction_type: epsilon or v_prediction.
    """
    if prediction_type == "epsilon":
        return (gamma / snr).clamp(max=1)
    return snr.clamp(max=gamma) / (snr + 1)


def mean_magnitude(tokens: Tensor) -> Tensor:
    """Return the mean of the magnitudes of tokens of shape (B, width)."""
    return tokens.abs().mean()


def squared_length(tokens: Tensor) -> Tensor:
    """Return the mean over the batch of the squared lengths of tokens of shape (B, width)."""
    return tokens.square().sum(1).mean()


def label_distance(tokens: Tensor, of_labels: Tensor) -> Tensor:
    """Return the mean over the batch of (1 - cosine) squared, between tokens and embeddings of shape (B, width)."""
    return (1 - functional.cosine_similarity(tokens, of_labels, dim=1)).square().mean()


def joined(noise: Tensor, tokens: Tensor, of_labels: Tensor, weights: recipe.Loss) -> Losses:
    """Return the loss of a batch.

    Args:
        noise: the error of each item, weighted by min-SNR if it is to be, shape (B,).
        tokens: of the music, shape (B, width).
        of_labels: the embeddings of the items' labels, shape (B, width).
        weights: of the parts; a part without weight is left out.
    """
    tokens = tokens.float()
    parts = {"noise": noise.mean()}
    if weights.l1:
        parts["l1"] = weights.l1 * mean_magnitude(tokens)
    if weights.l2:
        parts["l2"] = weights.l2 * squared_length(tokens)
    if weights.label:
        parts["label"] = weights.label * label_distance(tokens, of_labels.float())
    total = torch.stack(list(parts.values())).sum()
    return Losses(total, {name: part.detach() for name, part in parts.items()})
