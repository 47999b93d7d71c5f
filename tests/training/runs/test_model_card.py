"""The card of a model: what it says, that foreign text stays text, and that a person's words stay."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml
from markdown_it import MarkdownIt
from PIL import Image

from rules.errors import ConfigurationError
from tests.hub import checking
from tests.media import tune
from tests.training.made_runs import LABELS, finished, revision, tiny
from training import recipe
from training.recipe import Recipe
from training.runs import model_card
from training.runs.model_card import Renewed, Subject
from training.runs.run import Run

SD = "CompVis/stable-diffusion-v1-4"
EVIL = "a/b](http://evil) <script> | $x$ --- `code` @who\n# Title"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a run that is finished: read it, never write to it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.runs.energy._started", lambda _: None)
        return finished(tmp_path_factory.mktemp("card") / "r", tiny("duration_s=1"))


def subject(run: Run, chosen: Recipe | None = None, location: str | None = "ida/model", **told: Any) -> Subject:
    known = json.loads((run.folder / "run.json").read_text())
    return Subject(chosen or run.recipe, {**known, **told}, run.rows(), location, {"losses": "losses.png"})


def card(of: Subject, there: bytes | None = None, evaluation: str | None = None) -> Renewed:
    return model_card.renewed(of, there, "README.md", evaluation)


def header(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def section(text: str, name: str) -> str:
    found = re.search(f"<!-- artune:begin {name} -->\n(.*?)<!-- artune:end {name} -->", text, re.DOTALL)
    assert found
    return found[1]


def code_of(text: str) -> str:
    found = re.search(r"```python\n(.*?)```", section(text, "load"), re.DOTALL)
    assert found
    return found[1]


def test_the_code_in_the_card_of_a_run_runs_as_it_stands(run: Run, tmp_path: Path) -> None:
    text = (run.folder / "README.md").read_text()
    for name in ("run.json", "recipe.yaml", "checkpoints", "best.json", "last.json"):
        (tmp_path / name).symlink_to(run.folder / name)
    soundfile.write(tmp_path / "song.wav", tune(1.0, 1), 44_100)
    (tmp_path / "song.wav").rename(tmp_path / "song.mp3")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        # Fifty steps of a network of random weights say no more than one.
        code = code_of(text).replace("n=4, seed=1", "n=1, seed=1, steps=1")
        exec(compile(code, "README.md", "exec"), {})
    finally:
        os.chdir(before)
    with Image.open(tmp_path / "image.png") as image:
        assert image.size == (16, 16)


def test_a_card_says_what_was_trained_on_what_and_how(run: Run) -> None:
    text = card(subject(run)).text
    data = section(text, "data")
    assert f"[ida/times](https://huggingface.co/datasets/ida/times/tree/{'0' * 40})" in data
    assert "| Version | v3 |" in data
    assert "3 labels" in data
    trained = section(text, "training")
    assert "| Trained | the embedder |" in trained
    assert re.search(r"\| Parameters trained \| \d+,\d{3} \|", trained)
    assert "| Energy | not measured |" in trained
    assert re.search(r"torch 2\.", trained)
    assert "| optimizer.learning\\_rate | 0.002 |" in section(text, "recipe")
    results = section(text, "results")
    assert "2 of 2 epochs were done, 8 steps. The model is that of step 8, in epoch 2." in results
    assert "| 2 | 0.25 | 0.5 |" in results
    assert "![losses](losses.png)" in results
    assert "Not evaluated yet." in section(text, "evaluation")


def test_the_header_links_base_and_data_and_has_the_license_of_the_base(run: Run) -> None:
    said = header(card(subject(run, recipe.load("model-1"))).text)
    assert said["base_model"] == SD
    assert said["base_model_relation"] == "adapter"
    assert said["datasets"] == ["ida/times"]
    assert said["license"] == "creativeml-openrail-m"
    assert said["library_name"] == "artune"
    assert header(card(subject(run, recipe.load("lora"))).text)["base_model_relation"] == "finetune"


def test_of_a_base_that_is_not_known_the_license_is_where_its_card_is(run: Run) -> None:
    said = header(card(subject(run, recipe.load("model-1", ["base.weights=someone/else"]))).text)
    assert (said["license"], said["license_link"]) == ("other", "https://huggingface.co/someone/else")


def test_random_networks_and_folders_are_no_links(run: Run) -> None:
    assert {"base_model", "license", "license_link"}.isdisjoint(header(card(subject(run)).text))
    local = header(card(subject(run, recipe.load("model-1", ["base.weights=/data/sd"]))).text)
    assert {"base_model", "license"}.isdisjoint(local)
    data = json.loads((run.folder / "run.json").read_text())["data"] | {"where": "/data/releases/3", "commit": None}
    text = card(subject(run, data=data)).text
    assert "datasets" not in header(text)
    assert "| Data set | times |" in section(text, "data")


@pytest.mark.parametrize("name", ["model-1", "model-2", "lora", "recommended", "tiny"])
def test_the_hub_takes_the_header_of_every_recipe(run: Run, name: str) -> None:
    assert checking.check_card(card(subject(run, recipe.load(name))).text, "model") == ([], [])


@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        (["train.encoder=true", "cache_features=false"], "the embedder, the encoder"),
        (["train.unet=full"], "the embedder, the U-Net"),
        (["train.unet=lora", "train.lora.rank=4"], "the embedder, matrices of rank 4 in the U-Net"),
    ],
    ids=["encoder", "unet", "lora"],
)
def test_what_is_trained_is_named(run: Run, changes: list[str], trained: str) -> None:
    assert f"| Trained | {trained} |" in card(subject(run, tiny(*changes))).text


def test_an_unfinished_run_says_so(run: Run) -> None:
    assert "**Unfinished.** 2 of 2" in card(subject(run, finished_at=None)).text


@pytest.mark.parametrize(
    ("wall_s", "shown"), [(3.77, "3.77 s"), (754.0, "12.6 min"), (90_000.0, "25.0 h")], ids=["s", "min", "h"]
)
def test_time_is_told_in_a_unit_that_fits(run: Run, wall_s: float, shown: str) -> None:
    assert f"| Time | {shown} |" in card(subject(run, wall_s=wall_s)).text


def test_gpus_and_energy_are_told(run: Run) -> None:
    session = json.loads((run.folder / "run.json").read_text())["sessions"][0]
    session["hardware"]["gpus"] = [{"name": "NVIDIA H100", "memory_bytes": 80 << 30}]
    text = card(subject(run, sessions=[session | {"processes": 2}], energy_kwh=12.345)).text
    assert "| Machine | 2 processes on NVIDIA H100, 80 GiB and " in text
    assert "| Energy | about 12.3 kWh, as codecarbon estimates |" in text


def test_foreign_text_stays_text(run: Run) -> None:
    data = json.loads((run.folder / "run.json").read_text())["data"]
    data |= {"label_names": [EVIL, "<!-- artune:end data -->"], "where": "/x", "commit": None}
    data["described"] = {"data_set": EVIL}
    session = json.loads((run.folder / "run.json").read_text())["sessions"][0]
    session["hardware"]["cpu"] = EVIL
    chosen = recipe.load("model-1", [f"base.weights={json.dumps(EVIL)}", f"encoder.weights={json.dumps(EVIL)}"])
    chosen = chosen.model_copy(update={"about": EVIL})
    text = card(subject(run, chosen, location=None, data=data, sessions=[session], recipe_name=EVIL)).text
    page = MarkdownIt("commonmark").enable("table").render(text.split("---\n", 2)[2])
    assert "<script>" not in page
    assert 'href="http://evil' not in page
    assert "<h1>Title" not in page
    assert len(re.findall(r"^<h1>", page, re.MULTILINE)) == 1
    again = card(subject(run, chosen, location=None, data=data, recipe_name=EVIL), text.encode())
    assert section(again.text, "data") == section(text, "data")  # no label ended the slot before its end


def test_words_of_a_person_stay_and_tables_follow_the_run(run: Run) -> None:
    first = card(subject(run, finished_at=None))
    assert not first.hand_edited
    edited = first.text.replace("## Limits", "## Limits\n\nMine.").replace("library_name", "language: en\nlibrary_name")
    again = card(subject(run), edited.encode())
    assert again.hand_edited
    assert "Mine." in again.text
    assert header(again.text)["language"] == "en"
    assert "Unfinished" not in again.text


def test_a_license_that_a_person_chose_or_took_out_stays_so(run: Run) -> None:
    of = subject(run, recipe.load("model-1"))
    text = card(of).text
    chosen = card(of, text.replace("license: creativeml-openrail-m", "license: openrail").encode())
    assert header(chosen.text)["license"] == "openrail"
    without = card(of, text.replace("license: creativeml-openrail-m\n", "").encode())
    assert "license" not in header(without.text)


def test_the_same_card_is_written_again_to_the_byte(run: Run) -> None:
    first = card(subject(run)).text
    again = card(subject(run), first.encode())
    assert again == Renewed(first, hand_edited=False)


def test_what_evaluation_told_is_carried_along(run: Run) -> None:
    first = card(subject(run)).text
    assert model_card.evaluation_of(first.encode(), "README.md") is None
    told = first.replace("Not evaluated yet.", "| FID | 12.5 |")
    assert model_card.evaluation_of(told.encode(), "README.md") == "| FID | 12.5 |"
    assert "| FID | 12.5 |" in card(subject(run), told.encode()).text
    assert "| FID | 11 |" in card(subject(run), told.encode(), "| FID | 11 |").text


def test_the_header_of_an_empty_page_is_kept(run: Run) -> None:
    text = card(subject(run), b"---\nlicense: mit\n---\n").text
    assert header(text)["license"] == "mit"
    assert "artune:begin results" in text


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (b"# My model\n", "expected a card of artune, or none: this one has text"),
        (b"---\n: [\n---\n", "expected YAML"),
        (b"\xff", "expected UTF-8"),
        (b"<!-- artune:begin results -->\n", "expected <!-- artune:end results -->"),
    ],
    ids=["text", "yaml", "utf-8", "marker"],
)
def test_a_card_that_cannot_be_worked_on_is_refused(run: Run, there: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        card(subject(run), there)


def test_labels_of_the_sample_are_escaped(run: Run) -> None:
    data = section(card(subject(run)).text, "data")
    assert "Noon \\$x\\_1\\$, Dusk \\| \\*night\\*" in data
    assert revision().label_names == LABELS
