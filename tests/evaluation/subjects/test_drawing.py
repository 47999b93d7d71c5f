"""Images are drawn once: a killed drawing goes on, another model or setting draws anew, bad clips are left out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.releases import Release
from evaluation.subjects import drawing, items
from evaluation.subjects.drawing import STAGE, Drawing, draw
from evaluation.subjects.items import Pictured
from rules.errors import ConfigurationError
from tests.evaluation.made_splits import silent, spoil
from tests.training.audiotokens import build, shared
from tests.training.loaders import split_of
from tests.training.small_runs import Killed
from training.data import Split
from training.models.audiotoken import AudioToken

HOW = Drawing(seed=3, steps=1, guidance=7.5)


@pytest.fixture(scope="module")
def split(tiny_release: Release) -> Split:
    return split_of(tiny_release.folder, "test")


@pytest.fixture(scope="module")
def drawn(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Pictured:
    """Give images of four clips that were drawn at once: read them, never write to them."""
    folder = tmp_path_factory.mktemp("drawn") / "images"
    return draw(shared(), split, items.choose(split, 4, 1), folder, HOW, silent)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that fills with the seeds of what is drawn."""
    found: list[int] = []
    original = AudioToken.generate

    def generate(model: AudioToken, *given: object, seed: int, **how: object) -> object:
        found.append(seed)
        return original(model, *given, seed=seed, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(AudioToken, "generate", generate)
    return found


def bytes_of(files: Sequence[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files}


def again(split: Split, drawn: Pictured, folder: Path, **how: object) -> Pictured:
    return draw(shared(), split, drawn.items, folder, replace(HOW, **how), silent)  # type: ignore[arg-type]


@pytest.fixture
def copied(drawn: Pictured, tmp_path: Path) -> Path:
    """Give a folder with a copy of the images."""
    for name, content in bytes_of(drawn.files).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_each_clip_has_an_image_of_the_size_of_the_recipe(drawn: Pictured) -> None:
    assert [path.stem for path in drawn.files] == list(drawn.items.pair_ids)
    assert drawn.left_out == ()
    for path in drawn.files:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (16, 16))


def test_each_clip_has_its_own_noise_and_the_same_each_time(
    split: Split, drawn: Pictured, asked: list[int], tmp_path: Path
) -> None:
    assert bytes_of(again(split, drawn, tmp_path).files) == bytes_of(drawn.files)
    assert len(set(asked)) == len(asked) == 4


def test_the_image_of_a_clip_does_not_depend_on_which_others_are_drawn(
    split: Split, drawn: Pictured, tmp_path: Path
) -> None:
    (only,) = draw(shared(), split, items.of_rows(split, drawn.items.rows[2:3]), tmp_path, HOW, silent).files
    assert only.read_bytes() == drawn.files[2].read_bytes()


def test_what_is_drawn_stays(split: Split, drawn: Pictured, asked: list[int], copied: Path) -> None:
    told: list[tuple[str, int, int]] = []
    draw(shared(), split, drawn.items, copied, HOW, lambda *what: told.append(what))
    assert asked == []
    assert told == [(STAGE, 4, 4)]


@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_killed_drawing_goes_on_and_ends_with_the_same_bytes(
    split: Split, drawn: Pictured, asked: list[int], tmp_path: Path, done: int
) -> None:
    def killing(_stage: str, at: int, _total: int) -> None:
        if at == done:
            raise Killed

    with pytest.raises(Killed):
        draw(shared(), split, drawn.items, tmp_path, HOW, killing)
    (tmp_path / f"{drawn.items.pair_ids[3]}.png.part").write_bytes(b"what a kill in the midst of writing leaves")
    assert bytes_of(again(split, drawn, tmp_path).files) == bytes_of(drawn.files)
    assert len(asked) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in drawn.files]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of something else", "without words", "a folder's link"])
def test_a_damaged_image_is_drawn_again(
    split: Split, drawn: Pictured, asked: list[int], copied: Path, damage: str
) -> None:
    path = copied / drawn.files[1].name
    whole = path.read_bytes()
    middle = whole.index(b"IDAT") + 20
    if damage == "a folder's link":
        path.unlink()
        path.symlink_to(copied / "nowhere.png")
    elif damage == "without words":
        with Image.open(path) as image:
            image.copy().save(path)
    else:
        others = {"cut": whole[:middle], "empty": b"", "of something else": b"<html>"}
        path.write_bytes(others.get(damage, whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]))
    again(split, drawn, copied)
    assert path.read_bytes() == whole
    assert len(asked) == 1


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 2}, {"guidance": 1.0}], ids=["seed", "steps", "guidance"])
def test_images_of_other_settings_are_drawn_anew(
    split: Split, drawn: Pictured, asked: list[int], copied: Path, change: dict[str, float]
) -> None:
    found = bytes_of(again(split, drawn, copied, **change).files)
    assert len(asked) == 4
    assert not set(found.values()) & set(bytes_of(drawn.files).values())


def test_images_of_another_model_are_drawn_anew(split: Split, drawn: Pictured, asked: list[int], copied: Path) -> None:
    other = build()
    with_others = other.trained_state()
    next(iter(with_others.values())).add_(0.5)
    assert drawing.identity(other) != drawing.identity(shared()) == drawing.identity(build())
    draw(other, split, drawn.items, copied, HOW, silent)
    assert len(asked) == 4


def test_where_the_weights_were_read_from_makes_no_other_model() -> None:
    moved = build()
    base, encoder = (
        part.model_copy(update={"weights": "/elsewhere"}) for part in (moved.recipe.base, moved.recipe.encoder)
    )
    moved.recipe = moved.recipe.model_copy(update={"base": base, "encoder": encoder})
    assert drawing.identity(moved) == drawing.identity(shared())
    moved.recipe = moved.recipe.model_copy(update={"prompt": "a photo of <placeholder>"})
    assert drawing.identity(moved) != drawing.identity(shared())


def test_a_clip_that_nobody_can_hear_is_left_out_and_its_item_with_it(
    split: Split, drawn: Pictured, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = drawn.items.rows.tolist()
    spoil(monkeypatch, {("audio", rows[0]): b"RIFF", ("audio", rows[2]): None})
    for name in (drawn.files[0].name, drawn.files[2].name):
        (copied / name).write_bytes(b"of another model, say")
    found = again(split, drawn, copied)
    assert found.items.pair_ids == drawn.items.pair_ids[1::2]
    assert bytes_of(found.files) == bytes_of(drawn.files[1::2])
    assert [(left.pair_id, left.stage, left.reason) for left in found.left_out] == [
        (pair_id, "clip", "undecodable_audio") for pair_id in drawn.items.pair_ids[::2]
    ]
    assert "the row has no sound" in [left.detail for left in found.left_out]
    assert not (copied / drawn.files[0].name).exists()


def test_if_no_clip_can_be_heard_the_first_says_why(split: Split, tmp_path: Path) -> None:
    longer = build("duration_s=1.5")
    expected = (
        r"not one of the 4 clips of the split test can be heard; the first, \w+: too_short: 1 s: the model hears 1.5 s"
    )
    with pytest.raises(ConfigurationError, match=expected):
        draw(longer, split, items.choose(split, 4, 1), tmp_path, HOW, silent)


def test_a_folder_that_cannot_be_written_is_told(split: Split, drawn: Pictured, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"a file")
    with pytest.raises(ConfigurationError, match="could not be asked to take images"):
        again(split, drawn, tmp_path / "images")


def test_each_row_group_is_read_once(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    original = Split.media

    def media(self: Split, group: int, wanted: dict) -> object:  # type: ignore[type-arg]
        opened.append(group)
        return original(self, group, wanted)

    monkeypatch.setattr(Split, "media", media)
    chosen = items.choose(split, None, 1)
    draw(shared(), split, chosen, tmp_path, replace(HOW, guidance=1.0), silent)
    assert opened == list(range(len(split.group_sizes)))
    assert len(opened) < len(chosen) == np.sum(split.group_sizes)
