"""The page as a file: its words, its bounds, its bytes, and what it asks for."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.report import Shown, write_report
from evaluation.result import PAGE, Result
from tests.evaluation.report import synthetic_result as made
from tests.evaluation.report.synthetic_parts import networks

LABELS = ["Alpha", "Beta & Co"]


def page(folder: Path, result: Result, shown: Shown | None = None) -> str:
    write_report(result, shown or made.shown(result), folder)
    return (folder / PAGE).read_text("utf-8")


def text_of(page: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", re.sub("</?bdi>", "", page), flags=re.DOTALL)
    return " ".join(html.unescape(body).split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tmp_path_factory.mktemp("whole"), made.result("run", LABELS))


def test_the_same_result_gives_the_same_bytes_wherever_it_lies(tmp_path: Path, whole: str) -> None:
    again = page(tmp_path / "b [1-2] *?'", made.result("run", LABELS))
    assert again == whole
    assert str(tmp_path) not in again


def test_a_report_is_one_file(tmp_path: Path) -> None:
    page(tmp_path, made.result("data", LABELS))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [PAGE]


def test_the_cover_says_what_was_measured_of_how_many_and_the_verdict(whole: str) -> None:
    cover = text_of(whole[: whole.index("<nav")])
    assert "model-1, step 400 10 clips of museart18 v3, split test" in cover
    assert "The images follow the music: they can be told from chance." in cover
    assert "True partner 51.62 51.43 to 51.81" in cover


def test_a_refused_measure_says_why_among_those_of_its_kind(whole: str) -> None:
    part = text_of(whole[whole.index('id="measures-real"') : whole.index('id="measures-alone"')])
    assert "FID Refused : 90 generated images are fewer than the 2,049" in part
    assert "0.0514 0.0474 to 0.0554" in part


def test_a_value_without_an_interval_says_so(whole: str) -> None:
    assert "21.40 no interval" in text_of(whole[whole.index('id="measures-alone"') :])


def test_what_is_not_as_published_and_what_is_rough_is_marked(whole: str) -> None:
    part = text_of(whole[whole.index('id="measures-real"') :])
    assert "KID by stand-in: EfficientNet-lite0 (ImageNet) Fewer than 20 groups" in part


def test_stand_ins_are_told_on_the_cover_and_beside_their_network(tmp_path: Path) -> None:
    text = page(tmp_path, made.result("run", LABELS, networks=networks(is_stand_in=True)))
    cover, rest = text.split("<nav", 1)
    assert "Stand-in networks made features" in text_of(cover)
    assert text_of(rest[rest.index('id="networks"') :]).count("stand-in: Wav2CLIP") == 1


def test_what_is_shown_of_each_label_is_counted(whole: str) -> None:
    part = text_of(whole[whole.index('id="plates"') : whole.index('id="memorization"')])
    assert "at most 4 items with the clip and its true partner, and 8 images more, chosen by hash" in part
    assert part.count("5 of 5 items shown") == 2
    assert part.count("CC-BY-4.0") == 2 * 2 * 4  # both sides of each item that is heard


def test_only_what_is_shown_is_asked_for_and_once(tmp_path: Path) -> None:
    result, media = made.result("run", LABELS), made.Media()
    page(tmp_path, result, made.shown(result, media))
    assert len(media.asked["clips"]) == len(set(media.asked["clips"])) == 2 * 4
    assert media.asked["credits"] == media.asked["clips"] == sorted(media.asked["clips"])
    assert len(media.asked["pictures"]) == 2 * 4 + 12 + 2 * 3  # partners, nearest training images, leaks


class Nothing(made.Media):
    """A data set that has lost its pictures and clips."""

    def pictures(self, _: object) -> Iterator[tuple[str, bytes]]:
        return iter(())

    clips = credits = pictures  # type: ignore[assignment]


def test_what_a_data_set_no_longer_has_is_said_to_be_gone(tmp_path: Path) -> None:
    result = made.result("images", LABELS)
    text = text_of(page(tmp_path, result, made.shown(result, Nothing())))
    assert text.count("no clip") == 2 * 4
    assert text.count("no picture") == 2 * 4 + 12 + 2 * 3
    assert "Given, from Sonata No." in text


def test_a_data_set_alone_has_probes_confusions_and_leaks(tmp_path: Path) -> None:
    text = text_of(page(tmp_path, made.result("data", LABELS)))
    assert "Labels can be told from images, not from music." in text
    assert "2 of 60 items of other splits are nearly the same as a training item, by their images" in text
    assert "Images and their music" not in text


def test_leaks_that_are_no_more_than_among_training_items_are_no_fault(tmp_path: Path) -> None:
    result = made.result("data", LABELS)
    assert result.quality is not None
    check = result.quality.leaks[0].model_copy(update={"own_found": 60})
    few = result.model_copy(update={"quality": result.quality.model_copy(update={"leaks": [check]})})
    assert '<li class="bad">' in page(tmp_path / "1", result)
    assert '<li class="bad">' not in page(tmp_path / "2", few)


def test_nothing_but_a_subject_makes_a_page(tmp_path: Path) -> None:
    bare = {"figures": [], "memorization": None, "quality": None, "left_out": [], "networks": []}
    text = text_of(page(tmp_path, made.result("images", LABELS, **bare)))
    assert "Whether the images follow the music cannot be told." in text
    assert "Nothing was left out." in text


def test_what_was_left_out_is_counted_by_reason_and_the_first_are_named(whole: str) -> None:
    part = text_of(whole[whole.index('id="left-out"') : whole.index('id="colophon"')])
    assert "6 items could not be used." in part
    assert part.count("not a picture") == 4
