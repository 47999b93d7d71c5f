"""What is served and what `prefect deploy` deploys are the same, and each flow brings only what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import deployments
from flows.cli import app
from flows.deployed import FLOWS
from flows.deployments import Asked
from rules.errors import ConfigurationError

ASKED = Asked(rules_name="/r/tiny", data_set="tiny", web=("wikiart",), home="/h", where="ida/name", recipe="tiny")


def named(asked: Asked) -> dict[str, dict[str, object]]:
    found = deployments.deployments(asked)
    assert {one["name"] for one in found} == {asked.data_set}
    return {deployments.flow_of(one): one for one in found}


def test_the_yaml_is_what_is_served():
    written = Path(deployments.__file__).with_name("prefect.yaml").read_text(encoding="utf-8")
    assert written == deployments.as_yaml(), "python -m flows.deployments > flows/prefect.yaml"
    assert list(named(deployments.EXAMPLE)) == list(FLOWS)


def test_a_build_follows_news_from_the_web_and_a_clock():
    web = named(ASKED)
    assert list(web) == ["ingest", "build", "publish", "train", "evaluate"]
    weekly = {"cron": deployments.WEEKLY, "timezone": "UTC"}  # it makes up for what failed
    assert {name for name, one in web.items() if one["schedules"] == [weekly]} == set(web) - {"evaluate"}
    (trigger,) = web["build"]["triggers"]
    assert trigger["expect"] == ["artune.items.changed"]
    assert trigger["match"] == {"prefect.resource.id": "artune.home.tiny", "artune.home": "/h"}
    local = named(Asked(rules_name="tiny", data_set="tiny", local=("folder:/media",), cron="0 4 * * *"))
    assert list(local) == ["build"]
    assert local["build"]["schedules"] == [{"cron": "0 4 * * *", "timezone": "UTC"}]
    assert local["build"]["triggers"] == []


def test_what_needs_torch_has_a_pool_of_its_own_and_building_never_imports_it():
    pools = {name: one["work_pool"] for name, one in named(ASKED).items()}
    with_torch = {name for name, pool in pools.items() if pool == {"name": "artune-gpu"}}
    code = (
        "import sys; from flows import deployed\n"
        "for name in sys.argv[1:]: assert getattr(deployed, name).name == name\n"
        "print('torch' in sys.modules)"
    )
    for wanted in (False, True):
        words = [name for name in pools if (name in with_torch) is wanted]
        found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == str(wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--yes"], "--yes: expected --publish WHERE beside it"),
        (["--train", "tiny"], "--train: expected --publish WHERE beside it"),
        (["--cron", "whenever"], "--cron 'whenever': expected a time such as '0 3 * * 1'"),
        (["--cron", "0 0 30 2 *"], "--cron '0 0 30 2 *'"),
        (["--cron", "0 0 3 * * 1"], "--cron '0 0 3 * * 1'"),
        (["--publish", "s3://KEY:hidden@bucket/shelf"], "with a password or a user in it"),
        (["--publish", "name"], "expected owner/name on the Hub, a folder"),
        (["--publish", "./shelf", "--train", "none"], "none"),
        (["--rules", "none"], "none"),
        (["--source", "nowhere"], "nowhere"),
        (["--source", "wikiart"], "ARTUNE_CONTACT"),
        (["--publish", "ida/name"], "HF_TOKEN: set it, or log in"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_runs(words, told, tmp_path, monkeypatch):
    monkeypatch.delenv("ARTUNE_CONTACT", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    result = CliRunner().invoke(app, ["serve", "--home", str(tmp_path / "home"), "--source", "sample", *words])
    assert isinstance(result.exception, ConfigurationError), result.output + repr(result.exception)
    assert told in str(result.exception)
    assert "hidden" not in str(result.exception)
    assert not (tmp_path / "home").exists()


def test_a_server_that_is_named_and_not_there_is_told(tmp_path):
    code = "from flows.cli import main; main()"
    words = [sys.executable, "-c", code, "serve", "--home", str(tmp_path), "--source", "sample"]
    from tests.servers import environment, free_port

    env = environment(tmp_path, PREFECT_API_URL=f"http://user:hidden@127.0.0.1:{free_port()}/api")
    found = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 2, found.stderr
    assert "PREFECT_API_URL: no Prefect server answers at http://127.0.0.1:" in found.stderr
    assert "hidden" not in found.stdout + found.stderr
