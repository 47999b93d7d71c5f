"""Evaluations in folders, of made figures whose replicates are known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.result import Chance, Data, Estimate, Figure, LabelCount, NetworkFacts, Result, Subject
from evaluation.statistics.replicates import Replicates
from evaluation.telling import storing
from tests.evaluation import made_samples

N, RECORDINGS, REPLICATES = 60, 30, 200
DIGEST = "c3" * 32


def figure(name: str, value: float | None, **changes: Any) -> Figure:
    """Return a figure, higher is better; without a value it was refused."""
    chance = Chance(value=50.0, interval=(49.0, 51.0), p_value=0.002, permutations=999)
    parts: dict[str, Any] = {
        "name": name,
        "title": name.upper(),
        "metric": name,
        "is_as_published": True,
        "networks": ["pairing.image", "pairing.music"],
        "better": "higher",
        "low": 0.0,
        "high": 100.0,
        "digits": 2,
        "reference": "Somebody 2024",
        "estimate": None if value is None else Estimate(value=value, interval=(value - 1, value + 1), n=N),
        "refused": "too few images" if value is None else None,
        "method": "bootstrap",
        "replicates": REPLICATES,
        "groups": RECORDINGS,
        "chance": None if value is None else chance,
        "rows": {"partner": Estimate(value=70.0, interval=None, n=N)},
    }
    return Figure(**(parts | changes))


def networks(sha256: str = "a1" * 32) -> list[NetworkFacts]:
    return [made_samples.facts(role, sha256=sha256) for role in ("pairing.image", "pairing.music")]


def subject(**changes: Any) -> Subject:
    parts: dict[str, Any] = {
        "kind": "run",
        "name": "tiny",
        "run": "runs/tiny",
        "recipe": "tiny",
        "checkpoint": "step-00000036",
        "step": 36,
        "epoch": 6,
        "model_sha256": "b2" * 32,
        "steps": 50,
        "guidance": 7.5,
    }
    return Subject(**(parts | changes))


def data(**changes: Any) -> Data:
    parts: dict[str, Any] = {
        "where": "owner/name@v3",
        "version": "v3",
        "commit": None,
        "data_set": "museart18",
        "digest": DIGEST,
        "label_names": list(made_samples.LABEL_NAMES),
        "split": "test",
        "n": N,
        "asked": None,
        "available": N,
        "recordings": RECORDINGS,
        "n_real": 80,
        "labels": [LabelCount(label=label, n=20) for label in range(3)],
        "items_digest": "d4" * 32,
        "was_trained_on": False,
    }
    return Data(**(parts | changes))


def result(figures: list[Figure], **changes: Any) -> Result:
    """Return an evaluation; `of_subject` and `of_data` change values of these."""
    of_subject, of_data = changes.pop("of_subject", {}), changes.pop("of_data", {})
    parts: dict[str, Any] = {
        "layout": 1,
        "artune": {"version": "0.1.0", "commit": "c0ffee", "is_dirty": False},
        "versions": {"numpy": "2.0"},
        "subject": subject(**of_subject),
        "data": data(**of_data),
        "seed": 1,
        "networks": networks(),
        "figures": figures,
    }
    return Result(**(parts | changes))


def replicates(figure: Figure, effect: np.ndarray, effective: float | None = None) -> Replicates:
    """Return replicates around a figure's value."""
    value = figure.estimate.value if figure.estimate else 0.0
    groups = figure.groups
    values = (value or 0.0) + effect
    return Replicates(figure.name, figure.method, groups, effective or groups, values, np.empty(0))


def stored(
    folder: Path, values: Mapping[str, float | None], *, noise: int = 0, sd: float = 1.0, **changes: Any
) -> Path:
    """Write an evaluation whose figures have these values.

    Args:
        noise: of the replicates: what is hard about the clips is shared by all evaluations, this is its own.
        sd: of it.
    """
    of_figures, resampling = changes.pop("of_figures", {}), changes.pop("resampling", "e5" * 32)
    figures = [figure(name, value, **of_figures.get(name, {})) for name, value in values.items()]
    shared, own = np.random.default_rng(5), np.random.default_rng([6, noise])
    kept = [
        replicates(one, 3 * shared.normal(size=REPLICATES) + sd * own.normal(size=REPLICATES))
        for one in figures
        if one.estimate is not None
    ]
    folder.mkdir(parents=True, exist_ok=True)
    storing.write(result(figures, **changes), kept, resampling, None, folder)
    return folder
