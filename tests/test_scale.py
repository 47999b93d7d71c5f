"""The page about scale says what its model says, and the model what was measured."""

import pytest

from benchmarks import scale, scale_page


def test_tables_of_the_page_are_those_of_the_model() -> None:
    """If not: `python -m benchmarks.scale --write`."""
    assert scale_page.PAGE.read_text(encoding="utf-8") == scale_page.page()


def test_a_changed_constant_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "MEASURE_RECORDING_S", 100.0)
    assert scale_page.PAGE.read_text(encoding="utf-8") != scale_page.page()


@pytest.mark.parametrize("quantity", scale.predicted(1))
def test_what_was_measured_is_near_the_model(quantity: str) -> None:
    found = [
        measured[quantity] / predicted[quantity]
        for measured, predicted in scale_page.compared()
        if quantity in measured
    ]
    assert found == pytest.approx([1.0] * len(found), rel=scale.TOLERANCE)
