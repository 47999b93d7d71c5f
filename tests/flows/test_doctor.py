import subprocess
import sys
from pathlib import Path

import pytest

from curation.store import Home
from flows import doctor
from flows.doctor import Finding


def by_name(home: Path) -> dict[str, Finding]:
    return {finding.what: finding for finding in doctor.findings(Home(home))}


def test_this_machine_can_build(tmp_path: Path) -> None:
    missing = [finding for finding in by_name(tmp_path / "new").values() if finding.required and not finding.fine]
    assert missing == []
    assert not (tmp_path / "new").exists()


def test_a_work_folder_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = by_name(tmp_path / "file" / "home")["work folder"]
    assert not finding.fine
    assert "--home" in finding.advice


def test_an_ffmpeg_without_chromaprint_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho '  E  s16le  PCM signed 16-bit little-endian'\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    finding = by_name(tmp_path)["ffmpeg with chromaprint and s16le"]
    assert (finding.fine, finding.found) == (False, "lacks chromaprint")


def test_an_ffmpeg_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    assert not by_name(tmp_path)["ffmpeg"].fine


def test_a_package_of_another_version_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "2.1.0" if name == "sqlalchemy" else real(name))
    finding = by_name(tmp_path)["sqlalchemy"]
    assert not finding.fine
    assert finding.required
    assert "pip install 'sqlalchemy<2.1,>=2.0'" in finding.advice


def test_what_training_lacks_is_told_and_stops_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = doctor.version
    wrong = {"torchcodec": "0.14.0", "accelerate": "1.0"}
    monkeypatch.setattr(doctor, "version", lambda name: wrong.get(name) or real(name))
    finding = by_name(tmp_path)["training, decoded audio"]
    assert (finding.found, finding.fine, finding.required) == ("lacks accelerate, torchcodec", False, False)
    assert finding.advice == "pip install --constraint constraints.txt --editable '.[train]'"


def test_what_evaluation_lacks_is_told_and_stops_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = doctor.version
    wrong = {"torch-fidelity": "0.3", "diffusers": "0.1"}
    monkeypatch.setattr(doctor, "version", lambda name: wrong.get(name) or real(name))
    finding = by_name(tmp_path)["evaluation"]
    assert (finding.found, finding.fine, finding.required) == ("lacks diffusers, torch-fidelity", False, False)
    assert finding.advice == "pip install --constraint constraints.txt --editable '.[eval]'"


def test_a_token_is_found_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_hidden")
    found = by_name(tmp_path)
    assert (found["Hub token"].found, found["Hub token"].fine) == ("there", True)
    assert "hidden" not in str(found)


def test_what_publishing_lacks_is_told_and_stops_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    found = by_name(tmp_path)["Hub token"]
    assert (found.found, found.fine, found.required) == ("none", False, False)
    assert "hf auth login" in found.advice
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    found = by_name(tmp_path)["Hub"]
    assert (found.fine, found.required) == (False, False)


def test_where_files_would_go_and_by_what(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "from curation.store import Home; from flows import doctor; from pathlib import Path\n"
    code += f"for one in doctor.findings(Home(Path({str(tmp_path)!r}))): print(one.what, one.found)"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8080/")
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Hub http://127.0.0.1:8080\nHub uploads by LFS, without Xet\n" in shown
