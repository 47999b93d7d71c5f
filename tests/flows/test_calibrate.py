"""The command prints what fits, and writes nothing but scores."""

import csv
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation import collect
from curation.store import Home
from flows.calibrate import app
from tests import pictures

ROOT = Path(__file__).parent.parent.parent


def test_temperatures_are_fitted_to_collected_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.curation.models.checkpoints import save_clip

    monkeypatch.setenv("COLUMNS", "120")
    weights = save_clip(tmp_path / "weights")
    mine = shutil.copytree(ROOT / "rules" / "museart18", tmp_path / "mine")
    text = (mine / "models.yaml").read_text(encoding="utf-8")
    (mine / "models.yaml").write_text(text.replace("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", str(weights)))
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "genre", "title"])
        for number in range(24):
            name = pictures.saved(folder / f"{number}.png", pictures.photo(40, 40, number)).name
            table.writerow([name, ("Portrait", "Landscape", "unheard of")[number % 3], f"Number {number}"])
    home = Home(tmp_path / "home")
    for batch in collect.list_sources(home, [f"folder:{folder}"]).batches:
        collect.collect_batch(batch)
    named = ["--source", f"folder:{folder}", "--rules", str(mine), "--home", str(home.root)]
    done = CliRunner().invoke(app, ["pictures", *named], catch_exceptions=False)
    lines = [line.replace("│", " ").split() for line in done.output.splitlines()]
    assert ["subject", "16", "too", "few", "items"] in lines
    assert any(line[:5] == ["sacred", "or", "secular", "16", "too"] for line in lines)
    assert not (home.root / "releases").exists()
