import os
import re
from pathlib import Path

import pytest

from flows import settings
from rules.errors import ConfigurationError

SECRET = "https://ida:hidden@hub.example"


def test_home_and_workers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARTUNE_HOME", str(tmp_path / "here"))
    monkeypatch.setenv("ARTUNE_WORKERS", "3")
    assert settings.from_environment() == settings.Settings(tmp_path / "here", 3)


def test_without_variables_the_home_is_in_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ARTUNE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert settings.from_environment().home == tmp_path / "artune-home"


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_a_wrong_number_of_workers_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ARTUNE_WORKERS", value)
    with pytest.raises(ConfigurationError, match=re.escape(f"ARTUNE_WORKERS={value!r}: expected a whole number")):
        settings.from_environment()


def test_an_address_of_object_storage_is_no_folder_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTUNE_HOME", "s3://bucket/prefix")
    assert settings.from_environment().home == "s3://bucket/prefix"


def test_what_training_keeps_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTUNE_CACHE", "s3://bucket/prefix")
    with pytest.raises(ConfigurationError, match="s3://bucket.*expected a folder of this machine"):
        settings.training_cache()


@pytest.mark.parametrize("contact", ["ida@example.org", "https://example.org/~ida?about=artune"])
def test_who_asks_the_web_says_where_to_be_reached(monkeypatch: pytest.MonkeyPatch, contact: str) -> None:
    monkeypatch.setenv("ARTUNE_CONTACT", f" {contact} ")
    monkeypatch.setenv("ARTUNE_ALLOWED_HOSTS", "localhost:8000, mirror.example")
    assert settings.web().contact == contact
    assert settings.web().allowed_hosts == {"localhost:8000", "mirror.example"}


@pytest.mark.parametrize(
    "contact",
    [
        "",
        "ida",
        "ida@localhost",
        "ida@example.org\r\nCookie: a=b",
        "ftp://example.org",
        "https://",
        "https://ida:secret@example.org",
        "https://example.org/a)(b",
        "https://[",
    ],
)
def test_a_contact_that_no_site_could_use_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, contact: str) -> None:
    monkeypatch.setenv("ARTUNE_CONTACT", contact)
    with pytest.raises(ConfigurationError, match="ARTUNE_CONTACT is not .*: expected a mail address, or the http"):
        settings.web()


@pytest.mark.parametrize(
    ("environment", "disabled"),
    [
        ({}, None),
        ({"HF_ENDPOINT": "https://huggingface.co/"}, None),
        ({"HF_ENDPOINT": "https://hub-ci.huggingface.co"}, None),
        ({"HF_ENDPOINT": "https://huggingface.co.example.org"}, "1"),
        ({"HF_ENDPOINT": "http://127.0.0.1:8080"}, "1"),
        ({"HF_ENDPOINT": "http://127.0.0.1:8080", "HF_HUB_DISABLE_XET": "0"}, "0"),
        ({"HF_HUB_DISABLE_XET": "1"}, "1"),
    ],
)
def test_only_the_hub_itself_is_sent_files_by_xet_unless_the_operator_says_so(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], disabled: str | None
) -> None:
    monkeypatch.setattr(os, "environ", environment)
    settings.prepare_hub()
    assert environment.get("HF_HUB_DISABLE_XET") == disabled


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:8080", "ftp://hub.example", "https://", "https://[", SECRET])
def test_an_endpoint_that_no_client_could_ask_is_refused_and_not_told(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ConfigurationError, match="HF_ENDPOINT: expected the http") as refused:
        settings.prepare_hub()
    assert "hidden" not in str(refused.value)
