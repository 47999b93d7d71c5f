"""What is learned is learned from the music: tones and colors that belong together, through the loop of every run."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from tests.training.audiotokens import tone
from tests.training.small_runs import ready, run_of, trained
from training.batch import Batch, validation_draws
from training.models.audiotoken import AudioToken
from training.reading.encoding import Encoding

TONES_HZ = (440, 1760, 7040)
COLORS = ((0, 255, 0), (0, 0, 255), (0, 0, 0))
SIZE_PX = 8

# Pictures whose latents differ by about as much as noise does; the velocity is asked for, which at much noise is the
# picture itself, while noise can be told from the noisy picture alone; a prompt without a long end, which says nothing.
PLANTED = (
    "train.unet=full",
    "pairing=partner",
    "batch_size=6",
    "accumulation=1",
    f"image_size_px={SIZE_PX}",
    "base.random.vae.scaling_factor=4",
    "base.random.vae.block_out_channels=[32]",
    "base.random.vae.down_block_types=[DownEncoderBlock2D]",
    "base.random.vae.up_block_types=[UpDecoderBlock2D]",
    "base.random.unet.block_out_channels=[32, 32]",
    "base.random.text_encoder.max_position_embeddings=8",
    "base.random.scheduler.prediction_type=v_prediction",
    "loss.l1=0",
    "loss.label=0",
    "pooling_dropout=0",
    "ema_decay=null",
    "optimizer.learning_rate=5e-3",
    "schedule.warmup_steps=10",
    "epochs=30",
    "checkpoint_every_steps=1000",
    "validation.every_epochs=30",
)


class Learned(NamedTuple):
    """A model after its run, and a batch of a clip and a picture of each kind."""

    model: AudioToken
    batch: Batch


@pytest.fixture(scope="module")
def learned(tiny_release, tmp_path_factory) -> Learned:
    """Train on a release each of whose pairs has a tone and a color of one of three kinds."""

    def planted(encoding, want, content):
        kind = want.row % len(TONES_HZ)
        if want.column == "image":
            return torch.tensor(COLORS[kind], dtype=torch.uint8)[:, None, None].repeat(1, SIZE_PX, SIZE_PX)
        return (tone(TONES_HZ[kind], 0.3) * 32767).to(torch.int16)

    folder = tmp_path_factory.mktemp("planted") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Encoding, "decoded", planted)
        trained(run_of(tiny_release, folder, PLANTED))
        run = ready(run_of(tiny_release, folder))
        return Learned(run.model, next(run.loader.validation_batches(max_items=len(TONES_HZ))))


def error_of(model: AudioToken, batch: Batch) -> float:
    parts = [validation_draws(batch, 0, part, 10, model.n_timesteps) for part in range(10)]
    return float(np.mean([model.validation_loss(batch, drawn).mean().item() for drawn in parts]))


@pytest.mark.parametrize("shift", [1, 2])
def test_the_loss_is_far_larger_with_the_music_of_another_pair(learned, shift):
    model, batch = learned
    assert batch.waves is not None

    assert error_of(model, replace(batch, waves=batch.waves.roll(shift, 0))) > 1.3 * error_of(model, batch)


def test_the_image_drawn_for_a_clip_has_the_color_of_its_own_picture(learned):
    """Of the three pictures; all that the drawn ones have in common, as the U-Net's own faults, is left out."""
    model, batch = learned
    with torch.no_grad():
        drawn = model.generate(model.tokens(batch), seed=0, steps=10, guidance=1)
        means = batch.moments.chunk(2, dim=1)[0]
        pictures = model.vae.decode(means).sample.add(1).mul(127.5).clamp(0, 255).mean((2, 3)).double().numpy()
    colors = np.array([np.asarray(of_clip[0], np.float64).mean((0, 1)) for of_clip in drawn])
    distances = np.linalg.norm((colors - colors.mean(0))[:, None] - (pictures - pictures.mean(0)), axis=-1)

    assert distances.argmin(1).tolist() == [0, 1, 2]
