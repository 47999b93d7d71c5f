"""Features of a clip -> the token that stands for it in the prompt (Yariv et al. 2023, arXiv 2305.13050).

Two linear maps, then attentive pooling: factor-graph attention of one modality (Schwartz et al., CVPR 2019).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize


class Embedder(nn.Module):
    """h = fc2(GELU(fc1(features))); the token is the sum of h_t, weighted by softmax_t(r1 u_t + r2 s_t)."""

    def __init__(self, in_width: int, width: int, dropout: float) -> None:
        """Draw the weights by torch's global generator.

        Args:
            in_width: of the features: of all blocks together.
            width: of the token: that of the text encoder.
            dropout: share of the hidden layer of the unary scores that is dropped in training mode.
        """
        super().__init__()
        self.fc1 = nn.Linear(in_width, in_width)
        self.fc2 = nn.Linear(in_width, width)
        self.pooling = AttentivePooling(width, dropout)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the token of each clip, shape (n_clips, width).

        Args:
            features: shape (n_clips, n_tokens, in_width).
            mask: bool, shape (n_clips, n_tokens), True where a token counts; at least one of each clip.
        """
        features = features.masked_fill(~mask.unsqueeze(-1), 0)  # it may be anything there, also not a number
        token: Tensor = self.pooling(self.fc2(gelu(self.fc1(features))), mask)
        return token


class AttentivePooling(nn.Module):
    """How much each token counts: u_t by what it is, s_t by how it agrees with all tokens of the clip."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.unary = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.x = nn.Linear(width, width)
        self.y = nn.Linear(width, width)
        self.mix = nn.Linear(2, 1, bias=False)  # r1 and r2

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return the weighted sum of tokens, shape (n_clips, width).

        Args:
            hidden: shape (n_clips, n_tokens, width).
            mask: bool, shape (n_clips, n_tokens).
        """
        unary = self.unary(hidden).squeeze(-1)
        x, y = normalize(self.x(hidden), dim=-1), normalize(self.y(hidden), dim=-1)
        # the mean over r of <X_t, Y_r> is <X_t, mean of Y_r>: n products instead of n^2
        mean_y = y.masked_fill(~mask.unsqueeze(-1), 0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        agreement = torch.einsum("btw,bw->bt", x, mean_y.to(x.dtype))
        scores = self.mix(torch.stack([unary, agreement], dim=-1)).squeeze(-1)
        weights = scores.float().masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return (weights.unsqueeze(-1) * hidden).sum(dim=1)
