"""From figures and samples to one HTML page that needs nothing else."""

import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent
MAX_TEXT_CHARS = 240


def render(values: Mapping[str, object]) -> str:
    """Return the page. Whatever is not a number in `values` is text from outside: the template escapes all of it."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = {"plain": plain, "percent": percent, "clock": clock, "words": words, "web": web, "about": about}
    environment.filters |= filters
    # The only two texts that are not escaped are files of this folder.
    style, script = ((HERE / name).read_text("utf-8") for name in ("report.css", "report.js"))
    # Only this script may run and nothing may be fetched, whatever a title holds.
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src {_hash(script)}"
    )
    template = environment.get_template("report.html.j2")
    return template.render(values, style=Markup(style), script=Markup(script), policy=policy)


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode('ascii')}'"


def plain(text: str | None, limit: int = MAX_TEXT_CHARS) -> str:
    """Return a text from outside on one line, without control characters and with at most `limit` characters."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in (text or "")[: 4 * limit])
    line = " ".join(kept.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def percent(share: float) -> str:
    """Return a share of [0, 1] in percent: 80 %, 12.5 %, and never 0 % or 100 % for what is not quite that."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")
    value = min(max(100 * share, 0.1), 99.9)
    return f"{value:.1f}".removesuffix(".0") + "\N{NARROW NO-BREAK SPACE}%"


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def words(name: str) -> str:
    """Return a snake_case name as words."""
    return name.replace("_", " ")


def web(url: str | None) -> str | None:
    """Return a url if a reader may follow it: nothing but http and https."""
    return url if url and url.lower().startswith(("https://", "http://")) else None


def about(detail: str | None, label: str | None) -> list[str]:
    """Return the parts of a candidate's detail, each once; those of one label only, without its name, if it has any."""
    parts = [part for part in dict.fromkeys((detail or "").split("; ")) if part]
    own = [part.removeprefix(f"{label} ") for part in parts if label and part.startswith(f"{label} ")]
    return own or parts
