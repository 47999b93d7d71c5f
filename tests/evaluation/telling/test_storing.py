import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from evaluation.metrics import get
from evaluation.result import HISTORY, ITEMS, JSON, MARKDOWN, REPLICATES
from evaluation.statistics.measuring import measure
from evaluation.telling import storing
from rules.errors import ConfigurationError
from tests.evaluation import made_evaluations, made_samples
from tests.evaluation.made_evaluations import stored
from training.runs.run_folder import lines

FILES = (JSON, MARKDOWN, REPLICATES, ITEMS, HISTORY)


def measured(folder: Path) -> Path:
    """Measure a made sample and store what was found."""
    made = made_samples.sample(8)
    found = measure(made, {name: get(name) for name in ("ais", "fid", "vendi")})
    folder.mkdir(parents=True)
    storing.write(made_evaluations.result(found.figures), found.replicates, found.resampling, made.items, folder)
    return folder


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    made = made_samples.sample(8)
    found = measure(made, {name: get(name) for name in ("ais", "fid", "vendi")})
    result = made_evaluations.result(found.figures)

    storing.write(result, found.replicates, found.resampling, made.items, tmp_path)

    assert storing.read(tmp_path) == result
    kept, resampling = storing.read_replicates(tmp_path, result)
    assert resampling == found.resampling
    assert list(kept) == [one.figure for one in found.replicates]
    for one in found.replicates:
        again = kept[one.figure]
        assert (again.method, again.groups, again.effective_groups) == (one.method, one.groups, one.effective_groups)
        assert again.items == pytest.approx(one.items, rel=1e-9)
        assert again.real == pytest.approx(one.real, rel=1e-9)


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    a, b = measured(tmp_path / "a"), measured(tmp_path / "b")

    assert [(a / name).read_bytes() for name in FILES] == [(b / name).read_bytes() for name in FILES]
    assert {path.name for path in a.rglob("*") if path.is_file()} == {Path(name).name for name in FILES}


def test_items_are_told_with_their_labels_and_recordings(tmp_path: Path) -> None:
    rows = pq.read_table(measured(tmp_path / "a") / ITEMS).to_pylist()

    assert rows[5] == {
        "pair_id": f"{5:064x}",
        "label": 2,
        "label_name": "Folklore",
        "recording": 2,
        "title": "Sonata No. 5",
    }


def test_a_replicate_that_is_not_defined_is_null(tmp_path: Path) -> None:
    figure = made_evaluations.figure("ais", 50.0)
    kept = made_evaluations.replicates(figure, np.array([1.0, np.nan, 2.0]))
    result = made_evaluations.result([figure])

    storing.write(result, [kept], "", None, tmp_path)

    assert pq.read_table(tmp_path / REPLICATES)["value"].to_pylist() == [51.0, None, 52.0]
    assert np.isnan(storing.read_replicates(tmp_path, result)[0]["ais"].items[1])


def test_an_evaluation_of_a_data_set_alone_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    folder = measured(tmp_path / "a")

    storing.write(made_evaluations.result([], of_subject={"kind": "data"}), (), "", None, folder)

    assert not (folder / REPLICATES).exists()
    assert not (folder / ITEMS).exists()
    assert storing.read(folder).subject.kind == "data"


def test_replicates_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    a, b = stored(tmp_path / "a", {"ais": 50.0}), stored(tmp_path / "b", {"ais": 51.0})
    (a / REPLICATES).write_bytes((b / REPLICATES).read_bytes())

    with pytest.raises(ConfigurationError, match="replicates.parquet is of another evaluation; .*evaluate again"):
        storing.read_replicates(a, storing.read(a))


@pytest.mark.parametrize(
    ("content", "match"),
    [(None, "there is no such file"), (b"PAR1", "replicates.parquet: "), (b"", "replicates.parquet: ")],
    ids=["missing", "cut", "empty"],
)
def test_damaged_replicates_are_refused(tmp_path: Path, content: bytes | None, match: str) -> None:
    folder = stored(tmp_path / "a", {"ais": 50.0})
    (folder / REPLICATES).unlink()
    if content is not None:
        (folder / REPLICATES).write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"{match}.*evaluate again"):
        storing.read_replicates(folder, storing.read(folder))


def test_a_folder_without_an_evaluation_is_told_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no evaluation.json in it; `artune evaluate"):
        storing.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda told: told | {"layout": 2}, '"layout": 1'),
        (lambda told: [told], '"layout": 1'),
        (lambda told: told | {"seed": "one"}, "seed: expected it as artune wrote it"),
        (lambda told: told | {"data": told["data"] | {"n": None}}, "data.n: expected it as artune wrote it"),
        (lambda told: told | {"more": 1}, "more: expected it as artune wrote it"),
    ],
    ids=["layout", "list", "seed", "n", "more"],
)
def test_a_file_that_is_no_evaluation_is_refused(tmp_path: Path, change: Any, match: str) -> None:
    path = stored(tmp_path, {"ais": 50.0}) / JSON
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")

    with pytest.raises(ConfigurationError, match=match):
        storing.read(tmp_path)


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, {"ais": 50.0}) / JSON
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(ConfigurationError, match="expected JSON as artune wrote it"):
        storing.read(tmp_path)


def test_each_checkpoint_has_a_line_in_the_history_by_step(tmp_path: Path) -> None:
    for step, value in ((200, 51.0), (100, 50.0), (300, 52.0)):
        stored(tmp_path, {"ais": value}, of_subject={"step": step, "model_sha256": f"{step:064d}"})

    history = storing.history(tmp_path, storing.read(tmp_path))

    assert [(row["step"], row["figures"]["ais"]["value"]) for row in history] == [(100, 50.0), (200, 51.0), (300, 52.0)]
    assert history[0]["figures"]["ais"]["interval"] == [49.0, 51.0]
    assert lines(tmp_path / HISTORY) == json.loads(json.dumps(history))


def test_the_history_of_an_evaluation_has_itself_before_it_is_written(tmp_path: Path) -> None:
    stored(tmp_path, {"ais": 50.0})
    other = made_evaluations.result([made_evaluations.figure("ais", 60.0)], of_subject={"step": 99})

    history = storing.history(tmp_path, other)

    assert [(row["step"], row["figures"]["ais"]["value"]) for row in history] == [(36, 50.0), (99, 60.0)]
    assert [row["step"] for row in lines(tmp_path / HISTORY)] == [36]


def test_the_same_evaluation_once_more_takes_its_own_line(tmp_path: Path) -> None:
    for value in (50.0, 51.0):
        stored(tmp_path, {"ais": value})

    assert [row["figures"]["ais"]["value"] for row in lines(tmp_path / HISTORY)] == [51.0]


def test_images_of_another_system_have_no_history(tmp_path: Path) -> None:
    stored(tmp_path, {"ais": 50.0}, of_subject={"kind": "images"})

    assert not (tmp_path / HISTORY).exists()


def test_a_refused_figure_is_not_in_the_history(tmp_path: Path) -> None:
    stored(tmp_path, {"ais": 50.0, "fid": None})

    assert list(lines(tmp_path / HISTORY)[0]["figures"]) == ["ais"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "evaluation").write_text("a file")

    with pytest.raises(ConfigurationError, match="expected a folder that may be written"):
        stored(tmp_path, {"ais": 50.0})


@pytest.mark.parametrize("line", ['{"step": "x", "figures": {}}', '{"step": 3, "figures": 5}', "{}"])
def test_a_line_of_the_history_that_artune_did_not_write_is_told(tmp_path: Path, line: str) -> None:
    measured(tmp_path / "a")
    (tmp_path / "a" / HISTORY).write_text(f"{line}\n")
    with pytest.raises(ConfigurationError, match=r"history\.jsonl: evaluation 1 of it has no step or no figures"):
        storing.history(tmp_path / "a", storing.read(tmp_path / "a"))


def test_a_file_of_nothing_but_brackets_is_told(tmp_path: Path) -> None:
    (tmp_path / JSON).write_text("[" * 100_000)
    with pytest.raises(ConfigurationError, match=r"evaluation\.json: expected JSON as artune wrote it"):
        storing.read(tmp_path)
