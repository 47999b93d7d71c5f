"""What the CLIP family makes of pictures, compared with open_clip's own calls."""

from pathlib import Path

import numpy as np

from curation import images, models
from tests import pictures

PROMPTS = ["a portrait of a person", "a painting of people", "a landscape"]


def test_scores_are_the_scaled_cosines_with_the_mean_of_the_prompts(clip_weights: Path, tmp_path: Path) -> None:
    loaded = models.get("open_clip").load(clip_weights, [PROMPTS[:2], PROMPTS[2:]])
    path = pictures.saved(tmp_path / "a.png", pictures.photo(64, 64))
    import open_clip
    import torch

    source = f"local-dir:{clip_weights}"
    model, transform = open_clip.create_model_from_pretrained(source)
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer(source)(PROMPTS)
        text = torch.nn.functional.normalize(model.encode_text(tokens), dim=-1)
        seen = model.encode_image(transform(images.normalize(path, 64).image)[None])
        answers = torch.stack([text[:2].mean(0), text[2]])
        expected = model.logit_scale.exp() * torch.nn.functional.cosine_similarity(seen, answers)
    np.testing.assert_allclose(loaded.scores([loaded.read(path)])[0], expected.numpy(), atol=2e-3)


def test_a_sideways_picture_is_seen_upright(clip_weights: Path, tmp_path: Path) -> None:
    loaded = models.get("open_clip").load(clip_weights, [[prompt] for prompt in PROMPTS])
    upright = pictures.photo(64, 48)
    exif = upright.getexif()
    exif[0x0112] = 6  # stored lying on its left side
    lying = pictures.saved(tmp_path / "lying.png", upright.transpose(2), exif=exif)
    standing = pictures.saved(tmp_path / "standing.png", upright)
    lying_scores, standing_scores = (loaded.scores([loaded.read(path)]) for path in (lying, standing))
    np.testing.assert_array_equal(lying_scores, standing_scores)
