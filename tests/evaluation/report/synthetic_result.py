"""A made evaluation with every part, or with fewer, and the pictures and clips that belong to it, from nothing."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from curation.report.samples import Side
from evaluation.report import Shown
from evaluation.result import Data, LabelCount, LeftOut, Result, Subject
from evaluation.sample import Items
from tests.curation.report.synthetic_release import gradient, sine
from tests.evaluation.report.synthetic_figures import PER_LABEL, figures
from tests.evaluation.report.synthetic_parts import memorization, metrics, networks, pair_id, quality

PERIODS = ("Italian Renaissance", "Early Baroque and Mannerism", "20th century traditional")
SUBJECTS = (
    "allegory and symbolism",
    "open view",
    "single portrait",
    "religious scene",
    "still life",
    "figure in motion",
)
LONG_NAMES = [f"{period} {subject}" for period in PERIODS for subject in SUBJECTS]
CLIP_S = 1.0


def items(n: int, n_labels: int) -> Items:
    """Return n items, whose labels take turns; two after another of one label share a recording."""
    places = np.arange(n)
    return Items(
        pair_ids=tuple(pair_id(number) for number in range(n)),
        labels=places % n_labels,
        recordings=(places // n_labels // 2) * n_labels + places % n_labels,
        titles=tuple(f"Sonata No. {number}" for number in range(n)),
        rows=places,
        digest="d" * 64,
    )


class Media:
    """Pictures and clips by the number in their pair; `asked` holds what was asked for."""

    def __init__(self, title: str = "Landscape with a Lute") -> None:
        self.title = title
        self.asked: dict[str, list[str]] = {"pictures": [], "clips": [], "credits": []}

    def pictures(self, pair_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        self.asked["pictures"] += pair_ids
        yield from ((pair, gradient(int(pair[:8], 16) % 13, 96, 72)) for pair in pair_ids)

    def clips(self, pair_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        self.asked["clips"] += pair_ids
        yield from ((pair, sine(int(pair[:8], 16) % 5, CLIP_S)) for pair in pair_ids)

    def credits(self, pair_ids: Collection[str]) -> Iterator[tuple[str, Side, Side]]:
        self.asked["credits"] += pair_ids
        for pair in pair_ids:
            sides = [
                Side("folder", pair, None, self.title, "Somebody", year, "CC-BY-4.0", None, pair)
                for year in (1640, None)
            ]
            yield pair, sides[0], sides[1]


def drawn(pair: str) -> bytes:
    return gradient(int(pair[:8], 16) % 17, 64, 64)


def shown(result: Result, media: Media | None = None, **changes: Any) -> Shown:
    """Return what belongs to a result of `result`."""
    n = None if result.subject.kind == "data" else items(result.data.n, len(result.data.labels))
    run = {"metrics": metrics(), "history": history(result)} if result.subject.kind == "run" else {}
    return Shown(**({"items": n, "drawn": drawn, "media": media or Media()} | run | changes))


def history(result: Result) -> list[dict[str, object]]:
    """Return three checkpoints taken as the result was, and one of other items."""
    rows: list[dict[str, object]] = []
    for number, step in enumerate((100, 200, 400)):
        told = {
            each.name: {
                "value": each.estimate.value + (number - 2) / 10,
                "interval": each.estimate.interval and [end + (number - 2) / 10 for end in each.estimate.interval],
            }
            for each in result.figures
            if each.estimate and each.estimate.value is not None
        }
        rows.append(
            {
                "step": step,
                "epoch": step // 50,
                "items_digest": result.data.items_digest,
                "seed": result.seed,
                "networks": "n",
                "steps": 20,
                "guidance": 7.5,
                "model_sha256": "m" * 64 if step == 400 else str(step),
                "figures": told,
            }
        )
    return [*rows, rows[0] | {"items_digest": "other", "step": 300}]


def result(kind: str = "run", label_names: list[str] | None = None, **changes: Any) -> Result:
    """Return an evaluation of a run, of images or of data alone.

    Args:
        label_names: of the data set; LONG_NAMES unless given.
    """
    names = LONG_NAMES if label_names is None else label_names
    has_images = kind != "data"
    data = Data(
        where="owner/museart@v3",
        version="v3",
        commit="c0ffee" * 6,
        data_set="museart18",
        digest="e" * 64,
        label_names=names,
        split="test",
        n=PER_LABEL * len(names) if has_images else 0,
        asked=90,
        available=212,
        recordings=45,
        n_real=210,
        labels=[LabelCount(label=label, n=PER_LABEL) for label in range(len(names))] if has_images else [],
        items_digest="d" * 64,
        was_trained_on=False,
    )
    run = {
        "run": "runs/model-1",
        "recipe": "model-1",
        "recipe_digest": "r" * 64,
        "checkpoint": "step-00000400",
        "step": 400,
        "epoch": 8,
        "model_sha256": "m" * 64,
        "steps": 20,
        "guidance": 7.5,
    }
    parts: dict[str, Any] = {
        "layout": 1,
        "artune": {"version": "0.1.0"},
        "versions": {"torch": "2.13", "codecarbon": None},
        "subject": Subject(
            kind=kind,
            name={"run": "model-1, step 400", "images": "Drawn by another", "data": "museart18 v3"}[kind],
            **(run if kind == "run" else {}),
        ),
        "data": data,
        "seed": 1,
        "networks": networks(),
        "figures": figures(len(names)) if has_images else [],
        "memorization": memorization() if has_images else None,
        "quality": quality(len(names)),
        "left_out": [
            LeftOut(pair_id=pair_id(9000 + n), stage="image", reason="undecodable", detail="not a picture")
            for n in range(6)
        ],
    }
    return Result(**(parts | changes))


def with_texts(found: Result, text: str) -> Result:
    """Return a result with this text wherever one comes from outside, but for its labels."""
    told = found.model_dump()
    for part, names in (
        ("subject", ("name", "run", "recipe", "checkpoint")),
        ("data", ("where", "version", "data_set")),
    ):
        told[part] |= {name: text for name in names if told[part][name] is not None}
    for each in told["figures"]:
        each |= {"title": text, "reference": text} | ({"refused": text} if each["refused"] else {"marked": text})
    for each in told["networks"]:
        each |= {"name": text, "weights": text}
    for each in told["left_out"]:
        each |= {"reason": text, "detail": text}
    for each in [*told["quality"]["probes"], *told["quality"]["leaks"]] if told["quality"] else []:
        each["network"] = text
    return Result.model_validate(told)
