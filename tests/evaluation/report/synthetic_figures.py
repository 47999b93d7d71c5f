"""Measures with every peculiarity that a page has to show, from nothing."""

from typing import Any

from evaluation.result import Chance, Estimate, Figure, OfLabel
from tests.evaluation import made_evaluations

PER_LABEL = 5


def estimate(value: float | None, half: float | None = 0.0, n: int = 90) -> Estimate:
    interval = None if value is None or half is None else (value - half, value + half)
    return Estimate(value=value, interval=interval, n=n)


def figure(name: str, value: float | None, half: float | None, **changes: Any) -> Figure:
    """Return a measure of the pairing space, unless changed."""
    parts: dict[str, Any] = {"estimate": estimate(value, half), "refused": None, "chance": None, "rows": {}}
    return made_evaluations.figure(name, value, **(parts | changes))


def chance(value: float, half: float, p_value: float) -> Chance:
    return Chance(value=value, interval=(value - half, value + half), p_value=p_value, permutations=999)


def figures(n_labels: int) -> list[Figure]:
    """Return measures with every peculiarity: better low, refused, marked, without interval, without a better end."""
    by_label = [
        OfLabel(label=label, estimate=estimate(49.2 + 0.9 * (label * 7 % 11) / 4, 0.8 if label else None, PER_LABEL))
        for label in range(n_labels)
    ]
    return [*_of_pairs(by_label), *_of_real_images(), _of_images(by_label[:3])]


def _of_pairs(by_label: list[OfLabel]) -> list[Figure]:
    rows = {
        "shuffled": estimate(50.0, 0.11),
        "other_label": estimate(49.93, 0.16),
        "same_label": estimate(50.41, 0.15),
        "partner": estimate(51.62, 0.19),
    }
    return [
        figure("ais", 50.15, 0.13, title="AIS", chance=chance(50.0, 0.11, 0.041), rows=rows, by_label=by_label),
        figure(
            "iis",
            49.62,
            0.21,
            title="IIS",
            chance=chance(50.0, 0.12, 0.94),
            rows=rows | {"partner": estimate(63.1, 0.6)},
        ),
        figure(
            "win_rate",
            54.1,
            2.2,
            title="Audio-image win rate (AudioToken)",
            chance=chance(50.0, 1.9, 0.001),
            rows=rows | {"other_label": None, "partner": estimate(71.0, 2.0), "same_label": estimate(58.0, 2.1)},
        ),
        figure(
            "recall_10",
            0.083,
            0.04,
            title="Image to music, R@10",
            low=0.0,
            high=1.0,
            digits=3,
            chance=chance(0.075, 0.03, 0.3),
            rows={"partner": estimate(0.61, 0.07)},
        ),
        figure(
            "median_rank",
            41.0,
            6.0,
            title="Median rank",
            better="lower",
            digits=1,
            chance=chance(45.5, 5.0, 0.2),
            rows={"partner": estimate(6.0, 2.0)},
        ),
    ]


def _of_real_images() -> list[Figure]:
    real = {"networks": ["inception"], "better": "lower", "low": 0.0, "high": None, "n_real": 210}
    return [
        figure(
            "fid",
            None,
            None,
            title="FID",
            estimate=None,
            refused="90 generated images are fewer than the 2,049 that its covariance needs",
            **real,
        ),
        figure(
            "kid",
            0.0514,
            0.004,
            title="KID by stand-in: EfficientNet-lite0 (ImageNet)",
            is_as_published=False,
            digits=4,
            marked="Fewer than 20 groups of recordings: its interval is rough.",
            rows={"same_label": estimate(0.0031, None), "other_label": estimate(0.0035, None)},
            method="jackknife",
            **real,
        ),
        figure(
            "precision",
            0.41,
            0.05,
            title="Precision",
            digits=3,
            rows={"same_label": estimate(0.79, None)},
            method="jackknife",
            **(real | {"better": "higher", "high": 1.0}),
        ),
    ]


def _of_images(by_label: list[OfLabel]) -> Figure:
    return figure(
        "vendi",
        21.4,
        None,
        title="Vendi score",
        better=None,
        high=None,
        networks=["likeness"],
        rows={"same_label": estimate(44.0, 3.0), "partner": estimate(47.5, 3.0)},
        by_label=by_label,
    )
