import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import get
from evaluation.statistics import scoring
from evaluation.statistics.replicates import Replicates, difference, holm
from evaluation.statistics.scoring import Inputs, Resampler
from tests.evaluation import made_samples

finite = st.floats(-100, 100, allow_subnormal=False)
samples = st.lists(finite, min_size=2, max_size=30).map(np.array)


def replicates(values: np.ndarray, groups: int = 25) -> Replicates:
    return Replicates("ais", "bootstrap", groups, groups, values, np.empty(0))


def left_out(items: np.ndarray, real: np.ndarray | None = None) -> Replicates:
    return Replicates("fid", "jackknife", len(items), len(items), items, np.empty(0) if real is None else real)


def p_values(name: str, n_recordings: int, signals: tuple[float, float], runs: int) -> np.ndarray:
    """Return those of the difference of two models, each time in another world, shape (runs,)."""
    metric, resampler = get(name), Resampler(1)
    main = next(iter(metric.MEASURES))
    found = []
    for world in range(runs):
        values, kept = [], []
        for model, signal in enumerate(signals):
            made = made_samples.sample(n_recordings, signal=signal, world=world, model=model)
            inputs = Inputs.of(made, made.spaces[metric.SPACE])
            scores = scoring.resampled(metric, inputs, resampler)[main]
            values.append(float(scores.value))
            kept.append(scoring.replicates(metric, inputs, main, scores))
        told = difference(values[1] - values[0], kept[1] - kept[0])
        found.append(1.0 if told is None else told.p_value)
    return np.array(found)


@pytest.mark.parametrize(("n_recordings", "signal"), [(8, 1.0), (24, 1.0), (24, 0.0)])
def test_equal_models_are_told_apart_in_about_one_of_twenty_runs(n_recordings: int, signal: float) -> None:
    told = np.mean(p_values("ais", n_recordings, (signal, signal), 500) <= 0.05)

    assert 0.02 <= told <= 0.08  # of 500 runs at 5 %, three standard errors to both sides


def test_the_jackknife_tells_equal_models_apart_in_no_more_than_one_of_twenty_runs() -> None:
    told = np.mean(p_values("fid", 24, (1.0, 1.0), 200) <= 0.05)

    assert 0 < told <= 0.05  # it errs on the careful side: Efron and Stein 1981, "The jackknife estimate of variance"


def test_a_better_model_is_found_in_most_runs() -> None:
    assert np.mean(p_values("ais", 24, (1.0, 1.7), 50) <= 0.05) > 0.8


def test_the_bootstrap_of_a_mean_has_the_error_of_the_t_test() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, 8)
    draws = np.random.default_rng(2).integers(0, 8, (20_000, 8))

    told = difference(values.mean(), replicates(values[draws].mean(axis=1), groups=8))

    assert told is not None
    assert told.error == pytest.approx(values.std(ddof=1) / 8**0.5, rel=0.03)
    assert told.interval[1] - values.mean() == pytest.approx(2.365 * told.error, rel=1e-3)  # t of 7 degrees


def test_the_jackknife_of_a_mean_has_the_error_of_the_t_test() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, 20)
    without_each = (values.sum() - values) / 19

    told = difference(values.mean(), left_out(without_each))

    assert told is not None
    assert told.error == pytest.approx(values.std(ddof=1) / 20**0.5)
    assert told.interval[1] - values.mean() == pytest.approx(2.093 * told.error, rel=1e-4)  # t of 19 degrees


def test_leaving_out_real_images_adds_to_the_error() -> None:
    parts = np.random.default_rng(1).normal(size=(2, 20))

    told = difference(1.0, left_out(*parts))
    alone = [difference(1.0, left_out(part)) for part in parts]

    assert told is not None
    assert told.error**2 == pytest.approx(sum(one.error**2 for one in alone if one))


@given(values=samples, value=finite)
def test_the_mirrored_difference_has_the_mirrored_interval(values: np.ndarray, value: float) -> None:
    told, mirrored = difference(value, replicates(values)), difference(-value, replicates(-values))

    if told is None or mirrored is None:
        assert told is mirrored
    else:
        assert mirrored.interval == pytest.approx((-told.interval[1], -told.interval[0]))
        assert mirrored.p_value == pytest.approx(told.p_value)


@given(values=samples, value=finite)
def test_an_interval_without_zero_goes_with_a_p_value_below_the_level(values: np.ndarray, value: float) -> None:
    told = difference(value, replicates(values))

    if told is not None and abs(told.p_value - 0.05) > 1e-9:
        assert (told.interval[0] > 0 or told.interval[1] < 0) == (told.p_value < 0.05)


def test_what_could_be_detected_is_detected_in_four_of_five_runs() -> None:
    draws = np.random.default_rng(3)
    told = difference(0.0, replicates(draws.normal(size=5_000), groups=30))
    assert told is not None

    seen = draws.normal(told.detectable, told.error, 20_000)

    assert np.mean(np.abs(seen) > told.interval[1]) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    "kept",
    [
        replicates(np.full(1_000, 0.3)),
        replicates(np.array([1.0, 2.0, 3.0]), groups=1),
        replicates(np.array([np.nan, np.nan, 1.0, 2.0])),
        left_out(np.array([1.0, np.nan])),
        left_out(np.empty(0)),
    ],
    ids=["nothing varies", "one recording", "mostly undefined", "undefined without a part", "nothing to leave out"],
)
def test_where_resampling_cannot_tell_nothing_is_told(kept: Replicates) -> None:
    assert difference(1.0, kept) is None


def test_a_replicate_that_is_not_defined_is_left_out() -> None:
    values = np.random.default_rng(1).normal(size=100)

    told = difference(1.0, replicates(np.append(values, np.nan)))

    assert told is not None
    assert told == difference(1.0, replicates(values))


def test_holm_corrects_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_order_and_never_makes_a_p_value_smaller(values: list[float]) -> None:
    corrected = holm(values)

    assert all(p <= after <= 1 for p, after in zip(values, corrected, strict=True))
    assert [corrected[i] for i in np.argsort(values)] == sorted(corrected)
