from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.telling import storing
from evaluation.telling.comparing import compare
from rules.errors import ConfigurationError
from tests.evaluation import made_evaluations
from tests.evaluation.made_evaluations import stored

MIRRORED = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}


def test_a_measure_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0, "iis": 60.0})

    with pytest.raises(ConfigurationError, match=r"--measure isi: expected one that both have: ais, iis.*did you mean"):
        compare(a, a, "isi")


def test_so_few_recordings_cannot_tell_whatever_the_numbers_say(tmp_path: Path) -> None:
    few = {"of_figures": {"ais": {"groups": 5, "marked": "only 5 recordings: a hint at most"}}}
    a = stored(tmp_path / "a", {"ais": 20.0}, noise=1, sd=0.001, **few)
    b = stored(tmp_path / "b", {"ais": 90.0}, noise=2, sd=0.001, **few)

    found = compare(a, b)

    assert found.verdict == "cannot tell"
    assert found.rows[0].why == "too few recordings: they count as 5.0, of 6 at least"
    assert found.rows[0].interval is None
    assert "AIS: only 5 recordings: a hint at most." in found.cautions


def test_a_difference_without_direction_is_shown_and_not_judged(tmp_path: Path) -> None:
    neither = {"of_figures": {"vendi": {"better": None}}}
    a = stored(tmp_path / "a", {"ais": 50.0, "vendi": 10.0}, noise=1, **neither)
    b = stored(tmp_path / "b", {"ais": 50.0, "vendi": 50.0}, noise=2, **neither)

    row = compare(a, b).rows[1]

    assert (row.verdict, row.why, row.p_corrected) == ("cannot tell", "neither direction is better", None)
    assert row.interval is not None


def test_a_figure_that_was_refused_in_one_cannot_be_compared(tmp_path: Path) -> None:
    a = stored(tmp_path / "a", {"ais": 50.0, "fid": None}, noise=1)
    b = stored(tmp_path / "b", {"ais": 50.0, "fid": 60.0}, noise=2)

    assert compare(a, b).rows[1].why == "not measured in a"
    with pytest.raises(ConfigurationError, match="--measure fid: expected one that both have: ais"):
        compare(a, b, "fid")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"of_data": {"digest": "ff" * 32}}, r"data set: museart18 v3 \(c3c3.* in .*museart18 v3 \(ffff"),
        ({"of_data": {"split": "validation"}}, "split: test in .*, validation in .*--split"),
        ({"seed": 2}, "seed: 1 in .*, 2 in .*--seed"),
        ({"of_data": {"n": 59}}, "number of clips: 60 in .*, 59 in .*--n"),
        ({"of_data": {"items_digest": "ff" * 32}}, "clips: d4d4.*, ffff"),
        ({"of_data": {"n_real": 79}}, "number of real images: 80 in .*, 79"),
        (
            {"networks": made_evaluations.networks("ff" * 32)},
            r"network pairing.image: CLIP .*\(a1a1.*\(ffff.*--networks",
        ),
        ({"networks": made_evaluations.networks()[:1]}, "network pairing.music: Wav2CLIP .*, none in"),
        ({"resampling": "ff" * 32}, "resampling: e5e5.*, ffff.*versions of artune and NumPy"),
        ({"of_subject": {"kind": "data"}}, "this one is of a data set alone"),
    ],
    ids=["data", "split", "seed", "n", "items", "real images", "weights", "a network less", "resampling", "data only"],
)
def test_the_first_difference_of_what_cannot_be_compared_is_named(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    a, b = stored(tmp_path / "a", {"ais": 50.0}), stored(tmp_path / "b", {"ais": 51.0}, **changes)

    with pytest.raises(ConfigurationError, match=match):
        compare(a, b)


@pytest.mark.parametrize(
    ("changes", "caution"),
    [
        ({"of_subject": {"steps": 25, "model_sha256": None}}, "a was drawn in 50 steps at guidance 7.5, b in 25 steps"),
        ({"artune": {"version": "0.2.0", "commit": "f00"}}, "evaluated by different versions of artune"),
        ({"of_data": {"was_trained_on": True}}, "of the split test, which models are trained on"),
        (
            {"of_figures": {"ais": {"title": "Stand-in for AIS by random CLIP", "is_as_published": False}}},
            "Stand-in for AIS by random CLIP is not ais as published",
        ),
        (
            {"of_figures": {"ais": {"rows": {"partner": {"value": 50.0, "interval": None, "n": 60}}}}},
            "even the true partners are no better than shuffled ones by AIS",
        ),
        ({}, "each run is one training"),
    ],
    ids=["steps", "version", "split", "stand-ins", "blind", "one training"],
)
def test_what_to_know_before_one_believes_it_is_told(tmp_path: Path, changes: dict[str, Any], caution: str) -> None:
    shared = changes if "of_data" in changes else {}
    a, b = stored(tmp_path / "a", {"ais": 50.0}, **shared), stored(tmp_path / "b", {"ais": 51.0}, **changes)

    assert any(caution in told for told in compare(a, b).cautions)


def test_replicates_that_are_not_defined_spoil_no_comparison(tmp_path: Path) -> None:
    a, b = stored(tmp_path / "a", {"ais": 50.0}, noise=1), stored(tmp_path / "b", {"ais": 60.0}, noise=2)
    found = storing.read(b)
    kept, resampling = storing.read_replicates(b, found)
    kept["ais"].items[7] = np.nan
    storing.write(found, list(kept.values()), resampling, None, b)

    assert compare(a, b).verdict == "better"
