"""The `artune` command. What only looks never imports Prefect, which takes seconds to start."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import (
    calibrate,
    collecting,
    engines,
    evaluation,
    history,
    listening,
    plan,
    publishing,
    rules_commands,
    serve,
    settings,
    training,
)
from flows.engines import EngineName
from flows.terminal import (
    FAILED_EXIT_CODE,
    REFUSED_EXIT_CODE,
    HomeOption,
    ReleaseOption,
    RulesOption,
    SourceOption,
    console,
    home_of,
    is_terminal,
    last_build,
    listing_of,
    patient,
    remember_build,
    say,
)
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than a command that only looks
    from curation.collect import Listing
    from curation.releases import Release
    from curation.store import Home
    from rules.schema import RuleSet

YesOption = Annotated[
    bool, typer.Option("--yes", help="Do not ask, even if more than a tenth of the released pairs would go.")
]

EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help="Where batches run: threads or processes of this machine, or a Dask cluster."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="The Dask cluster's scheduler, as tcp://10.0.0.5:8786."),
]

app = typer.Typer(
    help="Build a paired data set of artworks and music, and keep it alive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a traceback must not show what a variable holds
)
for commands in (collecting, plan, history, publishing, calibrate, training, listening, evaluation, serve):
    app.add_typer(commands.app)
app.add_typer(rules_commands.app, name="rules")


@app.command()
def build(
    source: SourceOption = None,
    rules_name: RulesOption = None,
    home: HomeOption = None,
    yes: YesOption = False,
    engine: EngineOption = "threads",
    scheduler: SchedulerOption = None,
) -> None:
    """Collect, measure, label, balance, split, pair, and write a new release.

    Runs as a Prefect flow. Stopped at any moment, the same command goes on from there. With nothing new it says so.
    If more than a tenth of the released pairs would go, it shows the plan and asks first.
    """
    import rules
    from curation import building, collect, ingested, releases
    from flows.doctor import blocking

    engines.check(engine, scheduler)
    place = home_of(home)
    for finding in blocking(place):
        raise ConfigurationError(f"{finding.what}: {finding.found}; {finding.advice}")
    last_sources, last_rules = last_build(place)
    sources, rules_name = source or last_sources, rules_name or last_rules
    rule_set = rules.load(rules_name)
    ingested.convert_leftovers(place, [collect.split_location(name)[0] for name in sources])
    listing = collect.list_sources(place, sources)
    if all(batch.again for batch in listing.batches) and not building.refresh(place, listing, rule_set):
        last = releases.latest(place, rule_set.name)
        console.print(f"Nothing to do: release {last.number if last else 0} has the same items, rules and tools.")
        return
    _announce(place, sources, listing, rule_set)
    with patient():
        number = _build(place, sources, rules_name, yes, engine, scheduler)
    remember_build(place, sources, rules_name)
    if number is None:
        console.print("Nothing to do: what is new in the sources changes no release.")
    else:
        _present(releases.get(place, number), rule_set)


def _build(
    home: "Home", sources: list[str], rules_name: str, yes: bool, engine: EngineName, scheduler: str | None
) -> int | None:
    """Run the flow; if it needs a yes, show the plan and ask."""
    settings.quiet_prefect()
    from curation.building import LargeDrop
    from flows import build as build_flow

    run = partial(build_flow.run, home.root, sources, rules_name, engine=engine, scheduler=scheduler)
    try:
        return run(may_drop=yes)
    except LargeDrop as drop:
        plan.show(home, sources, rules_name)
        _ask(drop)
        return run(may_drop=True)


@app.command()
def rollback(
    number: Annotated[int, typer.Argument(metavar="N", help="An earlier release.")],
    source: SourceOption = None,
    home: HomeOption = None,
    yes: YesOption = False,
) -> None:
    """Write a new release with the rules and the rows of an earlier one, less what may not come back.

    What no source lists any more, what would leak, and what has become sticky since stays out; what differs is printed.
    """
    from rich.console import Console

    from curation import building, releases
    from curation.building import LargeDrop
    from flows.progress import bars, in_threads

    place, workers = home_of(home), settings.from_environment().workers
    data_set = releases.get(place, number).manifest["rule_set"]["name"]
    sources = list(listing_of(place, data_set, source).sources)

    def run(may_drop: bool) -> "Release | None":
        with bars(Console(stderr=True)) as shown:
            each = in_threads(shown, workers)
            return building.roll_back(place, sources, number, each, may_drop=may_drop)

    try:
        release = run(yes)
    except LargeDrop as drop:
        _ask(drop)
        release = run(True)
    if release is None:
        console.print(f"Nothing to do: the current release is the rollback to {number} already.")
        return
    console.print(f"Release {release.number} beside release {number}, whose rules and rows it has:")
    plan.show_difference(releases.get(place, number), release)
    _present(release, releases.rule_set_of(release))
    console.print("The next `artune build` follows its rule set's folder again; put the rules back there too.")


def _ask(drop: "ConfigurationError") -> None:
    """Ask whether a release that loses many rows is meant; where nobody can be asked, it is refused."""
    if not is_terminal():
        raise drop
    console.print(str(drop).partition(":")[0], style="yellow", markup=False, highlight=False)
    if not typer.confirm("Build it?"):
        raise typer.Exit(1)


def _present(release: "Release", rule_set: "RuleSet") -> None:
    _show(release, rule_set)
    page = release.folder / "report" / "index.html"
    is_here = isinstance(page, Path)
    console.print(f"Load it:  datasets.load_dataset({_named(release)})", soft_wrap=True, markup=False)
    look = page.as_uri() if is_here else f"artune report --release {release.number}"
    console.print(f"Look at it:  {look}", soft_wrap=True, markup=False)


def _named(release: "Release") -> str:
    """Return what `load_dataset` finds a release by: a folder, or patterns of addresses."""
    if isinstance(release.folder, Path):
        return f'"{release.folder}"'
    files = ", ".join(f'"{split}": "{release.folder}/data/{split}-*.parquet"' for split in release.manifest["pairs"])
    return f'"parquet", data_files={{{files}}}'


def _announce(home: "Home", sources: list[str], listing: "Listing", rule_set: "RuleSet") -> None:
    from rich.markup import escape

    from curation import building, collect, releases, remeasuring

    items, parent = collect.current_items(home, listing), releases.latest(home, rule_set.name)
    for line in remeasuring.remeasured(home, items, rule_set, parent):
        say(f"{line}.")
    new = [entry for batch in listing.batches for entry in batch.entries]
    copied, most = building.disk_estimate(listing, rule_set)
    console.print(f"Building in {escape(str(home.root))} from {escape(', '.join(sources))} with {rule_set.name}.")
    console.print(
        f"{len(new):,} new items of {len(listing.versions):,}: copies take {copied / 1e6:,.1f} MB, and the release at "
        f"most {most / 1e9:,.1f} GB while it is written."
    )


@app.command()
def status(home: HomeOption = None) -> None:
    """Show the last release of each data set, and what was collected from the web for each label."""
    import rules
    from curation import releases
    from curation.history import unfinished

    place = home_of(home)
    last = {}
    for number in releases.numbers(place):
        release = releases.get(place, number)
        last[release.manifest["rule_set"]["name"]] = release
    if not last:
        console.print(f"{place.root} has no release yet; `artune build` makes one.", markup=False, soft_wrap=True)
    for release in last.values():
        _show(release, releases.rule_set_of(release))
        _show_published(place, release)
    if (place.root / "found").is_dir():
        collecting.show_tally(place, rules.load(last_build(place)[1]))
    for claim in unfinished(place):
        console.print(f"Release {claim.stem} is claimed and not finished; the same command goes on with it.")


def _show_published(home: "Home", release: "Release") -> None:
    from curation.publishing import records

    for record in records.read(home):
        if record.release == release.number:
            lacks = "" if record.verified else "; it was never loaded back: the same `artune publish` does that"
            say(f"Published as {record.version} of {record.where}{lacks}.")


@app.command()
def report(release: ReleaseOption = None, home: HomeOption = None) -> None:
    """Print where the report of a release is, and open it in a browser from a terminal."""
    from curation import releases

    place = home_of(home)
    found = releases.latest(place) if release is None else releases.get(place, release)
    if found is None:
        raise ConfigurationError(f"{place.root} has no release yet; `artune build` makes one")
    page = place.kept_here(found.folder / "report" / "index.html").as_uri()
    console.print(page, soft_wrap=True, markup=False)
    if sys.stdout.isatty():
        typer.launch(page)


@app.command()
def doctor(home: HomeOption = None) -> None:
    """Tell what is missing: ffmpeg, disk, write access, versions. Exit code 1 if a build could not run."""
    from rich.markup import escape
    from rich.table import Table

    from flows.doctor import findings

    table = Table("", "What")
    table.add_column("Found", overflow="fold")
    table.add_column("How to mend it", overflow="fold")
    broken = False
    for finding in findings(home_of(home)):
        mark = "[green]fine[/]" if finding.fine else "[red]missing[/]" if finding.required else "[yellow]optional[/]"
        advice = "" if finding.fine else escape(finding.advice)
        table.add_row(mark, escape(finding.what), escape(finding.found), advice)
        broken |= finding.required and not finding.fine
    console.print(table)
    if broken:
        raise typer.Exit(1)


def _show(release: "Release", rule_set: "RuleSet") -> None:
    """Print a release's labels and rejections."""
    import pyarrow.parquet as pq
    from rich.markup import escape
    from rich.table import Table

    from curation import releases
    from curation.errors import REASONS
    from curation.store import whole

    counts = releases.label_counts(release, rule_set)
    splits = list(rule_set.splits.model_dump())
    size_bytes = sum(row["size_bytes"] for row in release.manifest["files"].values())
    about = f"{release.manifest['rule_set']['name']}, {release.manifest['items']:,} items, {size_bytes / 1e6:,.1f} MB"
    table = Table(title=f"Release {release.number} ({about})")
    for name in ("Label", "Pairs", *splits, "Goal"):
        table.add_column(name, justify="left" if name == "Label" else "right")
    for label in rule_set.labels:
        by_split = [counts[label.name].get(split, 0) for split in splits]
        table.add_row(escape(label.name), *(f"{n:,}" for n in (sum(by_split), *by_split, label.size)))
    console.print(table)
    rejected = Table("Unit", "Stage", "Reason", "Meaning", title="Left out")
    rejected.add_column("Rows", justify="right")
    rows = pq.read_table(whole(release.folder / "rejections.parquet"), columns=["unit", "stage", "reason"])
    grouped = rows.group_by(["unit", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist()
    for row in sorted(grouped, key=lambda row: (row["unit"], list(REASONS).index(row["reason"]))):
        meaning = REASONS[row["reason"]][1]
        rejected.add_row(row["unit"], row["stage"], row["reason"], meaning, f"{row['count_all']:,}")
    console.print(rejected)


def main() -> None:
    """Run the command.

    What a person wrote wrongly is told in one message, with exit code 2; likewise a busy world, with 3.
    """
    from rich.console import Console

    from curation.errors import TransientError

    try:
        app()
    except ConfigurationError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(REFUSED_EXIT_CODE)
    except TransientError as error:
        Console(stderr=True).print(str(error), style="yellow", markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAILED_EXIT_CODE)
