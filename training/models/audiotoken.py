"""AudioToken (Yariv et al. 2023, arXiv 2305.13050): music becomes one token in the prompt of Stable Diffusion."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self, cast

import torch
from PIL import Image
from torch import Tensor, nn

from rules.errors import ConfigurationError
from training import encoders
from training.batch import Batch, Draws, Losses
from training.diffusion import base, generation, losses
from training.diffusion.conditioning import Conditioning
from training.diffusion.libraries import AutoencoderKL
from training.diffusion.trained_parts import add_lora, keep_in, train_what_is_heard
from training.embedder import Embedder
from training.recipe import Recipe
from training.weights import seeded, weights_sha256

_DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_NAMED = 3  # of the weights that do not fit


class AudioToken(nn.Module):
    """A base, an encoder that hears, and the embedder between them; what the recipe does not train is frozen.

    Attributes:
        base_sha256: of the weights of "unet", "vae", "text_encoder" and "encoder", before any training.
        feature_dtype: of `features`: what they are cast to by the mixed precision of the recipe anyway.
    """

    def __init__(self, recipe: Recipe, parts: base.Base, encoder: encoders.Encoder, label_names: Sequence[str]) -> None:
        """Join the parts; `build` is what reads them."""
        super().__init__()
        encoders.check_blocks(encoder, recipe.encoder.blocks)
        if recipe.image_size_px % _shrinking(parts.vae):
            raise ConfigurationError(
                f"image_size_px: {recipe.image_size_px}: expected a multiple of {_shrinking(parts.vae)}, by which the "
                "VAE shrinks images"
            )
        self.recipe = recipe
        self.base_sha256 = {**parts.sha256, "encoder": weights_sha256(encoder)}
        self.sample_rate_hz: int = encoder.sample_rate_hz
        self.feature_dtype = _DTYPES[recipe.mixed_precision]
        self.unet, self.vae, self.noise = parts.unet, parts.vae, parts.noise
        self.encoder: Any = encoder  # it is a module, too, which no protocol can say
        self.conditioning = Conditioning(parts.text_encoder, parts.tokenizer, recipe.prompt, label_names)
        with seeded(recipe.seed, "embedder"):
            self.embedder = Embedder(
                len(recipe.encoder.blocks) * encoder.width, self.conditioning.width, recipe.pooling_dropout
            )
        self._expect_enough(round(recipe.duration_s * self.sample_rate_hz), "duration_s")
        self._choose_what_is_trained()
        self.eval()

    @classmethod
    def build(cls, recipe: Recipe, label_names: Sequence[str]) -> Self:
        """Read or draw the weights of all parts; on the CPU, in evaluation mode.

        Args:
            label_names: in the order of their numbers.

        Raises:
            ConfigurationError: weights are missing or of another kind, or a setting does not fit them.
            TransientError: the Hub has them, and is busy.
        """
        # First what a person has to get by hand, before 4 GB are fetched for nothing.
        encoder = encoders.get(recipe.encoder.name).load(recipe.encoder, recipe.seed)
        parts = base.load(recipe.base, recipe.seed)
        return cls(recipe, parts, encoder, label_names)

    @property
    def n_timesteps(self) -> int:
        """How many time steps the base was trained with."""
        return self.noise.n_timesteps

    @property
    def width(self) -> int:
        """The numbers of a token: the width of the text encoder."""
        return self.conditioning.width

    @property
    def device(self) -> torch.device:
        return self.noise.alphas_cumprod.device

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def trained_state(self) -> dict[str, Tensor]:
        """Return what makes a model of the recipe's weights: the trained ones, by name; not copied."""
        return {name: parameter.detach() for name, parameter in self.trainable().items()}

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `trained_state` gave.

        Raises:
            ConfigurationError: it is of a recipe that trains other weights, or weights of other shapes.
        """
        own = self.trainable()
        wrong = [f"{name} is missing" for name in own if name not in state]
        wrong += [f"{name} is not trained by this recipe" for name in state if name not in own]
        wrong += [
            f"{name} has shape {tuple(state[name].shape)}, expected {tuple(parameter.shape)}"
            for name, parameter in own.items()
            if name in state and state[name].shape != parameter.shape
        ]
        if wrong:
            more = f", and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
            raise ConfigurationError(
                f"the trained weights are of another recipe: {'; '.join(wrong[:_MAX_NAMED])}{more}"
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state[name])

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained; what is frozen stays in evaluation mode."""
        super().train(False)
        self.training = mode
        self.embedder.train(mode)
        self.encoder.train(mode and self.recipe.train.encoder)
        self.unet.train(mode and self.recipe.train.unet == "full")  # LoRA's matrices have no mode
        return self

    def moments(self, pixels: Tensor) -> Tensor:
        """Return mean and logarithm of the variance of the latents of one image, float32, shape (2 C, h, w).

        Args:
            pixels: uint8, RGB, shape (3, height, width).
        """
        with torch.no_grad(), self._in_float32():
            scaled = pixels.to(self.device).float() / 127.5 - 1
            moments: Tensor = self.vae.encode(scaled[None]).latent_dist.parameters[0]
        return moments

    def features(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder hears in one clip: features of shape (n, F), mask of shape (n,).

        A frozen encoder hears the same in training and in evaluation, whatever other threads do.

        Args:
            wave: float32 in [-1, 1], at `sample_rate_hz`, shape (n_samples,).
        """
        with torch.no_grad(), self._in_float32():
            features, mask = self._heard(wave[None].to(self.device), torch.tensor([len(wave)], device=self.device))
        return features[0].to(self.feature_dtype), mask[0]

    def tokens(self, batch: Batch) -> Tensor:
        """Return the tokens of a batch's music, float32, shape (B, width)."""
        if batch.features is not None:
            features, mask = batch.features, batch.mask
        else:
            features, mask = self._heard(batch.waves, batch.lengths)
        tokens: Tensor = self.embedder(features.float(), mask)
        return tokens.float()

    def forward(self, batch: Batch, draws: Draws) -> Losses:
        """Return the loss that is trained; all must be on the model's device."""
        tokens = self.tokens(batch)
        error = self._noise_error(batch, draws, tokens)
        gamma = self.recipe.loss.min_snr_gamma
        if gamma is not None:
            snr = self.noise.snr(draws.timesteps)
            error = error * losses.min_snr_weights(snr, gamma, self.noise.prediction_type)
        return losses.joined(error, tokens, self.conditioning.label_embeddings[batch.labels], self.recipe.loss)

    def validation_loss(self, batch: Batch, draws: Draws) -> Tensor:
        """Return the plain error of the noise of each item, in evaluation, without weights; shape (B,)."""
        with torch.no_grad(), self._evaluating():
            return self._noise_error(batch, draws, self.tokens(batch))

    def embed(self, waves: Sequence[Tensor]) -> Tensor:
        """Return the token of each clip, in evaluation, float32, shape (B, width).

        Args:
            waves: of clips, each float32 in [-1, 1], at `sample_rate_hz`, shape (n_samples,).

        Raises:
            ConfigurationError: a clip is shorter than what the encoder hears at once.
        """
        for wave in waves:
            self._expect_enough(len(wave), "the clip")
        with torch.no_grad(), self._evaluating(), self._in_float32():
            heard = [self.features(wave) for wave in waves]
            return torch.cat([self.embedder(features[None].float(), mask[None]) for features, mask in heard])

    def generate(
        self, tokens: Tensor, *, n: int = 1, seed: int = 0, steps: int = 50, guidance: float = 7.5
    ) -> list[list[Image.Image]]:
        """Draw images of tokens.

        Each is drawn by itself, so that its bytes do not depend on those beside it: image k of a token begins with the
        same noise as image k of all others.

        Args:
            tokens: as `embed` gives them, shape (B, width).
            n: images of each token.
            seed: of the noise.
            steps: from noise to image.
            guidance: how far to go from the empty prompt.

        Returns:
            n RGB images for each token, of the recipe's size.

        Raises:
            ConfigurationError: there are fewer time steps than steps.
        """
        with torch.no_grad(), self._evaluating():
            return [[self._drawn(token, seed, image, steps, guidance) for image in range(n)] for token in tokens]

    def _drawn(self, token: Tensor, seed: int, image: int, steps: int, guidance: float) -> Image.Image:
        side = self.recipe.image_size_px // _shrinking(self.vae)
        latents = generation.first_latents(seed, image, (self.vae.config.latent_channels, side, side)).to(self.device)
        with self._in_mixed_precision():
            heard = self.conditioning(token[None].to(self.device))
            prompts = torch.cat([self.conditioning.unconditional(), heard])
            latents = generation.denoised(self.unet, self.noise, latents, prompts, steps=steps, guidance=guidance)
        with self._in_float32():
            return generation.picture(self.vae, latents / self.vae.config.scaling_factor)

    def _expect_enough(self, n_samples: int, what: str) -> None:
        """Refuse what is too short to be heard."""
        if n_samples < self.encoder.min_samples:
            least = self.encoder.min_samples / self.sample_rate_hz
            raise ConfigurationError(
                f"{what}: {n_samples / self.sample_rate_hz:g} s: expected at least {least:g} s, which the encoder "
                "hears at once"
            )

    def _heard(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        heard: tuple[Tensor, Tensor] = self.encoder(waves, lengths, self.recipe.encoder.blocks)
        return heard

    def _noise_error(self, batch: Batch, draws: Draws, tokens: Tensor) -> Tensor:
        """Return the error of what the U-Net finds in each item, shape (B,)."""
        mean, log_variance = batch.moments.float().chunk(2, dim=1)
        # The VAE's own limits of the variance.
        latents = mean + (0.5 * log_variance.clamp(-30, 20)).exp() * draws.latent
        latents = latents * self.vae.config.scaling_factor
        noisy = self.noise.added(latents, draws.noise, draws.timesteps)
        prompts = self.conditioning(tokens)
        predicted = self.unet(noisy.to(self.unet.dtype), draws.timesteps, prompts).sample
        return losses.noise_error(predicted, self.noise.target(latents, draws.noise, draws.timesteps))

    def _choose_what_is_trained(self) -> None:
        """Freeze all but what the recipe trains; what is frozen is kept in the dtype that it is computed in."""
        train, dtype = self.recipe.train, _DTYPES[self.recipe.mixed_precision]
        self.requires_grad_(False)
        self.embedder.requires_grad_(True)
        keep_in(self.conditioning.text_encoder, dtype)
        if train.encoder:
            train_what_is_heard(self.encoder, self.recipe.encoder.blocks)
        if train.unet == "full":
            self.unet.requires_grad_(True)
        else:
            keep_in(self.unet, dtype)
        if train.unet == "lora":
            add_lora(self.unet, self.recipe.train.lora, self.recipe.seed)
        if self.recipe.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
            if train.encoder:
                self.encoder.enable_gradient_checkpointing()

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def _in_float32(self) -> AbstractContextManager[object]:
        return self._autocast(torch.float32)

    def _in_mixed_precision(self) -> AbstractContextManager[object]:
        return self._autocast(_DTYPES[self.recipe.mixed_precision])

    def _autocast(self, dtype: torch.dtype) -> AbstractContextManager[object]:
        device = self.device.type
        if not torch.amp.is_autocast_available(device):  # as on the meta device
            return nullcontext()
        is_less = dtype != torch.float32
        return cast(AbstractContextManager[object], torch.autocast(device, dtype if is_less else None, enabled=is_less))


def _shrinking(vae: AutoencoderKL) -> int:
    """Return how many pixels of an image there are on a side to one of its latents."""
    shrinking: int = 2 ** (len(vae.config.block_out_channels) - 1)
    return shrinking


MODEL = AudioToken
