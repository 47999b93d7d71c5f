"""What the networks get of a pair: how it is made of the published media, and under which key it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from curation.store import digest
from rules.errors import ConfigurationError
from training import draws
from training.data import Split
from training.reading import media
from training.reading.media import Clip
from training.recipe import Recipe

Column = Literal["image", "audio"]
Entry = Mapping[str, Tensor]  # "moments"; or "features" and "mask"; or "wave"


class Encodes(Protocol):
    """The frozen networks that come before what is trained; `training.models.audiotoken.AudioToken` is one."""

    base_sha256: Mapping[str, str]

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def feature_dtype(self) -> torch.dtype: ...

    def moments(self, pixels: Tensor) -> Tensor:
        """Return the moments of the latents of one picture, uint8 of shape (3, S, S); without gradients."""
        ...

    def features(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of one clip, float32 of shape (N,), and their mask; without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class Want:
    """The picture or the sound of one row.

    Attributes:
        crop: what decides over which part of a picture is taken; None is the middle.
    """

    column: Column
    row: int
    crop: tuple[int | str, ...] | None = None


class Encoding:
    """How the media of a split become what a model of a recipe takes.

    Raises:
        ConfigurationError: the clips are shorter than what the recipe wants to hear.
    """

    def __init__(self, split: Split, recipe: Recipe, model: Encodes) -> None:
        self.split = split
        self._recipe = recipe
        self._model = model
        self._size_px = recipe.image_size_px
        self._samples = round(recipe.duration_s * model.sample_rate_hz)
        shortest_s = min(split.pairs["music_duration_s"].unique().to_pylist())
        if recipe.duration_s > shortest_s:
            raise ConfigurationError(
                f"duration_s: {recipe.duration_s:g}: the clips of {split.revision.location} have {shortest_s:g} s: "
                f"expected at most that; --set duration_s={shortest_s:g}"
            )
        self._of_image = self._words("image")
        self._of_audio = self._words("audio")

    def key(self, want: Want) -> str | None:
        """Return under which key the result is cached; None: it is another one each time.

        The key holds what the result is made from: the blob and how the release made its picture or clip of it, what is
        taken of that, and the network. Releases of the same rules share what they have in common; a blob that another
        decoder made a picture of counts as the same.
        """
        row = {name: self.split.pairs[name][want.row].as_py() for name in _IDENTITY[want.column]}
        if want.column == "audio":
            return digest([self._of_audio, row])
        return digest([self._of_image, row]) if self._recipe.cache_latents and want.crop is None else None

    def decoded_bytes(self, column: Column) -> int:
        """Return how much memory `decoded` takes."""
        return 3 * self._size_px**2 if column == "image" else 2 * self._samples

    def decoded(self, want: Want, content: media.Content | None) -> Tensor:
        """Return a picture, uint8 of shape (3, S, S), or a clip, int16 of shape (N,); threads may call it.

        Raises:
            ItemError: the published file is damaged, or not what the release says of it.
        """
        if want.column == "image":
            draw = None if want.crop is None else draws.generator(*want.crop)
            return torch.from_numpy(media.picture(content, self._size_px, draw))
        clip = Clip(self.split.revision.sample_rate_hz, self.split.pairs["music_duration_s"][want.row].as_py())
        heard = media.wave(content, self._model.sample_rate_hz, self._recipe.duration_s, clip)
        return torch.from_numpy(heard)

    def needs_network(self, column: Column) -> bool:
        """Say whether `encoded` asks a network, which only one thread may do."""
        return column == "image" or self._recipe.cache_features

    def encoded(self, want: Want, decoded: Tensor) -> Entry:
        """Return what is kept: of a picture its moments; of a clip its features if these are cached, else itself."""
        if not self.needs_network(want.column):
            return {"wave": decoded}
        if want.column == "image":
            return {"moments": self._model.moments(decoded).cpu()}
        features, mask = self._model.features(media.samples(decoded.numpy()))
        return {"features": features.cpu(), "mask": mask.cpu()}

    def _words(self, column: Column) -> list[object]:
        recipe, made = self._recipe, [media.VERSION, self.split.revision.media]
        if column == "image":
            settings = recipe.base.random and dict(recipe.base.random["vae"])
            return ["moments", *made, self._model.base_sha256["vae"], settings, self._size_px]
        heard = [*made, self.split.revision.sample_rate_hz, self._model.sample_rate_hz, recipe.duration_s]
        if not recipe.cache_features:
            return ["wave", *heard]
        network = recipe.encoder.model_dump(
            mode="json", exclude={"weights"}
        )  # blocks, and settings that are no weights
        return ["features", *heard, self._model.base_sha256["encoder"], network, str(self._model.feature_dtype)]


_IDENTITY = {
    "image": ("image_sha256",),
    "audio": ("music_sha256", "music_start_s", "music_duration_s"),
}
