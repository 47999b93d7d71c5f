"""The `artune` command. What only looks never imports Prefect, which takes seconds to start."""

import sys

import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import rules
from curation import building, collect, releases
from curation.collect import Listing
from curation.errors import REASONS
from curation.releases import Release
from curation.store import Home
from flows import settings
from flows.doctor import blocking
from flows.terminal import (
    HomeOption,
    ReleaseOption,
    RulesOption,
    SourceOption,
    console,
    home_of,
    last_build,
    remember_build,
)
from rules.errors import ConfigurationError
from rules.schema import RuleSet

app = typer.Typer(
    help="Build a paired data set of artworks and music, and keep it alive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # a traceback must not show what a variable holds
)


@app.command()
def build(source: SourceOption = None, rules_name: RulesOption = None, home: HomeOption = None) -> None:
    """Collect, measure, label, balance, split, pair, and write a new release.

    Runs as a Prefect flow. Stopped at any moment, the same command goes on from there. With nothing new it says so.
    """
    place = home_of(home)
    workers = settings.from_environment().workers
    for finding in blocking(place.root):
        raise ConfigurationError(f"{finding.what}: {finding.found}; {finding.advice}")
    last_sources, last_rules = last_build(place)
    sources, rules_name = source or last_sources, rules_name or last_rules
    rule_set = rules.load(rules_name)
    listing = collect.list_sources(place, sources)
    if all(batch.again for batch in listing.batches):
        for batch in listing.batches:  # perhaps it can be read today; mostly it cannot, and then there is nothing to do
            collect.collect_batch(batch)
        items = collect.current_items(place, listing)
        if building.is_current(place, items, rule_set):
            releases.tidy(place)
            last = releases.latest(place)
            console.print(f"Nothing to do: release {last.number if last else 0} has the same items, rules and tools.")
            return
    _announce(place, sources, listing, rule_set)
    settings.quiet_prefect()
    from flows import build as build_flow

    number = build_flow.run(place.root, sources, rules_name, workers)
    remember_build(place, sources, rules_name)
    if number is None:
        console.print("Nothing to do: what is new in the sources changes no release.")
        return
    release = releases.get(place, number)
    _show(release, rule_set)
    console.print(f'Load it:  datasets.load_dataset("{release.folder}")', soft_wrap=True, markup=False)
    console.print(f"Look at it:  {(release.folder / 'report' / 'index.html').as_uri()}", soft_wrap=True, markup=False)


def _announce(home: Home, sources: list[str], listing: Listing, rule_set: RuleSet) -> None:
    new = [entry for batch in listing.batches for entry in batch.entries]
    copied, most = building.disk_estimate(listing, rule_set)
    console.print(f"Building in {escape(str(home.root))} from {escape(', '.join(sources))} with {rule_set.name}.")
    console.print(
        f"{len(new):,} new items of {len(listing.versions):,}: copies take {copied / 1e6:,.1f} MB, and the release at "
        f"most {most / 1e9:,.1f} GB while it is written."
    )


@app.command()
def status(home: HomeOption = None) -> None:
    """Show the releases of a work folder, and the last one's labels and rejections."""
    place = home_of(home)
    found = releases.numbers(place)
    if not found:
        console.print(f"{escape(str(place.root))} has no release yet; `artune build` makes one.")
    for number in found:
        manifest = releases.get(place, number).manifest
        pairs = ", ".join(f"{split} {count:,}" for split, count in manifest["pairs"].items())
        size_bytes = sum(row["size_bytes"] for row in manifest["files"].values())
        console.print(
            f"Release {number}: {sum(manifest['pairs'].values()):,} pairs ({pairs}) of {manifest['items']:,} items, "
            f"rule set {manifest['rule_set']['name']} {manifest['rule_set']['digest'][:12]}, {size_bytes / 1e6:,.1f} MB"
        )
    for claim in sorted((place.root / "releases").glob("*.claim")):
        if not claim.with_suffix(".json").exists():
            console.print(f"Release {claim.stem} is claimed and not finished; the same `artune build` goes on with it.")
    if found:
        last = releases.get(place, found[-1])
        _show(last, releases.rule_set_of(last))


@app.command()
def report(release: ReleaseOption = None, home: HomeOption = None) -> None:
    """Print where the report of a release is, and open it in a browser from a terminal."""
    place = home_of(home)
    found = releases.latest(place) if release is None else releases.get(place, release)
    if found is None:
        raise ConfigurationError(f"{place.root} has no release yet; `artune build` makes one")
    page = (found.folder / "report" / "index.html").as_uri()
    console.print(page, soft_wrap=True, markup=False)
    if sys.stdout.isatty():
        typer.launch(page)


@app.command()
def doctor(home: HomeOption = None) -> None:
    """Tell what is missing: ffmpeg, disk, write access, versions. Exit code 1 if a build could not run."""
    from flows.doctor import findings

    table = Table("", "What")
    table.add_column("Found", overflow="fold")
    table.add_column("How to mend it", overflow="fold")
    broken = False
    for finding in findings(home_of(home).root):
        mark = "[green]fine[/]" if finding.fine else "[red]missing[/]" if finding.required else "[yellow]optional[/]"
        advice = "" if finding.fine else escape(finding.advice)
        table.add_row(mark, escape(finding.what), escape(finding.found), advice)
        broken |= finding.required and not finding.fine
    console.print(table)
    if broken:
        raise typer.Exit(1)


def _show(release: Release, rule_set: RuleSet) -> None:
    """Print a release's labels and rejections."""
    counts = releases.label_counts(release, rule_set)
    splits = list(rule_set.splits.model_dump())
    table = Table(title=f"Release {release.number}")
    for name in ("Label", "Pairs", *splits, "Goal"):
        table.add_column(name, justify="left" if name == "Label" else "right")
    for label in rule_set.labels:
        by_split = [counts[label.name].get(split, 0) for split in splits]
        table.add_row(escape(label.name), *(f"{n:,}" for n in (sum(by_split), *by_split, label.size)))
    console.print(table)
    rejected = Table("Unit", "Stage", "Reason", "Meaning", title="Left out")
    rejected.add_column("Rows", justify="right")
    rows = pq.read_table(release.folder / "rejections.parquet", columns=["unit", "stage", "reason"])
    grouped = rows.group_by(["unit", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist()
    for row in sorted(grouped, key=lambda row: (row["unit"], list(REASONS).index(row["reason"]))):
        meaning = REASONS[row["reason"]][1]
        rejected.add_row(row["unit"], row["stage"], row["reason"], meaning, f"{row['count_all']:,}")
    console.print(rejected)


def main() -> None:
    """Run the command; what a person wrote wrongly is told in one message, with exit code 2."""
    try:
        app()
    except ConfigurationError as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
