from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import get
from evaluation.sample import Sample
from evaluation.statistics.measuring import measure
from rules.errors import ConfigurationError
from tests.evaluation.made_metrics import made_metric, only
from tests.evaluation.made_samples import facts, sample

FIDS = {"fid": get("fid")}


def with_networks(of: Sample, *names: str) -> Sample:
    """Return a sample whose pairing networks are called so."""
    roles = ("pairing.image", "pairing.music")
    named = tuple(facts(role, name) for role, name in zip(roles, names, strict=True))
    return replace(of, spaces={**of.spaces, "pairing": replace(of.spaces["pairing"], networks=named)})


@pytest.mark.parametrize("name", ["ais", "vendi"])
def test_a_label_of_few_recordings_has_no_interval(name: str) -> None:
    (figure,) = measure(sample(9), {name: get(name)}).figures

    assert all(one.estimate.value is not None and one.estimate.interval is None for one in figure.by_label)
    assert figure.by_label


@pytest.mark.parametrize(("n_recordings", "mark"), [(19, "only 19 recordings: a hint at most"), (20, None)])
def test_few_recordings_are_marked(n_recordings: int, mark: str | None) -> None:
    assert only(made_metric(), sample(n_recordings)).marked == mark


def test_a_recording_with_most_of_the_clips_counts_for_many() -> None:
    made = sample(30)
    recordings = np.minimum(made.items.recordings, 24)  # the last has 12 clips, the others 2

    marked = only(made_metric(), replace(made, items=replace(made.items, recordings=recordings))).marked

    assert marked == "only 25 recordings, of so uneven sizes that they count as 15: a hint at most"


@pytest.mark.parametrize("n_recordings", [1, 2, 5])
@pytest.mark.parametrize("uncertainty", ["bootstrap", "jackknife"])
def test_so_few_recordings_have_no_interval(n_recordings: int, uncertainty: str) -> None:
    figure = only(made_metric(UNCERTAINTY=uncertainty), sample(n_recordings))

    assert figure.estimate is not None
    assert figure.estimate.value is not None
    assert figure.estimate.interval is None


def test_nothing_found_in_few_items_is_not_nothing_in_all() -> None:
    made = sample()
    space = made.spaces["inception"]
    none = replace(space, generated=np.ones_like(space.generated) * 3)

    estimate = only(made_metric(), replace(made, spaces={**made.spaces, "inception": none})).estimate

    assert estimate is not None
    assert (estimate.value, estimate.interval) == (3.0, None)


def test_what_moves_by_rounding_alone_has_no_interval() -> None:
    made = sample()
    space = made.spaces["pairing"]
    image = np.random.default_rng(3).normal(size=space.generated.shape[1]).astype(np.float32)
    alike = replace(space, generated=np.tile(image, (len(made.items), 1)))

    (figure, _) = measure(replace(made, spaces={**made.spaces, "pairing": alike}), {"giils": get("giils")}).figures

    assert figure.estimate is not None
    assert (figure.estimate.value, figure.estimate.interval) == (50.0, None)


@pytest.mark.parametrize(
    ("networks", "title", "is_as_published"),
    [
        (("CLIP ViT-B/32 (openai)", "Wav2CLIP"), "AIS", True),
        (("CLIP ViT-L/14", "Wav2CLIP"), "AIS by CLIP ViT-L/14 and Wav2CLIP", False),
        (
            ("stand-in: random CLIP", "stand-in: random Wav2CLIP"),
            "Stand-in for AIS by random CLIP and random Wav2CLIP",
            False,
        ),
    ],
    ids=["published", "another", "stand-ins"],
)
def test_only_figures_of_the_reference_networks_have_its_name(
    networks: tuple[str, str], title: str, is_as_published: bool
) -> None:
    (ais,) = measure(with_networks(sample(6), *networks), {"ais": get("ais")}).figures

    assert (ais.title, ais.is_as_published) == (title, is_as_published)


def test_a_measure_of_images_alone_is_not_named_by_who_hears_the_music() -> None:
    made = with_networks(sample(6), "CLIP ViT-B/32 (openai)", "stand-in: random Wav2CLIP")

    (iis,) = measure(made, {"iis": get("iis")}).figures

    assert (iis.title, iis.is_as_published, iis.networks) == ("IIS", True, ["pairing.image"])


def test_fid_of_few_images_is_refused_and_says_why() -> None:
    (fid,) = measure(sample(4), FIDS).figures

    assert fid.estimate is None
    assert fid.refused is not None
    assert "8 generated and 16 real images, where more than 12 of each are needed" in fid.refused
    assert fid.n_real == 16


def test_fid_of_few_images_is_given_marked_if_somebody_asks_for_it() -> None:
    (fid,) = measure(sample(4), FIDS, small_fid=True).figures

    assert fid.refused is None
    assert fid.estimate is not None
    assert fid.marked is not None
    assert "8 generated and 16 real images, where more than 12" in fid.marked


def test_what_cannot_be_computed_at_all_is_refused_whoever_asks() -> None:
    figure = only(made_metric(least_items=lambda width: 100), sample(), small_fid=True)

    assert figure.refused == "48 images: at least 100 of each are needed"


def test_what_is_not_defined_for_the_items_is_refused() -> None:
    def undefined(generated: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"first": np.full(len(weights), np.nan)}

    measured = measure(sample(6), {"made": made_metric(score=undefined)})

    assert measured.figures[0].refused == "it is not defined for these items"
    assert measured.replicates == ()


def test_labels_cannot_be_told_by_a_network_that_does_not_read() -> None:
    made = sample(6)
    pairing = replace(made.spaces["pairing"], texts=None)

    (aic,) = measure(replace(made, spaces={**made.spaces, "pairing": pairing}), {"aic": get("aic")}).figures

    assert aic.refused == "no network of this space reads words"


def test_a_feature_that_is_not_a_number_is_told_with_its_space_and_item() -> None:
    made = sample(6)
    generated = made.spaces["pairing"].generated.copy()
    generated[3, 0] = np.nan
    spaces = {**made.spaces, "pairing": replace(made.spaces["pairing"], generated=generated)}

    with pytest.raises(ConfigurationError, match=r"space pairing: .*generated.*3"):
        measure(replace(made, spaces=spaces), {"ais": get("ais")})
