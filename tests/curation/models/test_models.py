"""The contract of every family of models, on tiny checkpoints that are loaded as real ones are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curation import models
from curation.errors import ItemError
from curation.models import Loaded
from rules.errors import ConfigurationError
from tests import media, pictures

ANSWERS = [["this is music for orchestra", "this is music for choir"], ["a recording of a band"], ["drums"]]


@pytest.fixture(params=models.names(), scope="module")
def family(request: pytest.FixtureRequest) -> models.Family:
    return models.get(request.param)


@pytest.fixture(scope="module")
def loaded(family: models.Family, clip_weights: Path, clap_weights: Path) -> Loaded:
    return family.load(clip_weights if family.MODALITY == "image" else clap_weights, ANSWERS)


@pytest.fixture
def files(family: models.Family, tmp_path: Path) -> list[Path]:
    if family.MODALITY == "image":
        return [pictures.saved(tmp_path / f"{n}.png", pictures.photo(60, 40 + 9 * n, n)) for n in range(3)]
    return [media.encode(tmp_path / f"{n}.wav", media.tune(1 + n, n)) for n in range(3)]


def test_it_scores_every_answer(loaded: Loaded, files: list[Path]) -> None:
    scores = np.concatenate([loaded.scores([loaded.read(path)]) for path in files])
    assert scores.shape == (3, 3)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores, axis=0)) == 3  # it tells the items apart


def test_the_scores_of_an_item_do_not_depend_on_the_others(
    family: models.Family, loaded: Loaded, files: list[Path]
) -> None:
    items = [loaded.read(path) for path in files]
    alone = np.concatenate([loaded.scores([item]) for item in items])
    for start in range(0, len(items), family.AT_ONCE):
        part = slice(start, start + family.AT_ONCE)
        np.testing.assert_array_equal(loaded.scores(items[part]), alone[part])


def test_a_damaged_file_is_an_item_error(loaded: Loaded, family: models.Family, tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(b"neither a picture nor a recording")
    with pytest.raises(ItemError, match="undecodable_image" if family.MODALITY == "image" else "undecodable_audio"):
        loaded.read(tmp_path / "damaged")


def test_it_names_the_libraries_that_decide(family: models.Family) -> None:
    assert family.REQUIRES[-1] in family.library_versions()


def test_an_unknown_family_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="'clipp'; there are clap, open_clip"):
        models.get("clipp")


def test_naming_and_getting_families_imports_nothing_heavy() -> None:
    code = (
        "import sys; from curation import models; [models.get(name) for name in models.names()];"
        "print({'torch', 'torchvision', 'open_clip', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
