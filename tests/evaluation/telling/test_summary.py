from typing import Any

import pytest
from markdown_it import MarkdownIt

from evaluation.result import (
    Chance,
    Estimate,
    LabelCount,
    Leak,
    LeakCheck,
    LeftOut,
    Memorization,
    NetworkFacts,
    OfLabel,
    Probe,
    Quality,
    Result,
)
from evaluation.telling import summary
from tests.evaluation import made_evaluations, made_samples
from tests.evaluation.made_evaluations import figure, result

HOSTILE = "<script>alert(1)</script> | [a](http://b.example) `c` *d*\n# e"
# What a reader would click, run or take for a heading.
HARMFUL = ("<script", "<h1>e", 'href="http://b.example"', "<em>d", "<code>c")


def estimate(value: float, n: int = 60) -> Estimate:
    return Estimate(value=value, interval=None, n=n)


def line(text: str, start: str) -> list[str]:
    """Return the cells of the one line of a table that begins so."""
    (found,) = [row for row in text.splitlines() if row.startswith(f"| {start}")]
    return [cell.strip() for cell in found.strip("|").split(" | ")]


def whole() -> Result:
    """Return an evaluation with every part."""
    chance = Chance(value=0.25, interval=(0.2, 0.3), p_value=0.001, permutations=199)
    probe = Probe(
        side="music", network="CLAP", is_stand_in=False, n=90, groups=45, folds=5, labels=[0, 1], left_out=[],
        accuracy=Estimate(value=0.6, interval=(0.5, 0.7), n=90), chance=chance, confusion=[[30, 20], [4, 36]],
    )  # fmt: skip
    leak = Leak(
        side="image", pair_id="aa" * 32, split="test", nearest_pair_id="bb" * 32, nearest_split="train", likeness=0.99,
        hash_nearest_pair_id="bb" * 32, hash_distance=2,
    )  # fmt: skip
    check = LeakCheck(
        side="image", network="DINOv2", is_stand_in=False, n=40, available=40, n_own=50, n_train=400, threshold=0.97,
        hash_distance=4, hash_bits=64, found=1, own_found=2, nearest=[leak],
    )  # fmt: skip
    memorization = Memorization(
        n=60, n_real=80, n_train=400, quantiles=[0.5, 0.99], likeness_quantiles=[0.4, 0.9],
        real_likeness_quantiles=[0.5, 0.8], copy_likeness=0.8, copy_hash_distance=4, hash_bits=64, copies=3,
        real_copies=1, nearest=[],
    )  # fmt: skip
    rows = {
        "shuffled": estimate(50.0),
        "other_label": estimate(49.9),
        "same_label": estimate(50.4, 55),
        "partner": estimate(51.6),
    }
    by_label = [OfLabel(label=0, estimate=estimate(51.0, 20)), OfLabel(label=2, estimate=estimate(49.0, 20))]
    real: dict[str, Any] = {"chance": None, "n_real": 80, "better": "lower", "rows": {}}
    figures = [
        figure("ais", 50.5, title="AIS", rows=rows, by_label=by_label),
        figure("fid", None, title="FID", **real),
        figure("kid", 0.1, title="KID", digits=4, **real),
    ]
    left_out = [LeftOut(pair_id="cc" * 32, stage="image", reason="undecodable_image", detail="cut")] * 2
    quality = Quality(probes=[probe], leaks=[check])
    return result(figures, memorization=memorization, quality=quality, left_out=left_out)


def test_the_verdict_and_its_doubts_come_first() -> None:
    told = summary.markdown(result([figure("ais", 55.0)], of_data={"was_trained_on": True})).splitlines()

    assert told[0] == "# Evaluation of tiny"
    assert told[2].startswith("**The images follow the music: they can be told from chance.** AIS: 55.00")
    assert told[4].startswith("> - **Caution:** The clips are of the split test, which models are trained on")


def test_each_figure_stands_between_floor_and_ceiling_with_its_sizes() -> None:
    told = summary.markdown(whole())

    assert line(told, "Measure | Value (95 %) | Shuffled") == [
        "Measure", "Value (95 %)", "Shuffled", "Other label", "Same label", "True partner", "p", "Clips (recordings)",
    ]  # fmt: skip
    assert line(told, "AIS ↑") == [
        "AIS ↑", "**50.50 (49.50 to 51.50)**", "50.00", "49.90", "50.40 (of 55)", "51.60", "0.002", "60 (30)",
    ]  # fmt: skip
    assert line(told, "KID ↓")[-2:] == ["60 (30)", "80"]
    assert "**60 clips of 30 recordings**, all of the split; 80 real images" in told


def test_what_was_refused_or_marked_has_a_note() -> None:
    few = {"marked": "only 7 recordings: a hint at most"}
    told = summary.markdown(result([figure("ais", 50.0, **few), figure("iis", 50.0, **few), figure("fid", None)]))

    assert "**50.00 (49.00 to 51.00)** ¹" in line(told, "AIS ↑")
    assert "**50.00 (49.00 to 51.00)** ¹" in line(told, "IIS ↑")
    assert "**refused** ²" in line(told, "FID ↑")
    assert "¹ Only 7 recordings: a hint at most.  \n² Refused: too few images." in told


def test_labels_have_a_row_each_with_their_clips() -> None:
    told = summary.markdown(whole())

    assert line(told, "Renaissance |") == ["Renaissance", "20", "51.00"]
    assert line(told, "Baroque |") == ["Baroque", "20", ""]


def test_of_very_many_labels_the_first_have_a_row() -> None:
    labels = [LabelCount(label=label, n=1) for label in range(60)]
    by_label = [OfLabel(label=label, estimate=estimate(50.0, 1)) for label in range(60)]
    names = [f"Label {label}" for label in range(60)]

    told = summary.markdown(
        result([figure("ais", 50.0, by_label=by_label)], of_data={"labels": labels, "label_names": names})
    )

    assert "| Label 49 |" in told
    assert "| Label 50 |" not in told
    assert "10 more labels" in told


def test_copies_probes_leaks_networks_and_what_was_left_out_are_told() -> None:
    told = summary.markdown(whole())

    assert "**3 of 60 images** are nearer to one of 400 training images" in told
    assert line(told, "Generated") == ["Generated", "0.400", "0.900"]
    assert line(told, "music") == ["music", "CLAP", "**60% (50% to 70%)**", "25%", "0.001", "90 (45)"]
    assert "Renaissance for Baroque (20 of 50); Baroque for Renaissance (4 of 40)." in told
    assert line(told, "image | DINOv2") == ["image", "DINOv2", "**1 of 40**", "2 of 50", "0.970"]
    assert f"image {'aa' * 32} of test and {'bb' * 32} of train: 0.990, hashes 2 bits apart" in told
    assert line(told, "pairing.music") == ["pairing.music", "Wav2CLIP", "owner/name", "a1a1a1a1a1a1", "12"]
    assert line(told, "image | undecodable") == ["image", r"undecodable\_image", "2"]


def test_stand_ins_are_told_at_the_top_in_the_title_in_a_note_and_in_the_table() -> None:
    names = {"pairing.image": "stand-in: random CLIP", "pairing.music": "stand-in: random Wav2CLIP"}
    title = "Stand-in for AIS by random CLIP and random Wav2CLIP"
    networks = [made_samples.facts(role, name) for role, name in names.items()]
    found = result([figure("ais", 50.0, title=title, is_as_published=False)], networks=networks)

    for told in (summary.markdown(found), summary.card(found)):
        assert "> - **Caution:** Stand-in networks made features" in told
        assert line(told, "Stand-in for AIS")[0] == "Stand-in for AIS ↑ ¹"
        assert "¹ Features by random CLIP and random Wav2CLIP." in told
    assert "| **stand-in**: random CLIP |" in summary.markdown(found)


def test_an_interval_too_narrow_for_the_usual_digits_has_more() -> None:
    narrow = Estimate(value=50.00012, interval=(50.00009, 50.00015), n=60)

    told = summary.markdown(result([figure("ais", 50.0, estimate=narrow)]))

    assert line(told, "AIS ↑")[1] == "**50.00012 (50.00009 to 50.00015)**"


def test_what_the_numbers_cannot_say_is_said() -> None:
    told = summary.markdown(whole())

    assert "It says nothing of another training of the same recipe" in told
    assert "FID falls as there are more images" in told
    assert "partners are exchanged between recordings, 999 times" in told


def test_a_data_set_alone_has_no_figures_and_no_word_of_them() -> None:
    told = summary.markdown(
        result([], of_subject={"kind": "data", "checkpoint": None}, networks=[], quality=whole().quality)
    )

    assert "## The data set itself" in told
    assert "Does an image fit" not in told
    assert "cannot say" not in told


def test_the_card_has_the_first_figures_of_a_few_metrics_and_the_networks() -> None:
    real = {"chance": None, "n_real": 80}
    paired = [figure(f"p{n}{part}", 50.0, metric=f"p{n}") for n in range(6) for part in "ab"]
    others = [figure(f"r{n}{part}", 1.0, metric=f"r{n}", **real) for n in range(3) for part in "ab"]

    told = summary.card(result([*paired, figure("refused", None), *others]))

    rows = [row.split(" ")[1] for row in told.splitlines() if row.startswith("| ")]
    assert rows == ["Measure", "P0A", "P1A", "P2A", "P3A", "R0A", "R1A"]
    assert "Features by pairing.image: CLIP ViT-B/32 (openai), pairing.music: Wav2CLIP." in told
    assert "\n#" not in told


@pytest.mark.parametrize("write", [summary.markdown, summary.card], ids=["evaluation.md", "card"])
def test_text_from_outside_stays_text(write: Any) -> None:
    hostile = NetworkFacts(
        role="pairing.image", name=HOSTILE, weights=HOSTILE, weights_sha256="a1" * 32, width=1, is_stand_in=False
    )
    by_label = [OfLabel(label=0, estimate=estimate(50.0))]
    names = [HOSTILE] * 3
    found = result(
        [
            figure("ais", 50.0, title=f"AIS by {HOSTILE}", marked=HOSTILE, by_label=by_label),
            figure("fid", None, refused=HOSTILE),
        ],
        of_subject={"name": HOSTILE, "checkpoint": HOSTILE, "recipe": HOSTILE},
        of_data={"where": HOSTILE, "data_set": HOSTILE, "version": HOSTILE, "split": HOSTILE, "label_names": names},
        networks=[hostile],
        left_out=[LeftOut(pair_id=HOSTILE, stage=HOSTILE, reason=HOSTILE, detail=HOSTILE)],
    )

    page = MarkdownIt("gfm-like", {"linkify": False}).render(write(found))

    assert not [harm for harm in HARMFUL if harm in page]
    tables = [row for row in write(found).splitlines() if row.startswith("|")]
    assert tables


def test_the_same_result_gives_the_same_text() -> None:
    assert summary.markdown(whole()) == summary.markdown(Result.model_validate_json(whole().model_dump_json()))


def test_the_sizes_are_told_where_not_all_clips_of_the_split_were_taken() -> None:
    told = summary.card(result([figure("ais", 50.0)], of_data={"available": 1_234}))

    assert f"**{made_evaluations.N} clips of 30 recordings** of the 1,234 in the split" in told
