"""The images that a model draws to clips, on disk: each says what it was drawn from, so a killed drawing goes on."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from curation.errors import ItemError, attempt
from curation.images import DAMAGE
from curation.publishing import storage
from curation.store import digest
from evaluation.extraction.portions import clip_of, contents, release_of
from evaluation.result import LeftOut
from evaluation.sample import Items
from evaluation.subjects.items import Pictured, Told
from rules.errors import ConfigurationError
from training import draws
from training.data import Split
from training.models.audiotoken import AudioToken
from training.reading import media
from training.weights import weights_sha256

VERSION = 1  # raise it when the same model, clip and settings give another image
STAGE = "draw images"
_TEXT = "artune"  # the key under which a PNG says what it was drawn from


@dataclass(frozen=True, slots=True)
class Drawing:
    """How images are drawn.

    Attributes:
        seed: of their noise.
        steps: from noise to image.
        guidance: how far to go from the empty prompt.
    """

    seed: int
    steps: int
    guidance: float


def draw(model: AudioToken, split: Split, items: Items, folder: Path, how: Drawing, told: Told) -> Pictured:
    """Draw an image to each clip, in `folder`, named by its pair; what is there and was drawn alike stays.

    The noise of each clip is its own, from seed and pair_id: were it the same for all, images would be alike for that.
    An image of another model, of other settings, or damaged is drawn anew. One at a time is in memory.

    Args:
        folder: of images alone; it need not be there.

    Returns:
        the items that have an image, and the clips that nobody can hear.

    Raises:
        ConfigurationError: the folder cannot be written to, the model cannot hear clips of this length, or not one clip
            can be heard.
    """
    paths = [folder / f"{pair_id}.png" for pair_id in items.pair_ids]
    said = _identities(model, split, items, how)
    missing = [place for place in range(len(items)) if not _is_drawn(paths[place], said[place])]
    done = len(items) - len(missing)
    told(STAGE, done, len(items))
    left_out = []
    for place, wave in _heard(model, split, items, missing):
        if isinstance(wave, ItemError):
            paths[place].unlink(missing_ok=True)  # of the same clip when it could be heard
            left_out.append(
                LeftOut(pair_id=items.pair_ids[place], stage="clip", reason=wave.reason, detail=wave.detail)
            )
        else:
            _write(paths[place], _drawn(model, wave, items.pair_ids[place], how), said[place])
        done += 1
        told(STAGE, done, len(items))
    lost = {left.pair_id for left in left_out}
    places = np.array([place for place, pair_id in enumerate(items.pair_ids) if pair_id not in lost], dtype=np.int64)
    if not len(places):
        first = left_out[0]
        raise ConfigurationError(
            f"{split.revision.location}: not one of the {len(items):,} clips of the split {split.name} can be heard; "
            f"the first, {first.pair_id}: {first.reason}: {first.detail}"
        )
    return Pictured(items, tuple(paths)).only(split, places, tuple(left_out))


def identity(model: AudioToken) -> str:
    """Return what tells models apart that draw other images: their weights and the settings of their networks.

    Where weights were read from is no part of it.
    """
    recipe = model.recipe.model_dump(mode="json", exclude={"base": {"weights", "revision"}, "encoder": {"weights"}})
    return digest([recipe, weights_sha256(model)])


def _identities(model: AudioToken, split: Split, items: Items, how: Drawing) -> list[str]:
    """Return what each image has to say it was drawn from."""
    common = {"drawn": VERSION, "model": identity(model), **asdict(how)}
    heard = [media.VERSION, release_of(split.revision), split.revision.sample_rate_hz]
    clips = split.pairs.select(["music_sha256", "music_start_s", "music_duration_s"]).take(items.rows).to_pylist()
    return [
        json.dumps({**common, "pair_id": pair_id, "clip": digest([*heard, clip])}, sort_keys=True)
        for pair_id, clip in zip(items.pair_ids, clips, strict=True)
    ]


def _is_drawn(path: Path, said: str) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            is_same: bool = image.info.get(_TEXT) == said
            if is_same:
                image.load()
    except (FileNotFoundError, *DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return False
    return is_same


def _heard(
    model: AudioToken, split: Split, items: Items, places: Sequence[int]
) -> Iterator[tuple[int, media.Wave | ItemError]]:
    """Yield what the model hears of clips, by their places in the items; those of a row group are read at once."""
    at = {int(items.rows[place]): place for place in places}
    for found in contents(split, "audio", np.array(sorted(at), dtype=np.int64)):
        for row, content in found:
            yield at[row], attempt(partial(_wave, model, split, row, content))


def _wave(model: AudioToken, split: Split, row: int, content: media.Content | None) -> media.Wave:
    clip = clip_of(split, row)
    if clip.duration_s < model.recipe.duration_s:
        raise ItemError("too_short", f"{clip.duration_s:g} s: the model hears {model.recipe.duration_s:g} s")
    return media.wave(content, model.sample_rate_hz, model.recipe.duration_s, clip)


def _drawn(model: AudioToken, wave: media.Wave, pair_id: str, how: Drawing) -> Image.Image:
    seed = draws.number(how.seed, "evaluated image", pair_id)
    token = model.embed([media.samples(wave)])
    ((image,),) = model.generate(token, n=1, seed=seed, steps=how.steps, guidance=how.guidance)
    return image


def _write(path: Path, image: Image.Image, said: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(_TEXT, said)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text)
    with storage.asking(str(path.parent), "take images") as place:
        place.write(file.getvalue(), path.name)
