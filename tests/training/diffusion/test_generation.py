"""From tokens to images."""

import pytest
import torch
from PIL import Image
from torch import Tensor

from rules.errors import ConfigurationError
from tests.training.audiotokens import LABELS, shared, tiny, tone
from tests.training.published import SCHEDULER
from training.diffusion import generation
from training.diffusion.tokenizer import clip_tokenizer
from training.models.audiotoken import AudioToken

FEW = {"steps": 3, "guidance": 3.0}
TOKENS = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))


def test_images_are_rgb_and_of_the_recipes_size() -> None:
    images = shared().generate(TOKENS, n=2, seed=1, **FEW)
    assert [[(image.mode, image.size) for image in of_token] for of_token in images] == [[("RGB", (16, 16))] * 2] * 2
    assert all(isinstance(image, Image.Image) for of_token in images for image in of_token)


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    model = shared()
    many = model.generate(TOKENS, n=3, seed=1, **FEW)
    assert model.generate(TOKENS[1:], n=1, seed=1, **FEW)[0][0].tobytes() == many[1][0].tobytes()
    assert len({image.tobytes() for of_token in many for image in of_token}) == 6


def test_another_seed_draws_other_images() -> None:
    one, other = (shared().generate(TOKENS[:1], seed=seed, **FEW)[0][0] for seed in (1, 2))
    assert one.tobytes() != other.tobytes()


def test_what_an_image_begins_with_is_of_its_seed_and_number_alone() -> None:
    shape = (4, 2, 2)
    torch.manual_seed(0)
    first = generation.first_latents(1, 0, shape)
    torch.manual_seed(1)
    assert torch.equal(first, generation.first_latents(1, 0, shape))
    assert not torch.equal(first, generation.first_latents(1, 1, shape))


@pytest.mark.parametrize("guidance", [0.0, 1.0, 7.5])
def test_guidance_leads_from_the_empty_prompt_to_that_of_the_music(guidance: float) -> None:
    model, start = shared(), generation.first_latents(0, 0, (4, 8, 8))
    prompts = torch.cat([model.conditioning.unconditional(), model.conditioning(TOKENS[:1])])
    sampler, latents = model.noise.sampler(2), start[None]
    for timestep in sampler.timesteps:
        empty, heard = (model.unet(latents, timestep, prompt[None]).sample for prompt in prompts)
        latents = sampler.step(empty + guidance * (heard - empty), timestep, latents).prev_sample
    given = {"steps": 2, "guidance": guidance}
    assert torch.allclose(
        generation.denoised(model.unet, model.noise, start, prompts, **given), latents[0], rtol=1e-3, atol=1e-4
    )


def test_a_base_that_finds_velocities_draws_too() -> None:
    model = AudioToken.build(tiny("base.random.scheduler.prediction_type=v_prediction"), LABELS)
    velocity = model.generate(TOKENS[:1], seed=1, **FEW)[0][0]
    assert velocity.tobytes() != shared().generate(TOKENS[:1], seed=1, **FEW)[0][0].tobytes()


def test_a_picture_has_the_colors_that_the_vae_decodes() -> None:
    class Vae:
        def decode(self, latents: Tensor) -> object:
            return type("Decoded", (), {"sample": latents})

    red_to_black = torch.tensor([[[2.0, 1.0, 0.0, -1.0]], [[-1.0] * 4], [[-3.0] * 4]])
    pixels = generation.picture(Vae(), red_to_black).tobytes()  # type: ignore[arg-type]
    assert pixels == bytes([255, 0, 0, 255, 0, 0, 128, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_draws_nearly_the_same(precision: str) -> None:
    model = AudioToken.build(tiny(f"mixed_precision={precision}"), LABELS).train()
    image = model.generate(TOKENS[:1], seed=1, **FEW)[0][0]
    exact = shared().generate(TOKENS[:1], seed=1, **FEW)[0][0]
    assert model.training
    pixels, expected = (torch.tensor(list(i.tobytes())).float() for i in (image, exact))
    assert (pixels - expected).abs().mean() < 4


def test_the_music_decides_what_is_drawn() -> None:
    model = shared()
    images = model.generate(model.embed([tone(220), tone(1760)]), seed=1, steps=3, guidance=50)
    assert images[0][0].tobytes() != images[1][0].tobytes()


def test_more_steps_than_there_are_time_steps_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="steps: 1001"):
        shared().generate(TOKENS, steps=1001)


def test_images_are_those_of_the_pipeline_of_diffusers() -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline  # not before torchvision

    model = shared()
    text = model.conditioning.text_encoder
    parts = {"vae": model.vae, "unet": model.unet, "text_encoder": text, "tokenizer": clip_tokenizer()}
    settings = {**SCHEDULER, "clip_sample": False, "steps_offset": 1}
    pipeline = StableDiffusionPipeline(
        **parts,
        scheduler=DDIMScheduler(**{key: value for key, value in settings.items() if key != "skip_prk_steps"}),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt_embeds=model.conditioning(TOKENS[:1]),
        negative_prompt_embeds=model.conditioning.unconditional(),
        latents=generation.first_latents(1, 0, (4, 8, 8))[None],
        height=16,
        width=16,
        num_inference_steps=5,
        guidance_scale=7.5,
        output_type="pil",
    ).images[0]
    image = model.generate(TOKENS[:1], seed=1, steps=5, guidance=7.5)[0][0]
    pixels, others = (torch.tensor(list(i.tobytes())).int() for i in (image, expected))
    assert (pixels - others).abs().max() <= 1
    assert pixels.float().std() > 10
