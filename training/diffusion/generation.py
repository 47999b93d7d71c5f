"""From tokens of music to images."""

import torch
from PIL import Image
from torch import Tensor

from training.diffusion.libraries import AutoencoderKL, UNet2DConditionModel
from training.diffusion.noise import NoiseSchedule
from training.draws import generator


def first_latents(seed: int, image: int, shape: tuple[int, int, int]) -> Tensor:
    """Return the noise that an image begins with; it depends on the seed and the image's number alone.

    Args:
        shape: channels, height and width of latents.
    """
    return torch.randn(shape, generator=generator(seed, "image", image))


def denoised(
    unet: UNet2DConditionModel, noise: NoiseSchedule, latents: Tensor, prompts: Tensor, *, steps: int, guidance: float
) -> Tensor:
    """Return the latents of one image, float32, shape (C, h, w).

    Args:
        latents: what it begins with, float32, shape (C, h, w).
        prompts: encoded, the empty one and that of the music, shape (2, n, width).
        guidance: how far to go from the empty prompt (Ho and Salimans 2022, arXiv 2207.12598); 1 does without it.
    """
    sampler = noise.sampler(steps)
    prompts = prompts[1:] if guidance == 1 else prompts
    latents = latents[None]
    for timestep in sampler.timesteps.tolist():
        at = torch.full((len(prompts),), timestep, device=latents.device)
        predicted = unet(latents.expand(len(prompts), -1, -1, -1).to(unet.dtype), at, prompts).sample.float()
        if len(predicted) == 2:
            predicted = predicted[:1] + guidance * (predicted[1:] - predicted[:1])
        latents = sampler.step(predicted, timestep, latents).prev_sample
    return latents[0]


def picture(vae: AutoencoderKL, latents: Tensor) -> Image.Image:
    """Decode one image, RGB.

    Args:
        latents: as the VAE gives them, not scaled; float32, shape (C, h, w).
    """
    decoded = vae.decode(latents[None]).sample[0]
    pixels = ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy(), "RGB")
