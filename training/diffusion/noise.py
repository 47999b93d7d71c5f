"""How much noise each time step has, what of it the U-Net is to find, and the steps back from noise to an image."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rules.errors import ConfigurationError
from training.diffusion.libraries import DDIMScheduler

# What schedulers of all kinds (PNDM, DDIM, DDPM, Euler, DPM++) and ages say of the noise that a base was trained with;
# the rest of their settings is how they sample.
_OF_NOISE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
)
_TARGETS = ("epsilon", "v_prediction")


class NoiseSchedule(nn.Module):
    """The noise that a base was trained with.

    Args:
        settings: of the base's scheduler, whatever its kind.
        where: it was read, for messages.

    Raises:
        ConfigurationError: it is no scheduler of a diffusion by betas, or the U-Net finds something else than noise.
    """

    alphas_cumprod: Tensor

    def __init__(self, settings: Mapping[str, Any], where: str) -> None:
        super().__init__()
        self.prediction_type = settings.get("prediction_type", "epsilon")  # what old settings do not name
        if self.prediction_type not in _TARGETS:
            raise ConfigurationError(
                f"{where}: prediction_type: {self.prediction_type!r}: expected {' or '.join(_TARGETS)}"
            )
        if settings.get("trained_betas") is None and settings.get("beta_schedule") is None:
            raise ConfigurationError(
                f"{where}: expected beta_schedule or trained_betas, as Stable Diffusion 1 and 2 have: a base that "
                "learned by flow matching or by sigmas cannot be trained here"
            )
        self._settings = {key: settings[key] for key in _OF_NOISE if key in settings} | {
            "prediction_type": self.prediction_type,
            "timestep_spacing": settings.get("timestep_spacing", "leading"),
            # Stable Diffusion was sampled so, and the settings of some bases say otherwise by mistake: latents are not
            # cut to [-1, 1], and the last step ends where training began, not at noise of 0.
            "clip_sample": False,
            "set_alpha_to_one": False,
        }
        try:
            ddim = DDIMScheduler(**self._settings)
        except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            raise ConfigurationError(f"{where}: {error}") from None
        self.register_buffer("alphas_cumprod", ddim.alphas_cumprod, persistent=False)

    @property
    def n_timesteps(self) -> int:
        return len(self.alphas_cumprod)

    def added(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Return latents with the noise of their time steps.

        Args:
            latents: float32, shape (B, C, h, w).
            noise: standard normal, of that shape.
            timesteps: int64, shape (B,).
        """
        signal = self.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        return signal.sqrt() * latents + (1 - signal).sqrt() * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Return what the U-Net is to find: the noise, or the velocity (Salimans and Ho 2022, arXiv 2202.00512)."""
        if self.prediction_type == "epsilon":
            return noise
        signal = self.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        return signal.sqrt() * noise - (1 - signal).sqrt() * latents

    def snr(self, timesteps: Tensor) -> Tensor:
        """Return the ratio of signal to noise (of their powers) of each time step; shape (B,)."""
        signal = self.alphas_cumprod[timesteps]
        return signal / (1 - signal)

    def sampler(self, steps: int) -> DDIMScheduler:
        """Return what goes from noise to latents in some steps (DDIM, Song et al. 2020, arXiv 2010.02502).

        Raises:
            ConfigurationError: there are not as many time steps.
        """
        if not 1 <= steps <= self.n_timesteps:
            raise ConfigurationError(f"steps: {steps}: expected 1 to {self.n_timesteps}, the time steps of the base")
        last = (steps - 1) * (self.n_timesteps // steps)
        ddim = DDIMScheduler(**self._settings, steps_offset=min(1, self.n_timesteps - 1 - last))
        ddim.set_timesteps(steps)
        return ddim
