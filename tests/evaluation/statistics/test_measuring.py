from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import get, names
from evaluation.result import Figure
from evaluation.statistics.measuring import Measured, measure
from tests.evaluation.made_metrics import made_metric, only
from tests.evaluation.made_samples import N_LABELS, D, sample

FIDS = {"fid": get("fid")}


def by_name(measured: Measured) -> Mapping[str, Figure]:
    return {figure.name: figure for figure in measured.figures}


@pytest.fixture(scope="module")
def everything() -> Measured:
    return measure(sample(), {name: get(name) for name in names()}, small_fid=True)


def test_every_metric_gives_figures_with_value_interval_rows_and_sizes(everything: Measured) -> None:
    for figure in everything.figures:
        assert figure.estimate is not None, figure
        assert figure.estimate.value is not None
        assert figure.estimate.interval is not None, figure
        assert figure.estimate.interval[0] <= figure.estimate.value <= figure.estimate.interval[1], figure
        assert (figure.estimate.n, figure.groups) == (48, 24)
        assert set(figure.rows) == {"shuffled", "other_label", "same_label", "partner"}
        assert figure.marked is None


def test_the_headline_comes_first_and_what_pairs_before_what_does_not(everything: Measured) -> None:
    figures = everything.figures

    assert figures[0].name == "ais"
    has_chance = [figure.chance is not None for figure in figures]
    assert has_chance == sorted(has_chance, reverse=True)


def test_a_planted_signal_is_found_between_shuffled_and_true_partners(everything: Measured) -> None:
    ais = by_name(everything)["ais"]
    rows = {name: row.value for name, row in ais.rows.items() if row is not None and row.value is not None}

    assert ais.chance is not None
    assert ais.estimate is not None
    assert ais.chance.p_value == 0.001  # none of 999 is as good
    assert rows["shuffled"] == ais.chance.value == pytest.approx(50, abs=0.5)
    assert rows["other_label"] == pytest.approx(50, abs=2)
    assert rows["shuffled"] < (ais.estimate.value or 0) < rows["partner"]


def test_rows_of_real_images_in_their_own_midst_are_left_out(everything: Measured) -> None:
    fid = by_name(everything)["fid"]

    assert fid.rows["partner"] is None  # partners are real images of the split
    assert fid.rows["shuffled"] is None
    assert fid.rows["same_label"] is not None
    assert (fid.n_real, fid.rows["same_label"].n) == (96, 24)


def test_rows_that_are_among_the_real_images_say_nothing_of_a_measure_against_them() -> None:
    made = sample()
    space = made.spaces["inception"]
    at, images = space.others["same_label"]
    images = np.concatenate([images[:-1], space.real[:1]])  # as where the split train is evaluated
    spaces = {**made.spaces, "inception": replace(space, others={**space.others, "same_label": (at, images)})}

    (fid,) = measure(replace(made, spaces=spaces), FIDS).figures

    assert fid.rows["same_label"] is None
    assert fid.rows["other_label"] is not None


def test_figures_by_label_tell_how_many_clips_they_are_of(everything: Measured) -> None:
    by_label = by_name(everything)["ais"].by_label

    assert [(one.label, one.estimate.n) for one in by_label] == [(0, 16), (1, 16), (2, 16)]
    assert all(one.estimate.interval for one in by_label)


def test_an_interval_is_wider_where_clips_of_a_recording_are_alike() -> None:
    alone, alike = sample(24, clips=1), sample(24, clips=4)
    images = np.repeat(alone.spaces["inception"].generated, 4, axis=0)
    spaces = {**alike.spaces, "inception": replace(alike.spaces["inception"], generated=images)}
    metric = made_metric()

    one = only(metric, alone).estimate
    four = only(metric, replace(alike, spaces=spaces)).estimate

    assert one is not None
    assert four is not None
    assert four.interval == pytest.approx(one.interval, rel=1e-6)  # the same image four times tells no more than once


def test_resampling_of_a_mean_gives_the_interval_of_the_t_test() -> None:
    made = sample(40, clips=1)
    values = made.spaces["inception"].generated[:, 0].astype(float)

    estimate = only(made_metric(), made).estimate

    assert estimate is not None
    assert estimate.interval is not None
    reach = 2.0227 * values.std(ddof=1) / 40**0.5  # t of 39 degrees of freedom
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.interval == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.15 * reach)


def test_an_interval_ends_where_a_measure_does() -> None:
    made = sample(8, clips=1)
    images = np.full_like(made.spaces["inception"].generated, 5.0)
    images[0] = -5.0
    clipped = replace(made, spaces={**made.spaces, "inception": replace(made.spaces["inception"], generated=images)})

    estimate = only(made_metric(UNCERTAINTY="jackknife"), clipped).estimate

    assert estimate is not None
    assert (estimate.value, estimate.interval) == (3.75, (pytest.approx(0.794, abs=1e-3), 5.0))  # without an end: 6.706


def test_the_interval_of_a_label_is_that_of_its_items_alone() -> None:
    made = sample(18)  # as many as there are parts at most, so that each part is a recording
    has = np.flatnonzero(made.items.labels == 1)
    space, items = made.spaces["likeness"], made.items
    recordings = np.unique(items.recordings[has], return_inverse=True)[1]
    alone = replace(items, labels=items.labels[has], recordings=recordings, pair_ids=items.pair_ids[: len(has)])
    spaces = {"likeness": replace(space, generated=space.generated[has], others={}, partners=space.partners[has])}

    (figure,) = measure(made, {"vendi": get("vendi")}).figures
    (of_label,) = measure(replace(made, items=alone, spaces=spaces), {"vendi": get("vendi")}).figures

    assert figure.by_label[1].estimate.interval is not None
    assert of_label.estimate is not None
    assert figure.by_label[1].estimate.interval == pytest.approx(of_label.estimate.interval)


def test_shuffling_one_recording_tells_nothing() -> None:
    (ais,) = measure(sample(1, clips=4), {"ais": get("ais")}).figures

    assert (ais.chance, ais.rows["shuffled"]) == (None, None)
    assert ais.estimate is not None


def test_images_that_do_not_depend_on_the_music_are_no_better_than_chance() -> None:
    chances = [only(get("ais"), sample(12, signal=0, world=world)).chance for world in range(8)]
    values = [chance.p_value for chance in chances if chance]

    assert len(values) == 8
    assert 0.1 <= np.mean(values) <= 0.9  # of 8 even numbers between 0 and 1, four standard errors to both sides


def test_a_metric_is_given_999_shufflings_of_recordings_and_what_it_asks_for() -> None:
    given = []

    def shuffled(generated: np.ndarray, labels: np.ndarray, orders: np.ndarray) -> dict[str, np.ndarray]:
        given.append((generated.shape, labels[orders].shape))
        return {"first": np.arange(len(orders), dtype=float)}

    figure = only(made_metric(SHUFFLED="labels", shuffled=shuffled), sample())

    assert given == [((48, D), (999, 48))]
    assert figure.chance is not None
    assert (figure.chance.value, figure.chance.permutations) == (499, 999)


def test_the_same_sample_gives_the_same_numbers_and_another_seed_other_replicates() -> None:
    metrics = {"ais": get("ais"), "fid": get("fid")}
    first, again, other = (measure(sample(seed=seed), metrics) for seed in (1, 1, 2))

    assert first.figures == again.figures
    assert first.resampling == again.resampling != other.resampling
    for one, same, changed in zip(first.replicates, again.replicates, other.replicates, strict=True):
        assert np.array_equal(one.items, same.items)
        assert not np.array_equal(one.items, changed.items)


def test_other_images_of_the_same_items_are_resampled_alike() -> None:
    first, other = (measure(sample(model=model), {"made": made_metric()}) for model in (0, 1))

    assert first.resampling == other.resampling
    assert first.figures != other.figures


def test_replicates_are_told_of_items_and_of_real_images_apart() -> None:
    measured = measure(sample(), {"ais": get("ais"), "fid": get("fid"), "vendi": get("vendi")})
    sizes = {one.figure: (one.method, len(one.items), len(one.real)) for one in measured.replicates}

    assert sizes == {"ais": ("bootstrap", 1_000, 0), "fid": ("jackknife", 20, 20), "vendi": ("jackknife", 20, 0)}


def test_it_is_told_how_far_the_measuring_is() -> None:
    told: list[tuple[str, int, int]] = []

    measure(sample(6), {"made": made_metric()}, told=lambda *progress: told.append(progress))

    assert told == [("measure", 0, 1), ("measure", 1, 1)]


def test_a_metric_of_any_width_of_labels_is_understood() -> None:
    made = replace(sample(), n_labels=N_LABELS + 2)  # of the last two there is nothing

    (ais,) = measure(made, {"ais": get("ais")}).figures

    assert [one.label for one in ais.by_label] == [0, 1, 2]
    assert made.spaces["pairing"].generated.shape[1] == D
