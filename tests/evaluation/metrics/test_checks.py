"""What is no sample is refused with the array, the row and what was expected."""

import numpy as np
import pytest

from evaluation.metrics import _checks
from evaluation.metrics._checks import check_features, check_labels, check_paired, check_weights
from rules.errors import ConfigurationError
from tests.evaluation.metrics.pairing import CALLS, LABELS, N, features, once


def spoiled(value: float, rows: slice | int = 3, columns: slice | int = 2) -> np.ndarray:
    array = features(1)
    array[rows, columns] = value
    return array


UNFIT = {
    "different counts": (features(1, 12), once(12), "different counts: .* 1[23].* 1[23]"),
    "NaN": (spoiled(np.nan), once(N), "row 3 holds NaN"),
    "infinity": (spoiled(-np.inf), once(N), "row 3 holds NaN or infinity"),
    "a zero vector": (spoiled(0, 3, slice(None)), once(N), "row 3 is a zero vector"),
    "other widths": (features(1, N, 9), once(N), "different widths: .*9"),
    "nothing": (features(1, 0), once(0), "there is nothing in it"),
    "a flat array": (np.ones(N), once(N), "expected a row of features"),
}


@pytest.mark.parametrize("place", [0, 1], ids=["images", "their partners"])
@pytest.mark.parametrize("case", UNFIT)
@pytest.mark.parametrize("name", sorted(set(CALLS) - {"aic", "giils"}))
def test_unfit_features_are_refused_by_every_pairing_measure(name: str, case: str, place: int) -> None:
    unfit, weights, told = UNFIT[case]
    given = [features(2), features(3)]
    given[place] = unfit
    with pytest.raises(ConfigurationError, match=told):
        CALLS[name](given[0], given[1], weights)


@pytest.mark.parametrize("case", sorted(set(UNFIT) - {"different counts", "other widths"}))
@pytest.mark.parametrize("name", ["aic", "giils"])
def test_unfit_images_are_refused_by_measures_of_labels(name: str, case: str) -> None:
    unfit, weights, told = UNFIT[case]
    with pytest.raises(ConfigurationError, match=f"generated: .*{told}"):
        CALLS[name](unfit, features(2), weights)


def test_the_array_is_named() -> None:
    with pytest.raises(ConfigurationError, match="music: row 3 is a zero vector"):
        check_paired({"generated": features(1), "music": spoiled(0, 3, slice(None))})


def test_counts_are_told() -> None:
    with pytest.raises(ConfigurationError, match="different counts: generated 13, partners 7; expected a row of each"):
        check_paired({"generated": features(1), "partners": features(2, 7)})


def test_arrays_of_different_things_may_differ_in_counts() -> None:
    check_features({"generated": features(1), "real": features(2, 7)})


def test_rows_are_counted_through_all_that_is_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "_ROWS", 4)
    with pytest.raises(ConfigurationError, match="real: row 11 holds NaN"):
        check_features({"real": spoiled(np.nan, 11)})


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (LABELS[:5], r"shape \(5,\); expected an integer for each of 13"),
        (LABELS.astype(float), "float64"),
        (np.where(LABELS == 2, 4, 0), "row 3 is 4; expected 0 to 3"),
        (np.where(LABELS == 2, -1, 0), "row 3 is -1"),
    ],
    ids=["too few", "fractions", "too large", "negative"],
)
def test_unfit_labels_are_refused(labels: np.ndarray, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"labels: .*{told}"):
        check_labels(labels, N, 4)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (np.ones(N), "expected a row for each replicate and 13 columns"),
        (np.ones((2, 4)), "13 columns"),
        (np.ones((0, N)), "expected a row for each replicate"),
        (np.stack([np.ones(N), np.zeros(N)]), "replicate 1"),
        (np.stack([np.ones(N), np.full(N, np.nan)]), "replicate 1"),
        (np.stack([np.ones(N), np.arange(N) - 1.0]), "replicate 1"),
    ],
    ids=["flat", "too few", "no replicate", "nothing counts", "NaN", "negative"],
)
def test_unfit_weights_are_refused(weights: np.ndarray, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"weights: .*{told}"):
        check_weights(weights, N)
