"""The page as a file: its counts, its bounds, its bytes, and what hostile text does to it."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import REASONS
from curation.report import charts, figures, page, samples, write_report
from tests.curation.report import synthetic_release as made

SIZES = {"Alpha": 20, "Beta & Co": 10, "Gamma": 10}
HOSTILE = (
    "<script>window.hostile = 1</script> ../../x \n\x00 \u202egnp.exe \"'><img src=x onerror=alert(1)>" + "long " * 800
)


def rejection(reason: str, unit: str = "image", **changes: object) -> dict[str, object]:
    return {"unit": unit, "stage": REASONS[reason][0], "reason": reason, "source": "folder", "source_id": "x"} | changes


def candidate(kind: str, labels: list[str], **changes: object) -> dict[str, object]:
    return {
        "side": "image",
        "source": "folder",
        "source_id": "x",
        "sha256": "0",
        "kind": kind,
        "labels": labels,
    } | changes


def report(tmp_path: Path, rows: list[dict[str, object]], **tables: object) -> str:
    release = made.write(tmp_path / "1", rows, **tables)
    write_report(release, made.rule_set(SIZES), tmp_path / "report", 1)
    return (tmp_path / "report" / "index.html").read_text("utf-8")


def text_of(html: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(body.split())


def test_same_release_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    rows = [made.pair(number, number % 2) for number in range(6)]
    written = []
    for folder in ("a", "b [1-2] *?'"):
        release = made.write(
            tmp_path / folder / "1", rows, rejections=[rejection("too_small"), rejection("silent", "clip")]
        )
        write_report(release, made.rule_set(SIZES), tmp_path / folder / "report", 1)
        written.append((tmp_path / folder / "report" / "index.html").read_bytes())
    assert written[0] == written[1]
    assert str(tmp_path) not in written[0].decode()


def test_report_holds_one_file(tmp_path: Path) -> None:
    report(tmp_path, [made.pair(0, 0)])
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["index.html"]


def test_figures_agree_with_the_tables(tmp_path: Path) -> None:
    splits = ["train"] * 8 + ["validation", "test"]
    rows = [made.pair(n, 0 if n < 10 else 1, splits[n % 10], music_sha256=f"{n // 2:064}") for n in range(14)]
    release = made.write(tmp_path / "1", rows, rejections=[rejection("silent", "clip")] * 3)
    rule_set = made.rule_set(SIZES)
    with figures.connect(release, rule_set) as connection:
        totals, labels = figures.totals(connection), figures.labels(connection, rule_set)
        shares = figures.shares(connection, "image", "license")
    assert (totals.pairs, totals.artworks, totals.recordings, totals.labels_with_pairs) == (14, 14, 7, 2)
    assert (totals.goal, totals.rejected, totals.music_s) == (40, 3, 14 * 30.0)
    assert [(label.pairs, label.artworks, label.recordings) for label in labels] == [(10, 10, 5), (4, 4, 2), (0, 0, 0)]
    assert [split.pairs for split in labels[0].splits] == [8, 1, 1]
    assert labels[0].farthest == pytest.approx(0.0)
    assert labels[1].farthest == pytest.approx(0.2)
    assert [(share.name, share.count, share.share) for share in shares] == [("CC-BY-4.0", 7, 0.5), ("CC0-1.0", 7, 0.5)]


PLACES = st.tuples(st.sampled_from(figures.SPLITS), st.integers(0, 3), st.integers(0, 3))


@settings(deadline=None, max_examples=15)
@given(places=st.lists(PLACES, max_size=8))
def test_leak_check_counts_every_group_in_two_splits(
    places: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [
        made.pair(n, 0, split, image_group=f"i{image}", music_group=f"m{music}")
        for n, (split, image, music) in enumerate(places)
    ]
    rule_set = made.rule_set(SIZES)
    with figures.connect(made.write(tmp_path_factory.mktemp("law") / "1", rows), rule_set) as connection:
        checks = figures.leak_checks(connection)
    for check, column in zip(checks, ("image_group", "music_group"), strict=False):
        found = defaultdict(set)
        for row in rows:
            found[row[column]].add(row["split"])
        assert (check.count, check.leaking) == (len(found), sum(len(splits) > 1 for splits in found.values()))


def test_a_leak_is_named(tmp_path: Path) -> None:
    rows = [made.pair(0, 0, "train", music_group="shared"), made.pair(1, 0, "test", music_group="shared")]
    assert "1 of 1 groups of recordings in two splits shared in test and train" in text_of(report(tmp_path, rows))


def test_a_recording_that_moved_since_an_earlier_release_is_a_leak(tmp_path: Path) -> None:
    memory = [
        {"side": "music", "sha256": "one", "start_sample": n, "split": s} for n, s in enumerate(("train", "test"))
    ]
    html = report(tmp_path, [made.pair(0, 0)], assignment=memory)
    assert "1 of 1 pictures and recordings of all releases so far in two splits" in text_of(html)


def test_a_group_that_was_joined_since_is_no_leak(tmp_path: Path) -> None:
    memory = [
        {"side": "image", "sha256": str(n), "group": "g", "split": split} for n, split in enumerate(("train", "test"))
    ]
    html = report(tmp_path, [made.pair(0, 0)], assignment=memory)
    assert "0 of 2 pictures and recordings of all releases so far in two splits" in text_of(html)


@pytest.mark.parametrize("labels", [1, 18, 30, 200, 5_000])
def test_any_number_of_labels_stays_within_the_budget(labels: int) -> None:
    shown = samples.allowance(labels)
    spent = labels * (shown.clips * samples.CLIP_BYTES + shown.pictures * samples.PICTURE_BYTES)
    assert spent + samples.CANDIDATES_PER_KIND * samples.PICTURE_BYTES <= samples.MEDIA_BUDGET_BYTES < 30_000_000


def test_eighteen_labels_show_all_that_a_label_may_show() -> None:
    assert samples.allowance(18) == samples.Allowance(samples.CLIPS_PER_LABEL, samples.PICTURES_PER_LABEL)


def test_a_large_label_shows_no_more_than_its_share_and_counts_all(tmp_path: Path) -> None:
    html = report(tmp_path, [made.pair(number, 0) for number in range(300)])
    assert html.count("<audio") == samples.CLIPS_PER_LABEL
    assert html.count('src="data:image/jpeg') == samples.CLIPS_PER_LABEL + samples.PICTURES_PER_LABEL
    assert "300 of 20 pairs" in text_of(html)


def test_clips_are_taken_from_different_recordings_first(tmp_path: Path) -> None:
    crowd = [made.pair(number, 0, music_group="crowded") for number in range(40)]
    release = made.write(tmp_path / "1", [*crowd, made.pair(40, 0), made.pair(41, 0)])
    with figures.connect(release, made.rule_set(SIZES)) as connection:
        heard, seen = samples.pairs(connection, samples.allowance(1))
    assert Counter(pair.music.source_id in ("music/40", "music/41") for pair in heard) == {True: 2, False: 1}
    assert not {pair.pair_id for pair in heard} & {pair.pair_id for pair in seen}


def test_media_of_the_asked_pairs_come_and_no_others(tmp_path: Path) -> None:
    rows = [made.pair(number, 0, "test" if number % 4 == 0 else "train") for number in range(30)]
    wanted = {str(rows[number]["pair_id"]): made.gradient(number) for number in (3, 4, 17)}
    assert dict(samples.media(made.write(tmp_path / "1", rows), "image", wanted)) == wanted


def test_hostile_text_is_escaped_bounded_and_on_one_line(tmp_path: Path) -> None:
    rows = [made.pair(0, 0, image_title=HOSTILE, music_creator=HOSTILE, evidence=HOSTILE, image_license=HOSTILE)]
    html = report(tmp_path, rows, rejections=[rejection("too_small", title=HOSTILE, detail=HOSTILE, source_id=HOSTILE)])
    assert "<script>window" not in html
    assert "<img src=x" not in html
    assert "\x00" not in html
    assert "&lt;script&gt;window.hostile = 1&lt;/script&gt; ../../x" in html
    assert "long " * 100 not in html


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://example.org/a", True),
        ("javascript:alert(1)", False),
        ("pictures/a.jpg", False),
        ("//example.org", False),
    ],
)
def test_only_web_addresses_become_links(tmp_path: Path, url: str, linked: bool) -> None:
    assert (f'href="{url}"' in report(tmp_path, [made.pair(0, 0, image_url=url)])) is linked


@pytest.mark.parametrize(
    ("rejections", "candidates", "expected"),
    [
        ([], [], "No pairs yet: it lacks both pictures and music."),
        ([rejection("class_full", detail="fits Beta & Co, Gamma")], [], "1 picture fits, and it lacks music."),
        ([rejection("class_full", "clip", detail="would be Gamma")] * 2, [], "2 clips fit, and it lacks pictures."),
        ([], [candidate("ambiguous", ["Alpha", "Gamma"])], "Other labels hold 1 of these pictures."),
        ([], [candidate("near_miss", ["Gamma"], detail="Gamma lacks genre: Sea")], "lacks genre: Sea"),
    ],
)
def test_a_label_without_pairs_says_what_it_lacks(
    tmp_path: Path, rejections: list[dict[str, object]], candidates: list[dict[str, object]], expected: str
) -> None:
    rows = [made.pair(0, 0, image_sha256="0")]
    html = report(tmp_path, rows, rejections=rejections, candidates=candidates)
    assert expected in text_of(html[html.index('id="label-2"') : html.index('id="origins"')])


def test_rejections_are_counted_by_reason_and_unit_with_what_the_reason_means(tmp_path: Path) -> None:
    table = [rejection("silent", "clip", source_id=f"x{n}") for n in range(7)]
    html = report(tmp_path, [], rejections=[*table, rejection("near_duplicate", kept_source_id="the larger one")])
    text = text_of(html[html.index('id="left-out"') :])
    assert f"7 silent {REASONS['silent'][1]} 7 clips The first 4" in text
    assert "kept: the larger one" in text
    assert text.index("silent") < text.index("near duplicate")


def test_an_ambiguous_picture_is_shown_where_the_release_holds_it(tmp_path: Path) -> None:
    rows = [made.pair(0, 1, image_sha256="a")]
    table = [candidate("ambiguous", ["Alpha", "Beta & Co"], sha256=sha256) for sha256 in ("a", "b")]
    html = report(tmp_path, rows, candidates=table)
    part = html[html.index('id="doubtful"') :]
    assert part.count('src="data:image/jpeg') == 1
    assert text_of(part).count("Beta &amp; Co (taken)") == 1


def test_a_release_without_pairs_has_a_report(tmp_path: Path) -> None:
    assert "0 of 3" in text_of(report(tmp_path, []))


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.8, "80 %"), (0.125, "12.5 %"), (1e-6, "0.1 %"), (0.99999, "99.9 %")],
)
def test_a_share_never_reads_as_none_or_all_when_it_is_not(share: float, expected: str) -> None:
    assert page.percent(share).replace("\N{NARROW NO-BREAK SPACE}", " ") == expected


def test_goals_share_the_axis_only_where_bars_remain_visible(tmp_path: Path) -> None:
    rule_set = made.rule_set({"Alpha": 100})
    axes = []
    for count in (5, 50):
        release = made.write(tmp_path / str(count), [made.pair(number, 0) for number in range(count)])
        with figures.connect(release, rule_set) as connection:
            axes.append(charts.axis(figures.labels(connection, rule_set)))
    assert [(axis.top, axis.has_goals) for axis in axes] == [(5, False), (100, True)]
    assert axes[1].ticks == (0, 50, 100)
