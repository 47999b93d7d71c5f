"""From figures and samples to one HTML page that needs nothing else."""

import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent
MAX_TEXT_CHARS = 240


def render(
    values: Mapping[str, object],
    template: Path = HERE / "report.html.j2",
    *,
    script: Path | None = HERE / "report.js",
    filters: Mapping[str, Callable[..., object]] = MappingProxyType({}),
) -> str:
    """Return a page. Whatever is not a number in `values` is text from outside: the template escapes all of it.

    Args:
        template: it extends shell.html.j2, and may use what else is in this folder; the style sheet of its name beside
            it comes after report.css.
        script: the only one that may run.
        filters: of this template alone, beside those of this module.
    """
    folders = FileSystemLoader(list(dict.fromkeys([template.parent, HERE])))
    environment = Environment(
        loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": plain, "percent": percent, "clock": clock, "words": words, "web": web}
    environment.filters |= {"about": about, **filters}
    # The only texts that are not escaped are files of these folders.
    own = template.with_name(f"{template.name.removesuffix('.html.j2')}.css")
    style = "".join(path.read_text("utf-8") for path in dict.fromkeys((HERE / "report.css", own)))
    code = script.read_text("utf-8") if script else ""
    # Only this script may run and nothing may be fetched, whatever a title holds.
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    return environment.get_template(template.name).render(
        values,
        style=Markup(style),
        script=Markup(code),
        policy=f"{policy}; script-src {_hash(code)}" if code else policy,
    )


def write(out: Path, text: str) -> None:
    """Write `out/index.html`, in UTF-8 with plain line ends on every system."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / "index.html.part"  # a reader never meets half a page
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(out / "index.html")


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
