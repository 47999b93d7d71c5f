"""Which measures stand where, between chance and the true partner."""

from evaluation.report import standing
from tests.evaluation.report import synthetic_result as made
from tests.evaluation.report.synthetic_figures import chance, estimate, figure


def test_measures_are_grouped_by_what_they_answer_in_their_order() -> None:
    groups = standing.groups(made.result())
    assert [(group.key, [row.figure.name for row in group.rows]) for group in groups] == [
        ("chance", ["ais", "iis", "win_rate", "recall_10", "median_rank"]),
        ("real", ["fid", "kid", "precision"]),
        ("alone", ["vendi"]),
    ]


def test_a_measure_of_pairs_that_was_refused_stands_among_those_of_pairs() -> None:
    refused = figure("recall_10", None, None, estimate=None, refused="3 clips: expected more than 10")
    assert [group.key for group in standing.groups(made.result(figures=[refused]))] == ["chance"]


def test_the_main_measure_is_judged_alone_and_the_others_after_correction() -> None:
    p_values = {"main": 0.04, "a": 0.04, "b": 0.02, "c": 0.3}
    figures = [figure(name, 51.0, 1.0, chance=chance(50.0, 1.0, p)) for name, p in p_values.items()]
    rows = standing.groups(made.result(figures=figures))[0].rows
    assert [(row.is_main, row.is_told) for row in rows] == [
        (True, True),
        (False, False),
        (False, False),
        (False, False),
    ]


def test_a_narrow_interval_is_told_with_the_digits_that_show_it() -> None:
    narrow = figure("ais", 50.004, 0.003, chance=chance(50.0001, 0.001, 0.1), rows={"partner": estimate(50.01, 0.001)})
    (group,) = standing.groups(made.result(figures=[narrow]))
    (row,) = group.rows
    assert (row.digits, row.value, row.interval, row.chance) == (3, "50.004", "50.001 to 50.007", "50.000")


def test_the_hero_goes_from_chance_to_the_true_partner() -> None:
    hero = standing.hero(made.result())
    assert hero is not None
    assert [lane.kind for lane in hero.lanes] == ["shuffled", "other_label", "subject", "same_label", "partner"]
    places = {lane.kind: float(lane.at or "nan") for lane in hero.lanes}
    left, width = map(float, hero.band or ())
    assert left < places["shuffled"] < left + width < places["subject"] < places["partner"]


def test_better_is_on_the_right_also_where_lower_is_better() -> None:
    rows = {row.figure.name: row for group in standing.groups(made.result()) for row in group.rows}
    subject, partner = rows["median_rank"].lanes
    assert float(subject.at or "nan") < float(partner.at or "nan")


def test_a_measure_without_a_reference_draws_none_and_gives_none() -> None:
    rows = {row.figure.name: row for group in standing.groups(made.result()) for row in group.rows}
    assert [lane.kind for lane in rows["recall_10"].lanes] == ["subject", "partner"]
    assert rows["recall_10"].reference("same_label") is None


def test_a_group_names_the_marks_that_it_draws() -> None:
    assert [group.kinds for group in standing.groups(made.result())] == [
        ["subject", "other_label", "same_label", "partner"],
        ["subject", "other_label", "same_label"],
        ["subject", "same_label", "partner"],
    ]


def test_labels_share_an_axis_with_all_of_them() -> None:
    chart = next(standing.by_label(made.result()))
    assert [lane.kind for lane in chart.lanes] == ["subject"] + ["one"] * 18
    assert chart.lanes[1].name == "Italian Renaissance allegory and symbolism (5)"
    assert chart.lanes[1].span is None  # that label has no interval


def test_a_refused_measure_has_no_chart() -> None:
    refused = figure("fid", None, None, estimate=None, refused="too few", n_real=3)
    row = standing.groups(made.result(figures=[refused]))[0].rows[0]
    assert (row.axis, row.value, list(row.lanes)) == (None, "refused", [])
    assert standing.hero(made.result(figures=[refused])) is None


def test_without_a_chance_level_the_first_known_measure_is_the_hero() -> None:
    figures = [figure("fid", None, None, estimate=None, refused="x"), figure("kid", 0.1, 0.01), figure("b", 1.0, 0.1)]
    main = standing.main_figure(made.result(figures=figures))
    assert main is not None
    assert main.name == "kid"


def test_the_hero_of_a_data_set_shows_each_side_beside_chance() -> None:
    hero = standing.hero(made.result("data", ["A", "B"]))
    assert hero is not None
    assert [(lane.kind, lane.value) for lane in hero.lanes] == [
        ("shuffled", "50.0"),
        ("subject", "62.0"),
        ("shuffled", "50.0"),
        ("subject", "9.0"),
    ]


def test_an_estimate_without_a_value_is_no_end_of_an_axis() -> None:
    chart = standing.groups(made.result(figures=[figure("x", 3.0, 1.0, rows={"partner": estimate(None)})]))[0].rows[0]
    assert [lane.at for lane in chart.lanes][1] is None


def test_what_marks_all_measures_of_a_group_is_told_once() -> None:
    both = [figure(name, 1.0, 0.1, marked="only 16 recordings") for name in "ab"]
    assert standing.groups(made.result(figures=both))[0].marked == "only 16 recordings"
    assert standing.groups(made.result(figures=[*both, figure("c", 1.0, 0.1)]))[0].marked is None


def test_a_measure_whose_true_partners_are_at_chance_is_called_blind() -> None:
    figures = [
        figure(name, 50.0, 0.1, rows={"partner": estimate(partner)}, chance=chance(50.0, 0.5, 0.4))
        for name, partner in (("a", 50.2), ("b", 60.0))
    ]
    assert [row.is_blind for row in standing.groups(made.result(figures=figures))[0].rows] == [True, False]


def test_a_measure_against_real_images_that_has_a_chance_level_is_judged_by_it() -> None:
    both = figure("a", 51.0, 1.0, n_real=9, chance=chance(50.0, 0.5, 0.4))
    assert [group.key for group in standing.groups(made.result(figures=[both]))] == ["chance"]
