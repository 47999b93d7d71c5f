"""Which networks make features is read from YAML with all mistakes told; any value can be set for one evaluation."""

import subprocess
import sys
from pathlib import Path

import pytest

from evaluation import features, networks
from evaluation.networks import ROLES, Network, Networks, of_role
from rules.errors import ConfigurationError


def test_two_files_come_with_artune():
    assert networks.names() == ["published", "stand-ins"]


@pytest.mark.parametrize("name", networks.names())
@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_network(name, role):
    assert isinstance(of_role(networks.load(name), role), Network)


def test_roles_are_all_that_a_file_tells():
    told = [key for key in Networks.model_fields if key not in ("about", "seed", "pairing")]
    assert sorted(ROLES) == sorted([*told, "pairing.image", "pairing.music"])


@pytest.mark.parametrize("role", ROLES)
def test_the_published_networks_are_those_that_the_families_know_by_name(role):
    network = of_role(networks.load("published"), role)
    known = {each.address: each for each in features.get(network.name).PUBLISHED}
    assert network.weights in known
    assert network.revision is None
    assert network.sha256 == known[network.weights].sha256


@pytest.mark.parametrize("role", ROLES)
def test_stand_ins_need_nothing_from_anywhere(role):
    assert of_role(networks.load("stand-ins"), role).weights is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("inception.name=incepton", "incepton: expected one of .*did you mean inception"),
        ("inception.weights=http://x.org/w.pt", "weights: http://x.org/w.pt: expected an https address"),
        ("inception.weights=ftp://x.org/w.pt", "expected an https address"),
        ("inception.sha256=12", "12: expected"),
        ("inception.sha256=GGGGGGGG", "GGGGGGGG: expected"),
        ("inception.random.width=3", "expected either weights or random, not both"),
        ("pairing.picture.name=clap", "picture: expected one of the keys image, music"),
        ("seed=-1", "-1: expected a number greater than or equal to 0"),
        ("inception", "expected KEY=VALUE, as inception.weights=PATH"),
    ],
)
def test_mistakes_are_told(change, told):
    with pytest.raises(ConfigurationError, match=told):
        networks.load("published", [change])


def test_values_are_set_for_one_evaluation():
    changed = networks.load("published", ["pairing.music.weights=~/Wav2CLIP.pt", "seed=5"])
    assert (changed.pairing.music.weights, changed.seed) == ("~/Wav2CLIP.pt", 5)


def test_an_unknown_name_is_told_with_those_that_there_are():
    with pytest.raises(
        ConfigurationError, match="networks 'publised': expected one of published, stand-ins.*published"
    ):
        networks.load("publised")


def test_reading_them_imports_no_torch():
    code = (
        "import sys; import evaluation.extraction.loading; from evaluation import networks; networks.names(); "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    "change",
    ["inception.weights=https://ida:SECRET@example.org/w.pt", "inception={name: inception, weights: 's3://SECRET@x'}"],
)
def test_a_password_in_an_address_is_refused_and_not_told(change):
    with pytest.raises(ConfigurationError, match="expected an address without a user or a password in it") as raised:
        networks.load("stand-ins", [change])
    assert "SECRET" not in str(raised.value)


def test_a_password_in_a_file_of_networks_is_refused_and_not_told(tmp_path):
    whole = (Path(networks.__file__).parent / "networks" / "stand-ins.yaml").read_text("utf-8")
    line = "inception: {name: inception, weights: 'https://ida:SECRET@example.org/w.pt'}"
    path = tmp_path / "mine.yaml"
    path.write_text(whole.replace("inception: {name: efficientnet_lite}", line), encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match="mine.yaml:.*expected an address without a user or a password in it"
    ) as raised:
        networks.load(str(path))
    assert "SECRET" not in str(raised.value)
