"""The commands of evaluation as a user types them: what they refuse before any work, and what they never load."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evaluation.result import Estimate
from evaluation.telling import comparing
from flows import doctor, evaluation
from flows.cli import app
from rules.errors import ConfigurationError
from tests.evaluation import made_evaluations
from tests.flows.test_training_cli import LOADED


def artune(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def refusal(*arguments: str | Path) -> str:
    result = artune(*arguments)
    assert isinstance(result.exception, ConfigurationError), result.output + repr(result.exception)
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runs/tiny"], "evaluate: expected --data: owner/name@v3"),
        (["runs/tiny", "--data", "x", "--images", "y"], "expected RUN or --images, not both"),
        (["--data", "x", "--base", "y"], "evaluate: --base: expected a RUN beside it"),
        (["--images", "z", "--data", "x", "--encoder", "y"], "evaluate: --encoder: expected a RUN beside it"),
        (["--data", "x", "--networks", "publisht"], "did you mean published?"),
        (["--data", "x", "--set", "inceptoin.weights=y"], "--set inceptoin.weights=y: "),
    ],
)
def test_what_cannot_be_meant_is_told_and_nothing_is_written(arguments, told, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert told in refusal("evaluate", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["torch-fidelity", "diffusers"])
def test_what_is_not_installed_is_told_with_its_cure(missing, monkeypatch):
    real = doctor.version

    def without(name: str) -> str:
        if name == missing:
            raise doctor.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", without)
    assert refusal("evaluate", "--data", "x") == (
        f"evaluation needs {missing}: pip install --constraint constraints.txt --editable '.[eval]'"
    )


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", "--data", "x", "--networks", "publisht"]])
def test_what_is_refused_loads_nothing_slow(arguments):
    code = LOADED.replace("app(standalone_mode=False)", "try: app(standalone_mode=False)\nexcept Exception: pass")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_help_tells_what_each_command_does(command):
    assert "--help" in artune(command, "--help").output


def test_a_narrow_interval_is_told_with_the_digits_that_show_it():
    figure = made_evaluations.figure("ais", 50.004, estimate=Estimate(value=50.004, interval=(50.001, 50.007), n=60))
    assert evaluation.row(figure)[1:3] == ("50.004 (50.001 to 50.007)", "50.000")


@pytest.mark.parametrize(("verdict", "code"), [("better", 0), ("worse", 4), ("cannot tell", 5)])
def test_the_exit_code_of_a_comparison_is_its_verdict(verdict, code, monkeypatch):
    asked = []

    def compare(a: Path, b: Path, measure: str | None) -> comparing.Comparison:
        asked.append((a, b, measure))
        return comparing.Comparison(a, b, "iis", verdict, "The sentence.", (), ())

    monkeypatch.setattr(comparing, "compare", compare)
    result = artune("compare", "one", "two", "--measure", "iis")
    assert (result.exit_code, asked) == (code, [(Path("one"), Path("two"), "iis")])
    assert "The sentence." in result.output


def test_what_was_never_evaluated_is_not_compared_and_nothing_slow_is_loaded(tmp_path):
    assert str(tmp_path / "a") in refusal("compare", tmp_path / "a", tmp_path / "b")
    code = LOADED.replace("app(standalone_mode=False)", "try: app(standalone_mode=False)\nexcept Exception: pass")
    done = subprocess.run([sys.executable, "-c", code, "compare", "a", "b"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
