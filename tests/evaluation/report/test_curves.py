"""Curves over the steps of a run."""

import pytest

from evaluation.report.curves import MOST_POINTS, charts
from tests.evaluation.report import synthetic_result as made
from tests.evaluation.report.synthetic_parts import metrics


def test_losses_are_drawn_with_the_epoch_of_the_lowest() -> None:
    chart = charts(made.result(), metrics(), ())[0]
    assert [(curve.name, len(curve.points)) for curve in chart.curves] == [("training", MOST_POINTS), ("validation", 8)]
    assert chart.note == "Lowest validation loss in epoch 3."


def test_many_steps_are_drawn_as_means_that_keep_the_mean() -> None:
    rows = [{"kind": "step", "step": n, "loss": float(n % 7)} for n in range(1, 10 * MOST_POINTS + 1)]
    points = charts(made.result(), rows, ())[0].curves[0].points
    assert len(points) == MOST_POINTS
    expected = sum(row["loss"] for row in rows) / len(rows)
    assert sum(float(point.told) for point in points) / len(points) == pytest.approx(expected, abs=1e-3)


def test_a_loss_that_is_no_number_is_left_out() -> None:
    rows = [{"kind": "step", "step": n, "loss": loss} for n, loss in enumerate((1.0, float("nan"), float("inf"), 2.0))]
    assert [point.step for point in charts(made.result(), rows, ())[0].curves[0].points] == [0, 3]


def test_a_figure_has_a_curve_of_checkpoints_that_were_evaluated_alike() -> None:
    result = made.result()
    found = {chart.title: chart for chart in charts(result, (), made.history(result))}
    assert [point.step for point in found["AIS"].curves[0].points] == [100, 200, 400]  # not 300: of other items
    assert [point.told for point in found["AIS"].curves[0].points] == ["49.95", "50.05", "50.15"]
    assert found["AIS"].band is not None
    assert "FID" not in found  # it was refused


def test_one_checkpoint_is_no_curve() -> None:
    result = made.result()
    assert charts(result, (), made.history(result)[2:]) == []


def test_higher_values_lie_higher() -> None:
    result = made.result()
    points = charts(result, (), made.history(result))[0].curves[0].points
    tops = [float(point.top) for point in points]
    assert tops == sorted(tops, reverse=True)
    top, height = map(float, points[0].span or ())
    assert top < tops[0] < top + height
