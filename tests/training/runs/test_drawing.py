"""Pictures of a run: what they show, and that the same metrics give the same bytes."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training.made_runs import epoch_row, picture, step_row
from training.runs import drawing
from training.runs.drawing import Sample

ROWS = [*map(step_row, range(1, 5)), epoch_row(1), *map(step_row, range(5, 9)), epoch_row(2)]


def colors(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return {color for _, color in image.convert("RGB").getcolors(1 << 24)}


def rgb(name: str) -> tuple[int, ...]:
    return tuple(int(name[at : at + 2], 16) for at in (1, 3, 5))


def test_the_same_metrics_give_the_same_bytes_whatever_the_user_likes(tmp_path: Path) -> None:
    drawing.losses(ROWS, tmp_path / "a.png")
    with mpl.rc_context({"figure.facecolor": "red", "font.size": 30, "axes.grid": False}):
        drawing.losses(ROWS, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert set(image.info) <= {"dpi"}  # neither date nor version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_losses_parts_validation_and_learning_rate_are_drawn(tmp_path: Path) -> None:
    drawing.losses(ROWS, tmp_path / "a.png")
    wanted = {drawing.BLUE, drawing.ORANGE, drawing.GRAY}
    assert {rgb(color) for color in wanted} <= colors(tmp_path / "a.png")
    drawing.losses([row for row in ROWS if row["kind"] == "step"], tmp_path / "b.png")
    assert rgb(drawing.GREEN) not in colors(tmp_path / "b.png")  # this run has no part l2


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [step_row(1)],
        [step_row(1), epoch_row(1) | {"validation_loss": None}],
        [step_row(step) | {"loss": 0.0, "noise": -1.0} for step in (1, 2)],
    ],
    ids=["none", "one", "not-validated", "not-positive"],
)
def test_few_or_odd_metrics_are_drawn_without_a_warning(tmp_path: Path, rows: Sequence[dict]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.losses(rows, tmp_path / "a.png")
    assert len(colors(tmp_path / "a.png")) > 5


@given(st.lists(st.floats(-1e6, 1e6), max_size=60))
def test_smoothing_keeps_the_length_and_stays_within_the_values(values: list[float]) -> None:
    smooth = drawing.smoothed(np.array(values, dtype=np.float64))
    assert len(smooth) == len(values)
    if values:
        assert smooth.min() >= min(values) - 1e-3
        assert smooth.max() <= max(values) + 1e-3


def test_smoothing_keeps_a_line_but_for_its_ends() -> None:
    line = np.arange(100.0)
    assert drawing.smoothed(line)[5:-5] == pytest.approx(line[5:-5])


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_clips_of_one_image_stand_beside_each_other(tmp_path: Path, count: int) -> None:
    drawing.samples([Sample("A song", "Dawn", [picture(at)]) for at in range(count)], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        across, down = min(4, count), -(-count // 4)
        assert image.size == (round(across * 240), round(down * 302))


def test_images_of_a_clip_are_a_row(tmp_path: Path) -> None:
    drawn = [Sample("A song", "Dawn", [picture(3 * at + nth) for nth in range(3)]) for at in range(2)]
    drawing.samples(drawn, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (720, 604)


def test_every_pixel_of_a_small_image_is_shown_as_it_is(tmp_path: Path) -> None:
    drawn = picture(1, side_px=4)
    drawing.samples([Sample("", "", [drawn])], tmp_path / "a.png")
    assert colors(tmp_path / "a.png") - {(255, 255, 255)} == {
        drawn.getpixel((x, y)) for x in range(4) for y in range(4)
    }


@pytest.mark.parametrize(
    "text",
    ["$x^2$", "$\\frac{1}{", "\\alpha", "100 %", "交響曲", "a\nb\tc", "\u202ereversed\x00", "x" * 500, "W" * 40, ""],
    ids=["math", "broken-math", "command", "percent", "chinese", "lines", "control", "long", "wide", "none"],
)
def test_texts_of_others_are_texts(tmp_path: Path, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.samples([Sample(text, text, [picture()])], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (240, 302)
        beneath = np.asarray(image.convert("L"))[240:]
    assert (beneath.min() < 128) == bool(text)  # something is written there
    assert beneath[:, :3].min() > 200  # and nothing is cut off at the sides
    assert beneath[:, -3:].min() > 200


def test_a_dollar_is_drawn_as_a_dollar(tmp_path: Path) -> None:
    for name, text in (("a", "$5$ songs"), ("b", "5 songs")):
        drawing.samples([Sample(text, "", [picture()])], tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_no_clips_give_an_empty_picture(tmp_path: Path) -> None:
    drawing.samples([], tmp_path / "a.png")
    assert colors(tmp_path / "a.png") == {(255, 255, 255)}
