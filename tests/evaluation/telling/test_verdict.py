"""What an evaluation says in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.result import Figure, Result
from evaluation.telling.verdict import LEVEL, is_partner_at_chance, share_of_way, told_apart, verdict
from evaluation.telling.wording import digits, number, p_value, with_interval
from tests.evaluation.report import synthetic_result as made
from tests.evaluation.report.synthetic_figures import chance, estimate, figure
from tests.evaluation.report.synthetic_parts import networks


def measures(*p_values: float) -> list[Figure]:
    partner = {"partner": estimate(60.0, 1.0)}
    return [figure(f"m{n}", 51.0, 1.0, rows=partner, chance=chance(50.0, 0.5, p)) for n, p in enumerate(p_values)]


def told(*p_values: float, **changes: object) -> str:
    return verdict(made.result(figures=measures(*p_values), **changes)).sentence


def test_the_main_measure_decides_alone() -> None:
    assert told(0.05, 0.9) == "The images follow the music: they can be told from chance."
    assert told(0.051, 0.9) == "The images cannot be told from chance."
    assert told(0.9, 0.001) == "The images cannot be told from chance by the main measure, though they can by others."


def test_the_numbers_are_those_of_the_main_measure_and_a_count_of_the_others() -> None:
    found = verdict(made.result(figures=measures(0.01, 0.001, 0.04, 0.04)))
    assert found.detail == (
        "M0: 51.00 (50.00 to 52.00), where shuffling gives 50.00 (p = 0.010) and the true partners 60.00; "
        "1 of 3 other measures is better too, after correction for their number."
    )


def test_holm_by_hand() -> None:
    assert told_apart(measures(0.01, 0.04, 0.03, 0.005)) == {"m0", "m3"}  # 0.03 > 0.05 / 2 stops it
    assert told_apart([]) == set()


@given(st.lists(st.floats(0.001, 1.0), max_size=8))
def test_holm_finds_what_bonferroni_finds_and_nothing_above_the_level(p_values: list[float]) -> None:
    found = told_apart(measures(*p_values))
    assert {f"m{n}" for n, p in enumerate(p_values) if p <= LEVEL / len(p_values)} <= found
    assert found <= {f"m{n}" for n, p in enumerate(p_values) if p <= LEVEL}


def test_a_result_without_a_chance_level_cannot_tell() -> None:
    assert told() == "Whether the images follow the music cannot be told."


@pytest.mark.parametrize(("value", "expected"), [(50.0, 0.0), (60.0, 1.0), (51.0, 0.1), (49.0, -0.1)])
def test_the_way_from_chance_to_the_true_partner(value: float, expected: float) -> None:
    assert share_of_way(measures(0.01)[0], value) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("better", "partner", "expected"),
    [
        ("higher", 50.4, True),
        ("higher", 50.6, False),
        ("lower", 49.6, True),
        ("lower", 49.4, False),
        ("lower", 70.0, True),
    ],
)
def test_a_true_partner_no_better_than_chance_cannot_be_a_ceiling(better: str, partner: float, expected: bool) -> None:
    rows = {"partner": estimate(partner, 0.3)}
    found = figure("m", 50.1, 1.0, better=better, rows=rows, chance=chance(50.0, 0.5, 0.4))
    assert is_partner_at_chance(found) is expected
    assert (share_of_way(found, 50.1) is None) is expected


@pytest.mark.parametrize(("better", "partner"), [("higher", 50.2), ("lower", 49.8)])
def test_images_that_are_all_alike_do_not_make_a_ceiling_of_noise(better: str, partner: float) -> None:
    """Shuffling hardly moves a collapsed model, so that any partner would lie beyond what it gives."""
    rows = {"partner": estimate(partner, 0.3)}
    assert is_partner_at_chance(figure("m", 50.0, 0.1, better=better, rows=rows, chance=chance(50.0, 0.01, 0.5)))


def test_images_that_fit_worse_than_shuffled_ones_are_no_matter_of_chance() -> None:
    partner = {"partner": estimate(60.0, 1.0)}
    worse = figure("ais", 49.4, 0.2, rows=partner, chance=chance(50.0, 0.5, 0.999))
    assert verdict(made.result(figures=[worse])).sentence.startswith(
        "The images fit their music worse than shuffled music"
    )
    alike = figure("ais", 50.0, None, rows=partner, chance=chance(50.0, 0.0, 1.0))
    assert verdict(made.result(figures=[alike])).sentence == "The images cannot be told from chance."


@pytest.mark.parametrize("main", [0.6, 0.01])
def cautions(**changes: object) -> str:
    return " ".join(verdict(made.result(**changes)).cautions)


def test_a_sound_evaluation_has_no_caution() -> None:
    assert cautions(figures=measures(0.01)) == ""


def test_a_model_of_another_data_set_may_have_heard_the_clips() -> None:
    result: Result = made.result(figures=measures(0.01))
    same, other = (
        result.subject.model_copy(update={"trained_on": name}) for name in (result.data.data_set, "folk-songs")
    )
    assert "trained on" not in cautions(figures=measures(0.01), subject=same)
    assert "was trained on folk-songs: whether that has clips of" in cautions(figures=measures(0.01), subject=other)


def test_stand_ins_random_weights_training_clips_and_few_recordings_are_cautioned_of() -> None:
    result: Result = made.result(figures=measures(0.01), networks=networks(is_stand_in=True))
    assert "Stand-in networks made features (stand-in: CLIP ViT-B/32 (openai)" in " ".join(verdict(result).cautions)
    subject = result.subject.model_copy(update={"is_random": True})
    assert "random weights" in cautions(subject=subject)
    assert "which models are trained on" in cautions(data=result.data.model_copy(update={"was_trained_on": True}))
    few = cautions(data=result.data.model_copy(update={"recordings": 19}))
    assert "90 clips are of 19 recordings only" in few


def test_networks_that_cannot_tell_even_true_partners_are_named() -> None:
    blind = figure("ais", 50.0, 0.1, title="AIS", rows={"partner": estimate(50.01, 0.1)}, chance=chance(50.0, 0.1, 0.5))
    assert (
        cautions(figures=[blind]) == "By AIS, even the true partners are no better than chance: it cannot judge here."
    )
    some = cautions(figures=[blind, *measures(0.2), blind.model_copy(update={"name": "b"})])
    assert some.startswith("By 2 of 3 measures, AIS among them, even the true partners")
    assert cautions(figures=[*measures(0.2), blind]).startswith("By 1 of 2 measures, even the true partners")


def test_the_data_set_alone_is_judged_by_its_probes() -> None:
    found = verdict(made.result("data", ["A", "B"]))
    assert found.sentence == "Labels can be told from images, not from music."
    assert found.detail == "From images 62 % are right, by chance 50 %; from music 9 % are right, by chance 50 %."
    assert verdict(made.result("data", quality=None)).sentence == "The data set itself, without a model."


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(50.154, 2, "50.15"), (-0.004, 2, "0.00"), (-1.5, 1, "−1.5"), (12_345.6, 0, "12,346"), (-0.0, 0, "0")],
)
def test_a_number_has_a_true_minus_and_no_signed_zero(value: float, digits: int, expected: str) -> None:
    assert number(value, digits) == expected


def test_an_estimate_says_its_interval_or_that_it_has_none() -> None:
    assert with_interval(estimate(50.15, 0.1), 2) == "50.15 (50.05 to 50.25)"
    assert with_interval(estimate(50.15, None), 2) == "50.15 (no interval)"
    assert with_interval(estimate(None), 2) == with_interval(None, 2) == "unknown"


@pytest.mark.parametrize(
    ("half", "shown"), [(1.0, 2), (0.03, 2), (0.004, 3), (0.00001, 6), (1e-9, 6), (0.0, 2), (None, 2)]
)
def test_a_narrow_interval_is_told_with_more_digits(half: float | None, shown: int) -> None:
    """50.00 (50.00 to 50.01) hides where in between the value is."""
    assert digits(figure("m", 50.004, half)) == shown


@pytest.mark.parametrize(("value", "expected"), [(0.041, "0.041"), (0.0001, "below 0.001"), (1.0, "1.000")])
def test_a_p_value_is_never_zero(value: float, expected: str) -> None:
    assert p_value(value) == expected
