"""BEATs (Chen et al. 2022, BEATs: Audio Pre-Training with Acoustic Tokenizers, arXiv 2212.09058).

Patches of 16 x 16 of the filter bank, and blocks of a transformer with gated relative position bias and deep norm.
Names and shapes are those of the published files, so these load as they are.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from rules.errors import ConfigurationError
from training import recipe
from training.encoders._filter_bank import HOP_SAMPLES, MEL_BINS, SAMPLE_RATE_HZ, WINDOW_SAMPLES, FilterBank, frames_of
from training.encoders._settings import WHERE, drawn
from training.weights import content_of, differences
from training.written_settings import validated

PATCH = 16  # frames and mel bins
PATCHES_PER_STEP = MEL_BINS // PATCH
FULL_SCALE = (
    2.0**15
)  # of samples; the next two are of their log energies in AudioSet. All as the authors' code has them
MEAN, DEVIATION = 15.41663, 6.55582
SHARED_BIAS = "self_attn.relative_attention_bias.weight"
GET_THEM = (
    "The published files are listed at https://github.com/microsoft/unilm/tree/master/beats; "
    "name the one that you saved by `--set encoder.weights=PATH`, of a trained model by `--encoder PATH`."
)

# setting here -> name in a published file
NAMES = {
    "width": "encoder_embed_dim",
    "blocks": "encoder_layers",
    "heads": "encoder_attention_heads",
    "hidden": "encoder_ffn_embed_dim",
    "patch_width": "embed_dim",
    "buckets": "num_buckets",
    "max_distance": "max_distance",
    "position_width": "conv_pos",
    "position_groups": "conv_pos_groups",
}
DROPOUTS = {"dropout": "dropout", "attention_dropout": "attention_dropout", "hidden_dropout": "activation_dropout"}
# what this code is written for, and all published files tell of themselves
EXPECTED: Mapping[str, object] = {
    "input_patch_size": PATCH,
    "conv_bias": False,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}


class Sizes(BaseModel):
    """The defaults are those of the published files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(768, ge=1)
    blocks: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    hidden: int = Field(3072, ge=1)
    patch_width: int = Field(512, ge=1)
    buckets: int = Field(320, ge=4, multiple_of=4)
    max_distance: int = Field(800, ge=2)
    position_width: int = Field(128, ge=2, multiple_of=2)
    position_groups: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    hidden_dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads or self.width % self.position_groups:
            raise ValueError(f"width {self.width}: expected a multiple of heads and of position_groups")
        if self.max_distance <= self.buckets // 4:
            raise ValueError(f"max_distance {self.max_distance}: expected more than a quarter of buckets")
        return self


class Attention(nn.Module):
    """Attention to all tokens, with a bias by distance that each token opens or closes for itself."""

    def __init__(self, sizes: Sizes, *, has_bias: bool) -> None:
        super().__init__()
        self.heads, self.dropout = sizes.heads, sizes.attention_dropout
        self.k_proj = nn.Linear(sizes.width, sizes.width)
        self.v_proj = nn.Linear(sizes.width, sizes.width)
        self.q_proj = nn.Linear(sizes.width, sizes.width)
        self.out_proj = nn.Linear(sizes.width, sizes.width)
        self.grep_linear = nn.Linear(sizes.width // sizes.heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, sizes.heads, 1, 1))
        if has_bias:  # one for all blocks: the first has it
            self.relative_attention_bias = nn.Embedding(sizes.buckets, sizes.heads)

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        """Return what each token heard, shape (n_clips, n_tokens, width).

        Args:
            x: shape (n_clips, n_tokens, width).
            bias: by distance, shape (heads, n_tokens, n_tokens).
            mask: bool, shape (n_clips, n_tokens): which tokens are heard.
        """
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        # The gate sees the projected query before it is scaled; in WavLM, whose bias this is, it sees the token itself.
        opened, kept = self.grep_linear(q).unflatten(-1, (2, 4)).sum(dim=-1).sigmoid().split(1, dim=-1)
        gated = ((opened * (kept * self.grep_a - 1) + 2) * bias).to(q.dtype)
        # Finite, so that a clip without any token is no softmax over nothing, which is NaN for some kernels.
        gated = gated.masked_fill(~mask[:, None, None, :], torch.finfo(q.dtype).min)
        dropout = self.dropout if self.training else 0.0
        heard = functional.scaled_dot_product_attention(q, k, v, attn_mask=gated, dropout_p=dropout)
        result: Tensor = self.out_proj(heard.transpose(1, 2).flatten(-2))
        return result


class Block(nn.Module):
    """Attention and two linear maps; each sum is normalized (deep norm: Wang et al. 2022, arXiv 2203.00555)."""

    def __init__(self, sizes: Sizes, *, has_bias: bool) -> None:
        super().__init__()
        self.self_attn = Attention(sizes, has_bias=has_bias)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.hidden)
        self.fc2 = nn.Linear(sizes.hidden, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)
        self.dropout = nn.Dropout(sizes.dropout)
        self.hidden_dropout = nn.Dropout(sizes.hidden_dropout)
        self.alpha = (2 * sizes.blocks) ** 0.25

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self.alpha * x + self.dropout(self.self_attn(x, bias, mask)))
        hidden = self.fc2(self.hidden_dropout(functional.gelu(self.fc1(x))))
        result: Tensor = self.final_layer_norm(self.alpha * x + self.dropout(hidden))
        return result


class PositionConvolution(nn.Module):
    """A convolution over time, of as many tokens as it is given; its weight is v, scaled to the norm g at each tap."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, groups, taps = sizes.width, sizes.position_groups, sizes.position_width
        self.groups, self.padding = groups, taps // 2
        self.weight_v = nn.Parameter(
            torch.empty(width, width // groups, taps).normal_(std=math.sqrt(4 / (taps * width)))
        )
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(0, 1), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        after = functional.conv1d(x.transpose(1, 2), weight, self.bias, padding=self.padding, groups=self.groups)
        return after[..., :-1].transpose(1, 2)  # an even number of taps gives one too many


class Transformer(nn.Module):
    """The part whose names begin with `encoder.` in the published files."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(PositionConvolution(sizes), nn.GELU())
        self.layer_norm = nn.LayerNorm(sizes.width)
        self.layers = nn.ModuleList(Block(sizes, has_bias=number == 0) for number in range(sizes.blocks))


class Beats(nn.Module):
    """Waveform -> outputs of blocks; see `training.encoders.Encoder`."""

    sample_rate_hz = SAMPLE_RATE_HZ
    min_samples = WINDOW_SAMPLES + (PATCH - 1) * HOP_SAMPLES

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes, self.width, self.n_blocks = sizes, sizes.width, sizes.blocks
        self.filter_bank = FilterBank("povey", FULL_SCALE, MEAN, DEVIATION)
        self.patch_embedding = nn.Conv2d(1, sizes.patch_width, PATCH, PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(sizes.patch_width)
        is_as_wide = sizes.patch_width == sizes.width  # then the published code has no projection
        self.post_extract_proj = nn.Identity() if is_as_wide else nn.Linear(sizes.patch_width, sizes.width)
        self.encoder = Transformer(sizes)
        self.has_checkpointing = False
        _draw(self)

    def enable_gradient_checkpointing(self) -> None:
        self.has_checkpointing = True

    def forward(self, waves: Tensor, lengths: Tensor, blocks: Sequence[int]) -> tuple[Tensor, Tensor]:
        if waves.shape[1] < self.min_samples:
            raise ValueError(f"{waves.shape[1]} samples: expected at least {self.min_samples}")
        lengths = lengths.to(waves.device)
        patches = self.patch_embedding(self.filter_bank(waves).unsqueeze(1))
        x = self.post_extract_proj(self.layer_norm(patches.flatten(2).transpose(1, 2)))
        whole = frames_of(lengths) // PATCH * PATCHES_PER_STEP  # a patch with a frame of other samples does not count
        mask = torch.arange(x.shape[1], device=x.device) < whole[:, None]
        others = ~mask.unsqueeze(-1)
        x = x.masked_fill(others, 0)  # the convolution reaches over 64 tokens
        x = self.encoder.layer_norm(x + self.encoder.pos_conv(x))
        outputs = self._outputs(functional.dropout(x, self.sizes.dropout, self.training), mask, max(blocks))
        return torch.cat([outputs[block - 1] for block in blocks], dim=-1).masked_fill(others, 0), mask

    def _outputs(self, x: Tensor, mask: Tensor, last_block: int) -> list[Tensor]:
        """Return the outputs of the first blocks."""
        bias = self._position_bias(x.shape[1])
        outputs = []
        for block in self.encoder.layers[:last_block]:
            if self.has_checkpointing and self.training and torch.is_grad_enabled():
                x = checkpoint(block, x, bias, mask, use_reentrant=False)
            else:
                x = block(x, bias, mask)
            outputs.append(x)
        return outputs

    def _position_bias(self, n_tokens: int) -> Tensor:
        """Return the bias of token i for token j, which is that of j - i, shape (heads, n_tokens, n_tokens)."""
        embedding = self.encoder.layers[0].self_attn.relative_attention_bias
        distances = torch.arange(-n_tokens + 1, n_tokens, device="cpu")  # on a GPU the logarithm may round otherwise
        of_distance = embedding(buckets(distances, self.sizes).to(embedding.weight.device)).T
        return of_distance.unfold(-1, n_tokens, 1).flip(-2)


def buckets(distances: Tensor, sizes: Sizes) -> Tensor:
    """Return the number of the bucket of each distance, as in T5 (Raffel et al. 2020, arXiv 1910.10683), int64.

    Half of the buckets are for tokens that come later. Half of these hold one distance each, the others widen with its
    logarithm up to max_distance, and the last one holds all that is farther.
    """
    half, exact = sizes.buckets // 2, sizes.buckets // 4
    far = (distances.abs().clamp(min=1).float() / exact).log() / math.log(sizes.max_distance / exact) * (half - exact)
    far = (exact + far.long()).clamp(max=half - 1)
    return (distances > 0) * half + torch.where(distances.abs() < exact, distances.abs(), far)


def load(encoder: recipe.Encoder, seed: int) -> Beats:
    if encoder.weights is None:
        sizes = validated(Sizes, encoder.random or {}, WHERE)
        network = drawn(lambda: Beats(sizes), seed)
    else:
        network = _read(Path(encoder.weights).expanduser())
    network.eval()
    return network


def _draw(network: Beats) -> None:
    """Draw weights that deep norm can be trained from (arXiv 2203.00555, table 1)."""
    beta = (8 * network.sizes.blocks) ** -0.25
    nn.init.normal_(network.encoder.layers[0].self_attn.relative_attention_bias.weight, std=0.02)
    for block in network.encoder.layers:
        attention = block.self_attn
        for part in (attention.q_proj, attention.k_proj):
            nn.init.xavier_normal_(part.weight)
        for part in (attention.v_proj, attention.out_proj, block.fc1, block.fc2):
            nn.init.xavier_normal_(part.weight, gain=beta)


def _read(path: Path) -> Beats:
    """Read a published file.

    Raises:
        ConfigurationError: it is missing, damaged or not of BEATs.
    """
    where = f"encoder.weights: {path.absolute()}"
    if not path.is_file():
        raise ConfigurationError(f"{where}: there is no such file. {GET_THEM}")
    try:
        content = content_of(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"encoder.weights: {error}. {GET_THEM}") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(part), dict) for part in ("cfg", "model")):
        raise ConfigurationError(f"{where}: expected the parts cfg and model. {GET_THEM}")
    network = Beats(_sizes(content["cfg"], where))
    _fill(network, content["model"], where)
    return network


def _sizes(told: Mapping[str, object], where: str) -> Sizes:
    """Return the sizes that a file tells of itself.

    What it tells of its own training beside dropout is left to the recipe: blocks skipped by chance have no gradient
    when several processes add theirs up, and gradients that shrink from block to block are all the same to AdamW.
    """
    missing = [name for name in (*NAMES.values(), *EXPECTED) if name not in told]
    other = [f"{name} {told[name]!r}" for name, value in EXPECTED.items() if name in told and told[name] != value]
    if missing or other:
        found = [f"no {name}" for name in missing] + other
        raise ConfigurationError(f"{where}: its cfg is not that of BEATs: {', '.join(found)}. {GET_THEM}")
    written = {ours: told[theirs] for ours, theirs in NAMES.items()}
    dropouts = {ours: told[theirs] for ours, theirs in DROPOUTS.items() if theirs in told}
    return validated(Sizes, {**written, **dropouts}, WHERE)


def _fill(network: Beats, read: Mapping[str, Tensor], where: str) -> None:
    """Put all that was read into a network, by name."""
    weights = {name: weight for name, weight in read.items() if not name.startswith("predictor.")}  # of classes
    first = f"encoder.layers.0.{SHARED_BIAS}"
    for number in range(1, network.n_blocks):  # published files hold it once for each block
        again = weights.pop(f"encoder.layers.{number}.{SHARED_BIAS}", None)
        if again is not None and not (first in weights and torch.equal(again, weights[first])):
            raise ConfigurationError(f"{where}: the position biases of its blocks differ. {GET_THEM}")
    if told := differences(network, weights):
        raise ConfigurationError(f"{where}: it is not of BEATs: {told}. {GET_THEM}")
    network.load_state_dict(weights)
