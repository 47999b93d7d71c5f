"""What every module of the folder of measures promises to who takes them."""

import inspect
from collections import Counter

import pytest

from evaluation import metrics

SPACES = {"pairing", "inception", "clip", "likeness"}


@pytest.mark.parametrize("name", metrics.names())
def test_a_score_asks_for_what_there_is(name: str) -> None:
    metric = metrics.get(name)
    asked = inspect.signature(metric.score).parameters
    assert {"generated"} <= set(asked) <= set(metrics.ARRAYS) - {"orders"}
    assert len(asked) <= 6
    assert metric.UNCERTAINTY != "bootstrap" or "weights" in asked


@pytest.mark.parametrize("name", metrics.names())
def test_what_is_shuffled_is_given_to_both(name: str) -> None:
    metric = metrics.get(name)
    asked = inspect.signature(metric.score).parameters
    if metric.SHUFFLED is None:
        assert not hasattr(metric, "shuffled")
    else:
        shuffled = inspect.signature(metric.shuffled).parameters
        assert {"generated", metric.SHUFFLED, "orders"} <= set(shuffled) <= set(asked) | {"orders"}


@pytest.mark.parametrize("name", metrics.names())
def test_a_measure_says_what_it_is(name: str) -> None:
    metric = metrics.get(name)
    assert metric.SPACE in SPACES
    assert metric.DEFINED_WITH
    assert any(character.isdigit() for character in metric.REFERENCE)  # a year at least
    assert metric.least_items(512) >= 1
    within = [one for one in metric.MEASURES.values() if one.chance is not None]
    assert all((one.low or 0) <= one.chance <= (one.high or one.chance) for one in within)


def test_no_two_measures_have_one_name_or_title() -> None:
    measures = [one for name in metrics.names() for one in metrics.get(name).MEASURES.items()]
    names, titles = Counter(name for name, _ in measures), Counter(one.title for _, one in measures)
    assert [name for name, times in names.items() if times > 1] == []
    assert [title for title, times in titles.items() if times > 1] == []
