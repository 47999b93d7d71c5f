"""The whole chain on the tiny release, with stand-in networks: a run, images of another system, the data set alone."""

import csv
import errno
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.releases import Release
from evaluation import metrics
from evaluation.evaluating import Evaluated, Request, evaluate
from evaluation.result import ITEMS, JSON, MARKDOWN, PAGE, REPLICATES, Figure, Result
from evaluation.subjects import items, reference_rows
from evaluation.subjects.taking import IMAGES
from evaluation.telling import storing
from rules.errors import ConfigurationError
from tests.training import made_runs
from tests.training.loaders import split_of
from training.data import Split, open_revision
from training.runs.run_folder import locked

FILES = (JSON, MARKDOWN, PAGE, REPLICATES, ITEMS)


def silent(stage: str, done: int, total: int) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def by_name(result: Result) -> Mapping[str, Figure]:
    return {figure.name: figure for figure in result.figures}


@pytest.fixture(scope="module")
def request_(tiny_release: Release, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """Give the request for a run whose model was trained on nothing yet."""
    folder = tmp_path_factory.mktemp("evaluated")
    made_runs.finished(folder / "run", data=open_revision(str(tiny_release.folder)))
    return Request(data=str(tiny_release.folder), run=str(folder / "run"), networks="stand-ins", cache=folder / "cache")


@pytest.fixture(scope="module")
def evaluated(request_: Request) -> Evaluated:
    return evaluate(request_, silent)


def test_each_measure_of_each_metric_is_told(evaluated: Evaluated) -> None:
    told = {name for metric in metrics.names() for name in metrics.get(metric).MEASURES}
    assert {figure.name for figure in evaluated.result.figures} == told
    assert not any(figure.is_as_published for figure in evaluated.result.figures)


def test_a_figure_stands_between_chance_and_the_true_partner(evaluated: Evaluated) -> None:
    iis = by_name(evaluated.result)["iis"]
    assert set(iis.rows) == {"shuffled", "other_label", "same_label", "partner"}
    values = {name: row.value for name, row in iis.rows.items() if row is not None and row.value is not None}
    assert values["partner"] > values["shuffled"]
    assert values["partner"] == max(values.values())


def test_what_is_written_is_what_was_found(evaluated: Evaluated) -> None:
    assert storing.read(evaluated.folder) == evaluated.result
    assert all((evaluated.folder / name).stat().st_size for name in FILES)
    assert len(list((evaluated.folder / IMAGES).glob("*.png"))) == evaluated.result.data.n


def test_the_same_again_draws_nothing_and_gives_the_same_bytes(evaluated: Evaluated, request_: Request) -> None:
    before = contents(evaluated.folder)
    drawn = {path: path.stat().st_mtime_ns for path in (evaluated.folder / IMAGES).iterdir()}
    assert evaluate(request_, silent).folder == evaluated.folder
    assert contents(evaluated.folder) == before
    assert {path: path.stat().st_mtime_ns for path in (evaluated.folder / IMAGES).iterdir()} == drawn


def test_another_cache_and_another_folder_change_no_figure(
    evaluated: Evaluated, request_: Request, tmp_path: Path
) -> None:
    found = evaluate(replace(request_, cache=None, out=tmp_path / "elsewhere"), silent)
    assert found.folder == tmp_path / "elsewhere"
    assert found.result == evaluated.result


def test_how_paths_are_written_changes_no_byte_and_no_file_tells_them(
    evaluated: Evaluated, request_: Request, tiny_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(evaluated.folder)
    monkeypatch.chdir(evaluated.folder.parent)
    assert evaluate(replace(request_, run="./run", cache=Path("cache")), silent).folder == evaluated.folder
    assert contents(evaluated.folder) == before
    for content in before.values():
        assert str(evaluated.folder.parent).encode() not in content
        assert str(tiny_release.folder.parent).encode() not in content
    assert evaluated.where == str(tiny_release.folder)


def test_a_folder_is_evaluated_by_one_process_at_a_time(evaluated: Evaluated, request_: Request) -> None:
    with (
        locked(evaluated.folder),
        pytest.raises(ConfigurationError, match="another process trains or evaluates there now"),
    ):
        evaluate(request_, silent)


def test_nothing_is_drawn_where_nothing_may_be_written(request_: Request, tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="expected a folder that may be written"):
        evaluate(replace(request_, out=tmp_path / "file" / "out"), lambda stage, done, total: told.append(stage))
    assert told == []


def test_the_report_is_a_stage_too_as_it_takes_a_while(request_: Request, evaluated: Evaluated) -> None:
    stages: list[tuple[str, int, int]] = []
    evaluate(request_, lambda *stage: stages.append(stage))
    assert stages[-2:] == [("write the report", 0, 1), ("write the report", 1, 1)]


def test_a_disk_that_is_full_when_the_page_is_written_is_told_in_a_sentence(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*parts: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("curation.report.page.write", full)
    with pytest.raises(ConfigurationError, match="no room is left on its disk: free some, then evaluate again"):
        evaluate(replace(request_, out=tmp_path), silent)


def images_of(folder: Path, files: Mapping[str, Path]) -> Path:
    folder.mkdir()
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "pair_id"])
        for number, (pair_id, path) in enumerate(files.items()):
            shutil.copy(path, folder / f"{number}.png")
            writer.writerow([f"{number}.png", pair_id])
    return folder


def test_images_are_measured_alike_whoever_drew_them(evaluated: Evaluated, request_: Request, tmp_path: Path) -> None:
    drawn = {path.stem: path for path in (evaluated.folder / IMAGES).iterdir()}
    folder = images_of(tmp_path / "theirs", drawn)
    found = evaluate(replace(request_, run=None, images=folder), silent)
    assert found.folder == folder
    assert found.result.subject.kind == "images"
    assert found.result.figures == evaluated.result.figures
    assert found.result.memorization == evaluated.result.memorization


def test_of_a_data_set_alone_its_quality_is_told(request_: Request, tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    found = evaluate(
        replace(request_, run=None, split="none of it", out=tmp_path), lambda *stage: stages.append(stage)
    ).result
    assert [(done, n) for stage, done, n in stages if stage == "tell labels from features"] == [(0, 2), (1, 2), (2, 2)]
    assert found.subject.kind == "data"
    assert not found.figures
    assert found.quality is not None
    assert {probe.side for probe in found.quality.probes} == {"image", "music"}
    assert {check.side for check in found.quality.leaks} == {"image", "music"}
    assert all(check.n == check.available == 18 for check in found.quality.leaks)


def test_a_split_that_is_not_there_is_refused(request_: Request) -> None:
    with pytest.raises(
        ConfigurationError, match="the split tests has no pairs: expected one of test, train, validation"
    ):
        evaluate(replace(request_, split="tests"), silent)


def test_a_network_that_is_missing_is_told_before_anything_is_drawn(request_: Request, tmp_path: Path) -> None:
    asked = replace(request_, out=tmp_path, changes=("inception={name: inception, weights: gone.pth}",))
    with pytest.raises(ConfigurationError, match=r"inception\.weights: gone\.pth"):
        evaluate(asked, silent)
    assert not list(tmp_path.iterdir())


def test_fewer_clips_than_labels_are_refused(request_: Request, tiny_release: Release) -> None:
    labels = len(split_of(tiny_release.folder, "test").pairs["label"].unique())
    with pytest.raises(ConfigurationError, match=f"--n: {labels - 1} images: expected at least {labels}"):
        evaluate(replace(request_, n=labels - 1), silent)


def test_a_training_image_that_nobody_can_read_is_told(
    request_: Request, tiny_release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, train = (split_of(tiny_release.folder, name) for name in ("test", "train"))
    chosen = items.choose(test, None, request_.seed)
    dealt = [one.rows for one in reference_rows.choose(chosen, test, train, request_.seed).values()]
    spoiled = int(np.setdiff1d(np.arange(len(train)), np.concatenate(dealt))[0])  # it is seen for memorization alone
    original = Split.media

    def media(split: Split, group: int, wanted: Mapping[str, Any]) -> Iterator[Any]:
        for column, row, content in original(split, group, wanted):
            yield column, row, None if (split.name, column, row) == ("train", "image", spoiled) else content

    monkeypatch.setattr(Split, "media", media)
    found = evaluate(replace(request_, cache=None, out=tmp_path), silent).result
    pair_id = train.pairs["pair_id"][spoiled].as_py()
    assert [(left.pair_id, left.stage) for left in found.left_out] == [(pair_id, "true image")]


def test_a_run_and_images_at_once_are_refused(request_: Request, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected RUN or --images, not both"):
        evaluate(replace(request_, images=tmp_path), silent)
