"""Pictures of a run: its losses over the steps, and what it makes of some clips. The same run gives the same bytes."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

DPI = 100
WIDTH_IN = 10.0  # of losses.png
CELL_IN = 2.4  # side of one image of a grid
TEXT_IN = 0.62  # beneath it
COLUMNS = 4  # of a grid whose clips have one image each
SMOOTHING = 0.02  # of all steps: how many before and after are in the mean that is drawn over the raw values
# Okabe and Ito's colors, which the color-blind tell apart: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, GRAY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#999999"
PARTS = {"noise": BLUE, "l1": ORANGE, "l2": GREEN, "label": PURPLE}
GAP_IN = 0.06  # around an image
MAX_CHARS = 300  # of a text that is measured: it is cut to the width that it has

Numbers = np.ndarray[Any, np.dtype[np.float64]]

_STEP, _EPOCH = "step", "epoch"  # kinds of lines of metrics.jsonl


@dataclass(frozen=True, slots=True)
class Sample:
    """What a model makes of one clip.

    Attributes:
        title: of the clip; any text from outside.
        label: of its pair; likewise.
    """

    title: str
    label: str
    images: Sequence[Image.Image]


def losses(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Draw the losses, their parts and the learning rate over the steps.

    Args:
        rows: lines of metrics.jsonl; a picture without curves where there are none.
    """
    steps = [row for row in rows if row["kind"] == _STEP]
    epochs = [row for row in rows if row["kind"] == _EPOCH]
    with _plain_style():
        figure = Figure(figsize=(WIDTH_IN, 8.5), dpi=DPI, layout="constrained")
        loss, parts, rate = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1.3])
        _draw_loss(loss, steps, epochs)
        _draw_parts(parts, steps)
        _draw_rate(rate, steps)
        if not steps:
            loss.text(0.5, 0.5, "no step is done yet", ha="center", transform=loss.transAxes)
        _save(figure, out)


def samples(drawn: Sequence[Sample], out: Path) -> None:
    """Draw the images of some clips with their labels and titles: a row a clip, or beside each other if one each.

    A letter that matplotlib's own font has not, as a Chinese one, is drawn as a box: no other font is on all machines.
    """
    most = max((len(sample.images) for sample in drawn), default=1)
    across = 1 if most > 1 else min(COLUMNS, max(1, len(drawn)))  # clips beside each other
    down = max(1, -(-len(drawn) // across))
    clip_in = most * CELL_IN  # width of all images of a clip
    size_in = across * clip_in, down * (CELL_IN + TEXT_IN)
    with _plain_style():
        figure = Figure(figsize=size_in, dpi=DPI)
        FigureCanvasAgg(figure)  # by which texts are measured
        for number, sample in enumerate(drawn):
            row, column = divmod(number, across)
            left, top = column * clip_in, size_in[1] - row * (CELL_IN + TEXT_IN)
            for nth, image in enumerate(sample.images):
                _draw_image(figure, image, left + nth * CELL_IN, top)
            _write(figure, sample, left + clip_in / 2, top - CELL_IN, most)
        _save(figure, out)


def _draw_loss(axes: Axes, steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]]) -> None:
    x, trained = _series(steps, "loss")
    if len(x):
        axes.plot(x, trained, color=BLUE, alpha=0.25, linewidth=0.8, label="training, each step")
        axes.plot(x, smoothed(trained), color=BLUE, linewidth=1.8, label="training, smoothed")
    x, validated = _series(epochs, "validation_loss")
    if len(x):
        axes.plot(x, validated, color=ORANGE, marker="o", markersize=4, linewidth=1.5, label="validation (noise only)")
        at = int(np.argmin(validated))
        told = f"best: {validated[at]:.4g}"
        axes.plot(x[at], validated[at], "o", color=ORANGE, markersize=9, fillstyle="none", label=told)
    axes.set_ylabel("loss")
    _finish(axes, logarithmic=_spread([*trained, *validated]))
    _mark_epochs(axes, epochs)


def _draw_parts(axes: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    every: list[float] = []
    for name, color in PARTS.items():
        x, y = _series(steps, name)
        if len(x):
            axes.plot(x, smoothed(y), color=color, linewidth=1.5, label=name)
            every += list(y)
    axes.set_ylabel("parts of the loss\n(weighted, smoothed)")
    _finish(axes, logarithmic=_spread(every))


def _draw_rate(axes: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    x, y = _series(steps, "learning_rate")
    axes.plot(x, y, color=GRAY, linewidth=1.5)
    axes.set_ylabel("learning rate")
    axes.set_xlabel("step")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def _finish(axes: Axes, *, logarithmic: bool) -> None:
    if logarithmic:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8, framealpha=0.9)


def _mark_epochs(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    """Number the epochs above the curves, a dozen of them at most."""
    if not epochs:
        return
    chosen = epochs[:: -(-len(epochs) // 12)]
    above = axes.secondary_xaxis("top")
    above.set_xticks([row["step"] for row in chosen], [str(row["epoch"]) for row in chosen])
    above.set_xlabel("end of epoch")


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[Numbers, Numbers]:
    """Return steps and values of one name where it has one: float64, shape (n,) each."""
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    both = np.array(found, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def smoothed(values: Numbers) -> Numbers:
    """Return the mean around each value, of fewer values at both ends; float64, shape (n,).

    It is taken over what comes before and after, so it does not lag behind where a loss falls fast.
    """
    each, reach = np.arange(len(values)), max(1, round(SMOOTHING * len(values)))
    first, end = np.maximum(each - reach, 0), np.minimum(each + reach + 1, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: Numbers = (sums[end] - sums[first]) / (end - first)
    return means


def _spread(values: Sequence[float]) -> bool:
    """Say whether values need a logarithmic axis: all are above 0, and the largest is 20 times the smallest."""
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)


def _draw_image(figure: Figure, image: Image.Image, left_in: float, top_in: float) -> None:
    """Put a picture into its cell at its own proportions; one of few pixels keeps them sharp."""
    width_in, height_in = figure.get_size_inches()
    side_in = CELL_IN - 2 * GAP_IN
    place = (left_in + GAP_IN) / width_in, (top_in - CELL_IN + GAP_IN) / height_in
    axes = figure.add_axes((*place, side_in / width_in, side_in / height_in))
    small = max(image.size) < side_in * DPI
    axes.imshow(np.asarray(image.convert("RGB")), interpolation="nearest" if small else "antialiased")
    axes.set_axis_off()


def _write(figure: Figure, sample: Sample, middle_in: float, top_in: float, cells: int) -> None:
    """Write label and title beneath the images of a clip, which are so many cells wide."""
    width_in, height_in = figure.get_size_inches()
    label: dict[str, Any] = {"fontsize": 9.5, "fontweight": "bold"}
    title: dict[str, Any] = {"fontsize": 8.0, "color": "#555555"}
    for text, down_in, style in ((sample.label, 0.02, label), (sample.title, 0.24, title)):
        place = middle_in / width_in, (top_in - down_in) / height_in
        # parse_math: a dollar is a dollar
        shown = figure.text(*place, _on_one_line(text), ha="center", va="top", parse_math=False, **style)
        _fit(shown, (cells * CELL_IN - 2 * GAP_IN) * DPI)


def _on_one_line(text: str) -> str:
    """Return text from outside without what cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_CHARS]


def _fit(shown: Text, width_px: float) -> None:
    """Cut a text until it is as narrow as its place."""
    whole = shown.get_text()
    if shown.get_window_extent().width <= width_px:
        return
    fitting, too_many = 0, len(whole)
    while too_many - fitting > 1:
        length = (fitting + too_many) // 2
        shown.set_text(_cut(whole, length))
        if shown.get_window_extent().width <= width_px:
            fitting = length
        else:
            too_many = length
    shown.set_text(_cut(whole, fitting))


def _cut(text: str, length: int) -> str:
    return f"{text[:length].rstrip()}…"


@contextmanager
def _plain_style() -> Iterator[None]:
    """Draw as on every other machine, whatever a matplotlibrc says; be silent of letters that no font has."""
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _save(figure: Figure, out: Path) -> None:
    """Write a PNG at once, without date and version in it."""
    temporary = out.with_name(f".{out.name}.writing")
    FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
    temporary.replace(out)
