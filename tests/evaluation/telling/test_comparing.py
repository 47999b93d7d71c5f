import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import get
from evaluation.statistics.measuring import measure
from evaluation.telling import storing
from evaluation.telling.comparing import Comparison, compare, text
from tests.evaluation import made_evaluations, made_samples
from tests.evaluation.made_evaluations import stored

MIRRORED = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}


def verdicts(found: Comparison) -> dict[str, str]:
    return {row.name: row.verdict for row in found.rows}


def evaluated(folder: Path, **how: Any) -> Path:
    """Measure a made sample and store what was found."""
    made = made_samples.sample(**how)
    measured = measure(made, {name: get(name) for name in ("ais", "fid")})
    n = len(made.items)
    recordings = how.get("n_recordings", 24)
    of_data = {"n": n, "available": n, "recordings": recordings, "items_digest": made.items.digest}
    found = made_evaluations.result(measured.figures, of_data=of_data)
    folder.mkdir(parents=True)
    storing.write(found, measured.replicates, measured.resampling, made.items, folder)
    return folder


def test_a_run_that_shows_more_of_the_music_is_better(tmp_path: Path) -> None:
    worse, better = evaluated(tmp_path / "a", signal=0.3, model=0), evaluated(tmp_path / "b", signal=1.5, model=1)

    found = compare(worse, better)

    assert (found.measure, found.verdict, found.rows[0].verdict) == ("ais", "better", "better")
    row = found.rows[0]
    assert row.interval is not None
    assert row.difference is not None
    assert 0 < row.interval[0] < row.difference < row.interval[1]


def test_the_paired_difference_is_surer_than_two_intervals_beside_each_other(tmp_path: Path) -> None:
    a, b = (
        stored(tmp_path / "a", {"ais": 50.0}, noise=1, sd=0.2),
        stored(tmp_path / "b", {"ais": 51.0}, noise=2, sd=0.2),
    )

    row = compare(a, b).rows[0]

    assert row.verdict == "better"  # what is hard about the clips alone has a standard error of 3
    assert row.interval is not None
    assert row.interval[1] - row.interval[0] < 1.5


def test_a_run_cannot_be_told_from_itself(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0, "iis": 49.0})

    found = compare(a, a)

    assert found.verdict == "cannot tell"
    assert verdicts(found) == {"ais": "cannot tell", "iis": "cannot tell"}
    assert {row.why for row in found.rows} == {"equal"}
    assert "both are of the same model." in found.cautions


@settings(max_examples=30)
@given(
    values=st.lists(st.tuples(st.floats(10, 90), st.floats(-4, 4)), min_size=1, max_size=4),
    noise=st.integers(1, 100),
    sd=st.floats(0.01, 3),
)
def test_the_other_way_round_everything_is_mirrored(values: list[tuple[float, float]], noise: int, sd: float) -> None:
    names = ["ais", "iis", "kid", "win_rate"]
    lower = {"of_figures": {"kid": {"better": "lower"}}}
    with tempfile.TemporaryDirectory() as folder:
        first = {name: value for name, (value, _) in zip(names, values, strict=False)}
        second = {name: value + more for name, (value, more) in zip(names, values, strict=False)}
        a = stored(Path(folder, "a"), first, noise=noise, sd=sd, **lower)
        b = stored(Path(folder, "b"), second, noise=noise + 1, sd=sd, **lower)
        found, mirrored = compare(a, b), compare(b, a)

    assert mirrored.verdict == MIRRORED[found.verdict]
    for row, other in zip(found.rows, mirrored.rows, strict=True):
        assert (other.verdict, other.why) == (MIRRORED[row.verdict], row.why)
        assert (other.p_value, other.p_corrected) == (row.p_value, row.p_corrected)
        assert other.detectable == row.detectable
        if row.interval is not None:
            assert other.interval == pytest.approx((-row.interval[1], -row.interval[0]))


def test_a_small_and_sure_difference_is_told_with_the_digits_that_show_it(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0012}, noise=1, sd=0.0002)
    b = stored(tmp_path / "b", {"ais": 50.0034}, noise=2, sd=0.0002)

    found = compare(a, b)

    assert found.verdict == "better"
    assert "50.003 against 50.001, difference 0.0022 (0.0016 to 0.0028)" in found.sentence


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    lower = {"of_figures": {"kid": {"better": "lower"}}}
    a = stored(tmp_path / "a", {"ais": 50.0, "kid": 60.0}, noise=1, sd=0.1, **lower)
    b = stored(tmp_path / "b", {"ais": 55.0, "kid": 50.0}, noise=2, sd=0.1, **lower)

    assert verdicts(compare(a, b)) == {"ais": "better", "kid": "better"}


def test_other_measures_are_corrected_and_the_one_that_judges_is_not(tmp_path: Path) -> None:
    names = ["ais", *(f"other{number}" for number in range(10))]
    a = stored(tmp_path / "a", dict.fromkeys(names, 50.0), noise=1)
    b = stored(tmp_path / "b", dict.fromkeys(names, 53.4), noise=2)

    found = compare(a, b)

    assert found.verdict == "better"
    p_values = [row.p_value for row in found.rows]
    assert all(p is not None and 0.005 < p < 0.05 for p in p_values)  # each alone would do
    assert {row.verdict for row in found.rows[1:]} == {"cannot tell"}
    assert {row.why for row in found.rows[1:]} == {"not after correction for the number of measures"}


def test_measures_that_do_not_judge_change_no_verdict(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0, "iis": 40.0}, noise=1)
    b = stored(tmp_path / "b", {"ais": 50.2, "iis": 60.0}, noise=2)

    found = compare(a, b)

    assert found.verdict == "cannot tell"
    assert verdicts(found) == {"ais": "cannot tell", "iis": "better"}


def test_another_measure_judges_if_it_is_named(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0, "iis": 60.0}, noise=1)
    b = stored(tmp_path / "b", {"ais": 50.2, "iis": 40.0}, noise=2)

    found = compare(a, b, "iis")

    assert (found.measure, found.verdict) == ("iis", "worse")
    assert [row.name for row in found.rows] == ["iis", "ais"]
    assert found.rows[0].p_corrected is None


def test_the_verdict_is_told_with_its_numbers(tmp_path: Path) -> None:
    a, b = stored(tmp_path / "a", {"ais": 50.0}, noise=1), stored(tmp_path / "b", {"ais": 60.0}, noise=2)

    told = compare(a, b).sentence

    assert told.startswith(f"{b} is better than {a}: AIS 60.00 against 50.00, difference 10.000 (")
    assert told.endswith("60 clips of 30 recordings, p below 0.001.")


def test_a_verdict_that_cannot_be_told_says_what_could_have_been(tmp_path: Path) -> None:
    a, b = stored(tmp_path / "a", {"ais": 50.0}, noise=1), stored(tmp_path / "b", {"ais": 50.5}, noise=2)

    found = compare(a, b)

    assert found.rows[0].detectable is not None
    assert f"it would take a difference of about {found.rows[0].detectable:.3f}" in found.sentence


def test_the_text_for_a_terminal_has_a_line_for_each_measure(tmp_path: Path) -> None:
    a, b = (
        stored(tmp_path / "a", {"ais": 50.0, "iis": 49.0}),
        stored(tmp_path / "b", {"ais": 60.0, "iis": 49.0}, noise=2),
    )

    lines = text(compare(a, b)).splitlines()

    assert lines[3].split()[:3] == ["measure", "a", "b"]
    assert [line.split()[0] for line in lines[4:6]] == ["AIS", "IIS"]
    assert lines[-1].startswith(f"{b} is better than {a}")
