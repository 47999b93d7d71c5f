"""A recipe: all that decides what is trained and how. It is YAML, typed, and any value can be set for one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from curation.store import digest
from rules.typed_files import Settings, Shelf

FOLDER = Path(__file__).parent / "recipes"
_SHELF = Shelf("recipe", FOLDER, "optimizer.learning_rate=1e-4 or epochs=3")
PLACEHOLDER = "<placeholder>"  # stands in a prompt where the token of the music goes

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Base(_Part):
    """The text-to-image model that is conditioned: from the Hub or a folder, or of random weights."""

    weights: Annotated[str | None, Field(description="owner/name on the Hub, or a folder of diffusers' layout")] = None
    revision: Annotated[str | None, Field(description="commit, tag or branch on the Hub")] = None
    random: Annotated[
        Mapping[Literal["unet", "vae", "text_encoder", "scheduler"], Settings] | None,
        Field(description="instead of weights: the settings of the four parts, whose weights are drawn by the seed"),
    ] = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.weights is None) == (self.random is None):
            raise ValueError("either weights or random, not both")
        if self.random is not None and len(self.random) < 4:
            raise ValueError("settings of all of unet, vae, text_encoder and scheduler")
        return self


class Encoder(_Part):
    """The network that hears: a file of training/encoders."""

    name: str
    weights: Annotated[str | None, Field(description="a file or folder here, or owner/name on the Hub")] = None
    random: Annotated[
        Settings | None, Field(description="instead of weights: its settings, whose weights are drawn by the seed")
    ] = None
    blocks: Annotated[
        tuple[Count, ...], Field(min_length=1, description="whose outputs are joined; the first block is 1")
    ]

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.weights is None) == (self.random is None):
            raise ValueError("either weights or random, not both")
        return self


class Lora(_Part):
    """Low-rank matrices beside the attention of the U-Net (Hu et al. 2021, arXiv 2106.09685)."""

    rank: Count = 16
    alpha: Positive = 16.0
    modules: Annotated[tuple[str, ...], Field(min_length=1)] = ("to_q", "to_k", "to_v", "to_out.0")


class Train(_Part):
    """What is trained beside the embedder; all else is frozen and stays in evaluation mode."""

    encoder: bool = False
    unet: Literal["frozen", "full", "lora"] = "frozen"
    lora: Lora = Lora()


class Loss(_Part):
    """The weights of the parts of the loss; that of the noise is 1."""

    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    label: NotNegative = 0.0
    min_snr_gamma: Annotated[Positive | None, Field(description="Hang et al. 2023, arXiv 2303.09556")] = None


class Optimizer(_Part):
    """AdamW, and the scaling of its learning rate."""

    learning_rate: Positive
    scaling: Annotated[
        Literal["none", "linear", "sqrt"],
        Field(description="by the number of items in a step: batch, accumulation and processes together"),
    ] = "none"
    betas: tuple[Share, Share] = (0.9, 0.999)
    epsilon: Positive = 1e-8
    weight_decay: NotNegative = 0.01
    max_gradient_norm: Positive | None = 1.0


class Schedule(_Part):
    """The learning rate over a run: a linear warm-up, then constant, or half a cosine to 0."""

    kind: Literal["constant", "cosine"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class Validation(_Part):
    """The loss on the split validation, with the same noise and time steps of each item at every pass."""

    every_epochs: Count = 1
    timesteps_per_item: Count = 4
    max_items: Count | None = None


class Samples(_Part):
    """The images drawn for the same clips at every pass."""

    every_epochs: Count = 1
    clips: Annotated[int, Field(ge=0)] = 4
    steps: Count = 50
    guidance: NotNegative = 7.5


class Recipe(_Part):
    """What is trained and how."""

    about: Annotated[str, Field(description="one sentence for those who choose among recipes")]
    model: Annotated[str, Field(description="a file of training/models")] = "audiotoken"
    base: Base
    encoder: Encoder
    prompt: str = f"an art image of {PLACEHOLDER}"
    duration_s: Annotated[Positive, Field(description="of each clip, from its start, that is heard")] = 30.0
    image_size_px: Annotated[int, Field(ge=8, multiple_of=8)] = 512
    crop: Literal["center", "random"] = "center"
    pairing: Annotated[
        Literal["partner", "label"],
        Field(description="a clip's own image, or one of its label that is drawn anew in each epoch"),
    ] = "partner"
    pooling_dropout: Share = 0.5
    train: Train = Train()
    loss: Loss = Loss()
    optimizer: Optimizer
    schedule: Schedule
    epochs: Count
    batch_size: Annotated[Count, Field(description="items at once in each process")]
    accumulation: Annotated[Count, Field(description="batches in a step")] = 1
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    gradient_checkpointing: bool = False
    ema_decay: Annotated[Share | None, Field(description="of the mean of the weights over steps")] = None
    cache_latents: Annotated[bool, Field(validate_default=True)] = True
    cache_features: bool = False
    checkpoint_every_steps: Count = 500
    validation: Validation = Validation()
    samples: Samples = Samples()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @field_validator("prompt")
    @classmethod
    def _has_a_place_for_the_token(cls, prompt: str) -> str:
        if prompt.split().count(PLACEHOLDER) != 1:
            raise ValueError(f"{PLACEHOLDER} once, as a word of its own")
        return prompt

    @field_validator("cache_latents")
    @classmethod
    def _latents_stay(cls, cached: bool, info: ValidationInfo) -> bool:
        if cached and info.data.get("crop") == "random":
            raise ValueError("false, where crop is random: each epoch has other latents")
        return cached

    @field_validator("cache_features")
    @classmethod
    def _features_stay(cls, cached: bool, info: ValidationInfo) -> bool:
        if cached and info.data.get("train", Train()).encoder:
            raise ValueError("false, where the encoder is trained: each step has other features")
        return cached

    @property
    def digest(self) -> str:
        """Return what two recipes have in common only if all their values are equal."""
        return digest(self.model_dump(mode="json"))


def names() -> list[str]:
    """Return the names of all recipes that come with artune."""
    return _SHELF.names()


def load(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name_or_path: one of `names()`, or a file.
        changes: values for this run, as `optimizer.learning_rate=1e-4`; a value is YAML.

    Raises:
        ConfigurationError: one line `file:line: value: expected ...` for every mistake.
    """
    return _SHELF.load(Recipe, name_or_path, changes)


def dump(recipe: Recipe) -> str:
    """Return a recipe as YAML that `load` reads back."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
