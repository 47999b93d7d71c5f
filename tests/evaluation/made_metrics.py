"""A metric that is simple enough to know its figures by hand."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from evaluation.metrics import Measure, Metric
from evaluation.result import Figure
from evaluation.sample import Sample
from evaluation.statistics.measuring import measure
from tests.evaluation import made_samples


def made_metric(**changes: Any) -> Metric:
    """Return a metric: the mean over images of their first number."""

    def score(generated: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"first": weights @ generated[:, 0].astype(float) / weights.sum(axis=1)}

    parts: dict[str, Any] = {
        "MEASURES": {"first": Measure("First", "higher", -5.0, 5.0)},
        "SPACE": "inception",
        "DEFINED_WITH": (made_samples.PUBLISHED["inception"],),
        "REFERENCE": "Somebody 2024",
        "SHUFFLED": None,
        "UNCERTAINTY": "bootstrap",
        "least_items": lambda width: 2,
        "score": score,
    }
    return cast(Metric, SimpleNamespace(**(parts | changes)))


def only(metric: Metric, of: Sample, **how: Any) -> Figure:
    """Return the one figure of a metric."""
    (figure,) = measure(of, {"made": metric}, **how).figures
    return figure
