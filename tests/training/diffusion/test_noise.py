"""The noise of time steps, and the way back; whatever scheduler a base names."""

import diffusers
import pytest
import torch

from rules.errors import ConfigurationError
from tests.training.published import SCHEDULER
from training.diffusion.noise import NoiseSchedule

SCHEDULES = ("PNDMScheduler", "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler")
BETAS = {key: SCHEDULER[key] for key in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")}
GENERATOR = torch.Generator().manual_seed(0)
LATENTS = torch.randn(4, 4, 2, 2, generator=GENERATOR)
NOISE = torch.randn(4, 4, 2, 2, generator=GENERATOR)
TIMESTEPS = torch.tensor([0, 10, 500, 999])


def schedule(**changes: object) -> NoiseSchedule:
    return NoiseSchedule({**SCHEDULER, **changes}, "here")


@pytest.mark.parametrize("name", SCHEDULES)
def test_what_any_scheduler_says_of_itself_gives_the_noise_of_the_base(name: str) -> None:
    config = dict(getattr(diffusers, name)(**BETAS).config)
    assert torch.equal(NoiseSchedule(config, "here").alphas_cumprod, schedule().alphas_cumprod)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noise_and_target_are_those_of_diffusers(prediction_type: str) -> None:
    ours = schedule(prediction_type=prediction_type)
    theirs = diffusers.DDPMScheduler(**BETAS)
    assert torch.allclose(ours.added(LATENTS, NOISE, TIMESTEPS), theirs.add_noise(LATENTS, NOISE, TIMESTEPS))
    expected = NOISE if prediction_type == "epsilon" else theirs.get_velocity(LATENTS, NOISE, TIMESTEPS)
    assert torch.allclose(ours.target(LATENTS, NOISE, TIMESTEPS), expected)


def test_the_ratio_of_signal_to_noise_falls_from_step_to_step() -> None:
    snr = schedule().snr(torch.arange(1000))
    assert (snr[1:] < snr[:-1]).all()
    assert snr[0].item() == pytest.approx((1 - 0.00085) / 0.00085, rel=1e-4)


def test_noise_without_signal_has_the_ratio_0() -> None:
    assert schedule(rescale_betas_zero_snr=True).snr(torch.tensor([999])).item() == 0


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 10, 50, 1000])
def test_whoever_finds_all_noise_gets_the_latents_back(prediction_type: str, steps: int) -> None:
    ours = schedule(prediction_type=prediction_type, clip_sample=True, steps_offset=0)  # as some bases have by mistake
    sampler, clean = ours.sampler(steps), 3 * LATENTS[:1]  # beyond [-1, 1]
    first = sampler.timesteps[:1]
    latents = ours.added(clean, NOISE[:1], first)
    for timestep in sampler.timesteps:
        signal = ours.alphas_cumprod[timestep]
        noise = (latents - signal.sqrt() * clean) / (1 - signal).sqrt()
        found = noise if prediction_type == "epsilon" else signal.sqrt() * noise - (1 - signal).sqrt() * clean
        latents = sampler.step(found, timestep, latents).prev_sample
    # what is left is the noise of the first time step, at which training begins
    assert torch.allclose(latents, ours.added(clean, NOISE[:1], torch.tensor([0])), atol=2e-3)


def test_fifty_steps_are_those_of_stable_diffusion() -> None:
    assert schedule().sampler(50).timesteps.tolist() == list(range(981, 0, -20))


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_that_there_are_not_are_refused(steps: int) -> None:
    with pytest.raises(ConfigurationError, match=f"steps: {steps}: expected 1 to 1000"):
        schedule().sampler(steps)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prediction_type": "sample"}, "prediction_type: 'sample'"),
        ({"beta_schedule": None}, "expected beta_schedule or trained_betas"),
        ({"beta_schedule": "steep"}, "steep is not implemented"),
        ({"num_train_timesteps": "many"}, "here: "),
    ],
)
def test_a_scheduler_that_says_nothing_of_use_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        schedule(**changes)
