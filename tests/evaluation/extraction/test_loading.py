"""The networks of an evaluation are loaded by role; what cannot go together is refused before any work."""

import pytest
import torch

from evaluation import networks
from evaluation.extraction import loading
from evaluation.networks import ROLES
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import save_wav2clip


def test_stand_ins_are_all_loaded_and_say_so():
    chosen = networks.load("stand-ins")
    loaded = loading.load_all(chosen)
    assert list(loaded) == list(ROLES)
    assert loaded["inception"] is loaded["clip"] is loaded["likeness"]
    assert all(extractor.is_stand_in for extractor in loaded.values())
    facts = loading.facts(chosen, "clip", loaded["clip"])
    assert facts.model_dump() == {
        "role": "clip",
        "name": "stand-in: EfficientNet-lite0 (ImageNet)",
        "weights": None,
        "weights_sha256": loaded["clip"].weights_sha256,
        "width": 1280,
        "is_stand_in": True,
    }


def test_another_seed_draws_other_stand_ins():
    drawn = [loading.load(networks.load("stand-ins", [f"seed={seed}"]), "pairing.music") for seed in (0, 0, 1)]
    assert drawn[0].weights_sha256 == drawn[1].weights_sha256 != drawn[2].weights_sha256


def test_networks_that_share_no_space_are_refused(tmp_path):
    path = save_wav2clip(tmp_path / "wide.pt", width=3)
    chosen = networks.load("stand-ins", ["pairing.music.random=null", f"pairing.music.weights={path}"])
    with pytest.raises(
        ConfigurationError, match=r"^pairing: stand-in: random CLIP .* of 16 .* wide.pt of 24: expected two"
    ):
        loading.load_all(chosen)


@pytest.mark.parametrize(
    ("role", "family", "takes"),
    [("pairing.image", "wav2clip", "images"), ("pairing.music", "open_clip", "sounds"), ("sound", "dinov2", "sounds")],
)
def test_a_family_that_does_not_take_what_its_role_needs_is_refused(role, family, takes):
    chosen = networks.load("stand-ins", [f"{role}.name={family}"])
    with pytest.raises(ConfigurationError, match=f"^{role}.name: {family}: expected a family that takes {takes}"):
        loading.load(chosen, role)


def test_an_error_begins_with_the_role_and_ends_with_what_to_type(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "w.pt")
    chosen = networks.load("published", [f"pairing.music.weights={tmp_path / 'w.pt'}"])
    told = r"^pairing\.music\.weights: .* Get them from https://.*`--set pairing\.music\.weights=PATH`\.$"
    with pytest.raises(ConfigurationError, match=told):
        loading.load(chosen, "pairing.music")


def test_every_mistake_in_settings_begins_with_the_role():
    chosen = networks.load("stand-ins", ["pairing.music.random.widht=3", "pairing.music.random.deep=3"])
    with pytest.raises(ConfigurationError) as refusal:
        loading.load(chosen, "pairing.music")
    lines = str(refusal.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("pairing.music.random.") for line in lines)


def test_facts_tell_no_path_of_this_machine(tmp_path):
    path = save_wav2clip(tmp_path / "own.pt", width=2)
    chosen = networks.load("stand-ins", ["pairing.music.random=null", f"pairing.music.weights={path}"])
    facts = loading.facts(chosen, "pairing.music", loading.load(chosen, "pairing.music"))
    assert (facts.weights, str(tmp_path) in facts.name) == ("own.pt", False)
