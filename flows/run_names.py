"""What runs are called, so that a list of them says what each does: Prefect asks when a run begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

MAX_CHARS = 160  # of a name; Prefect's lists show no more


def build() -> str:
    """Name a run of `build`."""
    asked = _asked()
    return _named("build", _sources(asked), _rules(asked))


def ingest() -> str:
    """Name a run of `ingest`."""
    asked = _asked()
    labels = asked.get("labels")
    return _named("ingest", _sources(asked), _rules(asked), f"for {', '.join(labels)}" if labels else "")


def retry() -> str:
    """Name a run of `retry`."""
    return _named("retry", _sources(_asked()))


def publish() -> str:
    """Name a run of `publish`."""
    asked = _asked()
    number = asked.get("number")
    return _named("publish", f"release {number}" if number else "the last release", f"to {asked.get('where')}")


def train() -> str:
    """Name a run of `train`."""
    asked = _asked()
    if not asked.get("recipe"):
        return _named("train", Path(str(asked.get("out"))).name)
    return _named("train", asked["recipe"], f"on {_revision(asked.get('data'), asked.get('revision'))}")


def evaluate() -> str:
    """Name a run of `evaluate`."""
    request = _asked().get("request")
    asked = request if isinstance(request, Mapping) else {name: getattr(request, name, None) for name in _SUBJECTS}
    subject = next((str(asked[name]) for name in _SUBJECTS if asked.get(name)), "")
    return _named("evaluate", Path(subject).name)


_SUBJECTS = ("run", "images", "data")


def _asked() -> dict[str, Any]:
    return dict(flow_run.parameters)


def _sources(asked: Mapping[str, Any]) -> str:
    named = asked.get("sources") or asked.get("named")
    return ", ".join(map(str, named)) if isinstance(named, list) else ""


def _rules(asked: Mapping[str, Any]) -> str:
    name = asked.get("rules_name")
    return f"with {name}" if name else ""


def _revision(data: object, revision: object) -> str:
    return f"{data}@{revision}" if revision else str(data)


def _named(*parts: str) -> str:
    text = " ".join(" ".join(filter(None, parts)).split())
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
