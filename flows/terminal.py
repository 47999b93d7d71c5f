"""What every command shares: the console, the options, and the memory of the last build."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

import rules
from curation.damage import Damaged
from curation.store import Home
from flows import connection, settings
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than a command that only looks
    from rich.table import Table

    from curation.collect import Listing

DEFAULT_SOURCE, DEFAULT_RULES = "sample", "museart18"
LAST_INGEST = "last_ingest.json"  # likewise
LAST_BUILD = "last_build.json"  # a convenience of the command; no release depends on it

BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
REFUSED_EXIT_CODE = 2  # a person has to mend what was asked for
FAILED_EXIT_CODE = 3  # nothing went wrong here, and yet nothing could be had
STOPPED_EXIT_CODE = 130  # of what ends by Ctrl-C, as shells have it
TERMINATED_EXIT_CODE = 143  # likewise of what ends by SIGTERM

console = Console()

HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Work folder, or s3://BUCKET/NAME; everything artune writes is in it. Else ARTUNE_HOME, else artune-home.",
    ),
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME[:PLACE]",
        help="Where items come from: sample, folder:PATH, or what `artune ingest` fetched: wikiart and so on; give it "
        "again for another. Without it, the sources of the last build in this work folder, or the sample.",
    ),
]
RulesOption = Annotated[
    str | None,
    typer.Option(
        "--rules",
        metavar="NAME|DIR",
        help="Rule set: its name, or a folder with one. Without it, that of the last build, or museart18.",
    ),
]
ReleaseOption = Annotated[int | None, typer.Option("--release", metavar="N", help="Release; the last one without it.")]
QuotaOption = Annotated[
    str | None,
    typer.Option(
        "--quota", metavar="SIZE", help="Stop when all that was ever fetched takes this much disk: 20GB, 500MB, 1.5TiB."
    ),
]


def quota_bytes_of(text: str | None) -> int | None:
    """Return the size that a person wrote for --quota."""
    return None if text is None else size_bytes_of(text, "--quota")


def size_bytes_of(text: str, option: str) -> int:
    """Return a size that a person wrote for an option."""
    written = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    size_bytes = int(float(written[1]) * BYTES[(written[2] or "").lower()]) if written else 0
    if not size_bytes:
        raise ConfigurationError(f"{option} {text!r}: expected a size such as 500MB, 20GB or 1.5TiB")
    return size_bytes


def say(line: str) -> None:
    """Print a line that may hold text from outside."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def near(path: str | Path) -> str:
    """Return a path as somebody who stands here would type it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here) if Path(path).is_relative_to(here) else path)


def is_terminal() -> bool:
    """Say whether somebody can be asked."""
    return sys.stdin.isatty()


@contextmanager
def stoppable(stopped: str) -> Iterator[None]:
    """Say what Ctrl-C means, also while Prefect is still starting."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(stopped, err=True)
        raise typer.Exit(STOPPED_EXIT_CODE) from None


@contextmanager
def patient() -> Iterator[None]:
    """Tell a busy world in one sentence, with an exit code of its own."""
    from curation.errors import TransientError

    try:
        try:
            yield
        except connection.errors() as error:
            raise connection.told(error) from None
    except TransientError as error:
        Console(stderr=True).print(str(error), style="yellow", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(FAILED_EXIT_CODE) from None


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """Return a table of plain text; a column that starts with > is aligned to the right."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=escape(title), title_justify="left", caption_justify="left")
    for name in columns:
        made.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(escape, row))
    return made


def home_of(option: str | None) -> Home:
    """Return the work folder that the option or else the environment names."""
    return Home(settings.work_folder(option) if option else settings.from_environment().home)


def last_build(home: Home) -> tuple[list[str], str]:
    """Return sources and rules of the last build in this work folder, or what a first one takes."""
    path = home.root / LAST_BUILD
    if not path.exists():
        return [DEFAULT_SOURCE], last_ingest(home)[1]
    try:
        last = json.loads(path.read_text(encoding="utf-8"))
        return last["sources"], last["rules"]
    except (ValueError, KeyError, TypeError) as error:
        advice = "remove it, and name --source and --rules once"  # a scheduled build must not go on with the sample
        raise Damaged(path, str(error), advice) from error


def listing_of(home: Home, data_set: str, source: list[str] | None) -> "Listing":
    """List the sources that were named; without any, return what the data set was last built from."""
    from curation import collect

    found = None if source else collect.last_listing(home, data_set)
    return found or collect.list_sources(home, source or last_build(home)[0])


def remember_build(home: Home, sources: list[str], rules_name: str) -> None:
    """Keep them for the next command that names none, folders by their whole path."""
    from curation.collect import whole

    with home.replacing(home.root / LAST_BUILD) as temporary:
        temporary.write_text(
            json.dumps({"sources": list(map(whole, sources)), "rules": whole_rules(rules_name)}) + "\n",
            encoding="utf-8",
        )


def last_ingest(home: Home) -> tuple[dict[str, str], str]:
    """Return each source of the web that was ingested, as it was named last with its place, and the rules."""
    try:
        last = json.loads((home.root / LAST_INGEST).read_text(encoding="utf-8"))
        return dict(last["sources"]), str(last["rules"])
    except (OSError, ValueError, KeyError, TypeError):  # as of the last build
        return {}, DEFAULT_RULES


def remember_ingest(home: Home, named: Sequence[str], rules_name: str) -> None:
    """Keep how sources were named, for a retry that names none; and the rules, until there is a build."""
    from curation.collect import split_location, whole

    sources = last_ingest(home)[0] | {split_location(source)[0]: whole(source) for source in named}
    with home.replacing(home.root / LAST_INGEST) as temporary:
        last = {"sources": sources, "rules": whole_rules(rules_name)}
        temporary.write_text(json.dumps(last) + "\n", encoding="utf-8")


def whole_rules(name: str) -> str:
    """Return a rule set's name, or the whole path of its folder."""
    return name if name in rules.names() else str(Path(name).expanduser().absolute())
