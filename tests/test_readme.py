"""What the README shows is run as it stands there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rules
from curation import collect
from curation.sources import sample
from curation.store import Home
from curation.tagging import fitting

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def block(title: str, language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", section(title), re.DOTALL)[1]  # type: ignore[index]


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"`artune (\w+)", TEXT))
    listed = subprocess.run(
        [Path(sys.executable).with_name("artune"), "--help"], capture_output=True, text=True, check=True
    )
    assert named
    assert {name for name in named if f" {name} " not in listed.stdout} == set()


def test_every_folder_and_module_of_the_map_exists() -> None:
    named = re.findall(r"`([a-z_]+)/?`", section("The map").split("In `curation/`")[1])
    missing = [n for n in named if not ((ROOT / "curation" / n).is_dir() or (ROOT / "curation" / f"{n}.py").is_file())]
    assert len(named) > 20
    assert missing == []


def test_the_recipe_for_a_source_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "text_list.py").write_text(block("How to add a source", "python"))
    picture = ROOT / "curation" / "sources" / "sample_data" / "images" / "hokusai_great_wave.jpg"
    (tmp_path / "list.txt").write_text(f"{picture}\n")
    monkeypatch.setattr("curation.sources.__path__", [str(tmp_path)])
    home = Home(tmp_path / "home")
    listing = collect.list_sources(home, [f"text_list:{tmp_path / 'list.txt'}"])
    assert [collect.collect_batch(batch) for batch in listing.batches] == [0]
    (row,) = collect.current_items(home, listing).to_pylist()
    assert (row["source"], row["source_id"], row["modality"]) == ("text_list", str(picture), "image")
    assert row["tags"] == [{"kind": "style", "value": "Ukiyo-e"}]


def test_the_recipe_for_a_rule_works_and_takes_five_pictures_of_the_sample(tmp_path: Path) -> None:
    mine = shutil.copytree(ROOT / "rules" / "museart18", tmp_path / "mine")
    with (mine / "labels.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + block("How to add a rule", "yaml"))
    rule_set = rules.load(str(mine))
    assert rule_set.label_names[-1] == yaml.safe_load(block("How to add a rule", "yaml"))[0]["name"]
    home = Home(tmp_path / "home")
    listing = collect.list_sources(home, ["sample"])
    for batch in listing.batches:
        collect.collect_batch(batch)
    items = collect.current_items(home, listing)
    assert len(items) == len(list(sample.entries("")))
    images = items.filter([modality == "image" for modality in items["modality"].to_pylist()])
    found = fitting(images, rule_set, "image")
    taken = [row for row in range(len(images)) if "Japanese prints" in {fit.label for fit in found.of(row)}]
    assert len(taken) == 5
