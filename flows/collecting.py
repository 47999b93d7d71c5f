"""The commands about the web: sources, ingest, retry, remove."""

import importlib.util
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from curation.errors import PARKED
from flows import settings
from flows.terminal import (
    FAILED_EXIT_CODE,
    HomeOption,
    QuotaOption,
    RulesOption,
    console,
    home_of,
    last_build,
    last_ingest,
    quota_bytes_of,
    remember_build,
    remember_ingest,
    say,
    stoppable,
    table,
)
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than a command that only looks
    from rich.table import Table

    from curation.errors import ItemError
    from curation.ingest import Forecast, Ingested
    from curation.removal import PublishedCopy, Removal
    from curation.sources import Need, WebSource
    from curation.store import Home
    from rules.schema import RuleSet

PACKAGES = ("aiohttp", "aiolimiter", "protego", "tenacity")  # of the client that asks the web, whatever the source
STOPPED = "Stopped. What was fetched stays; the same command goes on from here."

SourcesArgument = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE[:PLACE]...", help="wikiart, kaggle and so on; `artune sources` lists them."),
]

app = typer.Typer()


@app.command()
def sources(rules_name: RulesOption = None, home: HomeOption = None) -> None:
    """Tell what each source needs and whether it is ready, how fast it is asked, and whose terms hold. Asks no site."""
    import rules
    from curation import sources

    rule_set = rules.load(rules_name or last_build(home_of(home))[1])
    modules = {name: sources.get(name) for name in sources.names()}
    web = {name: sources.get_web(name) for name, module in modules.items() if sources.is_web(module)}
    local = ((name, module.HOMEPAGE, module.LICENSE) for name, module in modules.items() if name not in web)
    console.print(_web_table(web, rule_set))
    console.print(table("On this machine", ("Source", "From", "License"), local))
    for need in common_needs():
        if not need.ready:
            console.print(f"All sources of the web: {need.advice}", style="yellow", markup=False, soft_wrap=True)


def _web_table(modules: "dict[str, WebSource]", rule_set: "RuleSet") -> "Table":
    rows = (
        (
            name,
            "yes" if all(need.ready for need in (*common_needs(), *module.needs()) if need.required) else "no",
            str(len(rule_set.queries(name))),
            "\n".join(map(_state, module.needs())),
            "\n".join(f"{host} {rate:g}" for host, rate in module.RATES.items()),
            f"{module.LICENSE}\n{module.TERMS}",
        )
        for name, module in modules.items()
    )
    columns = ("Source", "Ready", f">Lists of {rule_set.name}", "Needs", "Requests a second", "License and terms")
    made = table("On the web", columns, rows)
    made.show_lines = True
    return made


def _state(need: "Need") -> str:
    if need.ready:
        return f"{need.what}: ready"
    return f"{need.what}: missing{'' if need.required else ', optional'}; {need.advice}"


def common_needs() -> Iterator["Need"]:
    """Yield what every source of the web needs."""
    from curation.sources import Need

    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    advice = f"{', '.join(missing)} missing: pip install --constraint constraints.txt --editable '.[sources]'"
    yield Need("the extra `sources`", not missing, advice=advice)
    try:
        settings.web()
    except ConfigurationError as error:
        yield Need("ARTUNE_CONTACT", False, advice=str(error))
    else:
        yield Need("ARTUNE_CONTACT", True)


@app.command()
def ingest(
    source: SourcesArgument,
    rules_name: RulesOption = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="Only for this label; may be given again.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Items to fetch of each source at most.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the lists and count; fetch no media.")] = False,
    quota: QuotaOption = None,
    home: HomeOption = None,
) -> None:
    """Fetch from the web what is new in the lists that the rule set names. Runs as a Prefect flow.

    Stopped at any moment, the same command goes on from there. Exit code 3 if nothing at all could be had.
    """
    import rules
    from curation import releases

    place, quota_bytes, labels = home_of(home), quota_bytes_of(quota), label or []
    rules_name = rules_name or last_build(place)[1]
    rule_set = rules.load(rules_name)
    _refuse_missing()
    _announce(source, rule_set, labels, limit, quota_bytes)
    if dry_run:
        _forecast(place, source, rule_set, labels, limit)
        return
    remember_ingest(place, source, rules_name)
    with stoppable(STOPPED):
        settings.quiet_prefect()
        from flows import ingest as ingest_flow

        done = ingest_flow.run(place.root, source, rules_name, labels=labels, limit=limit, quota_bytes=quota_bytes)
    _present(place, done, rule_set)
    if any(one.ended.fetched for one in done):
        if not releases.numbers(place):  # before the first build, `artune status` and `artune build` are about this
            remember_build(place, _with_items(place), rules_name)
        options = [part for name in source for part in ("--source", name)] + ["--rules", rules_name]
        options += ["--home", home] if home else []
        say(f"Build with it:  artune build {shlex.join(options)}")
    _fail_if_all_failed(done)


@app.command()
def retry(
    source: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE[:PLACE]...]", help="All that were ingested if there is none.")
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option("--reason", metavar="R", help="Only what failed for this reason, whichever; may be given again."),
    ] = None,
    quota: QuotaOption = None,
    home: HomeOption = None,
) -> None:
    """Fetch again what failed for a reason of the moment: a busy or broken server, a cut line.

    Exit code 3 if nothing at all could be had.
    """
    import rules

    place, quota_bytes = home_of(home), quota_bytes_of(quota)
    last, _ = last_ingest(place)
    named = [last.get(name, name) for name in source or _ingested(place)]
    if not named:
        raise ConfigurationError(f"{place.root}: nothing was ingested yet; `artune ingest` does that")
    _refuse_missing()
    with stoppable(STOPPED):
        settings.quiet_prefect()
        from flows import ingest as ingest_flow

        done = ingest_flow.run_retry(place.root, named, reasons=reason or sorted(PARKED), quota_bytes=quota_bytes)
    if not any(one.ended.count or one.waiting for one in done):
        console.print("Nothing to try again.")
    else:
        _present(place, done, rules.load(last_build(place)[1]))
    _fail_if_all_failed(done)


def _ingested(home: "Home") -> list[str]:
    """Return the names of the sources of which lists were read."""
    return sorted(folder.name for folder in (home.root / "found").glob("*"))


def _with_items(home: "Home") -> list[str]:
    """Return the sources of the web of which something was tried, as they were named."""
    last, _ = last_ingest(home)
    return [last.get(name, name) for name in _ingested(home) if any(home.items(name).glob("*.parquet"))]


def _refuse_missing() -> None:
    """Refuse before any work what no source of the web can do without; the sources tell of their own needs."""
    missing = [need for need in common_needs() if not need.ready]
    if missing:
        raise ConfigurationError("\n".join(need.advice for need in missing))


def _announce(
    named: Sequence[str], rule_set: "RuleSet", labels: Sequence[str], limit: int | None, quota_bytes: int | None
) -> None:
    """Say what is going to be asked; raise what a person has to mend first."""
    from curation.ingest import asked

    jobs = asked(named, rule_set, labels)
    lists = ", ".join(f"{job.name} {len(job.queries):,}" for job in jobs)
    say(f"Lists of {rule_set.name}: {lists}.")
    bounds = [f"for {', '.join(labels)}"] if labels else []
    bounds += [f"at most {limit:,} items of each source"] if limit else []
    bounds += [f"at most {quota_bytes / 1e9:,.1f} GB of media in all"] if quota_bytes else []
    if bounds:
        say(f"Only {'; '.join(bounds)}.")


def _forecast(
    home: "Home", named: Sequence[str], rule_set: "RuleSet", labels: Sequence[str], limit: int | None
) -> None:
    from datetime import UTC, datetime

    from rich.console import Console

    from curation import ingest
    from flows.progress import bars, in_threads

    with bars(Console(stderr=True)) as shown:
        means = ingest.Means(settings.web(), in_threads(shown, 2 * len(named)), lambda: datetime.now(UTC))
        found, failed = ingest.dry_run(home, named, rule_set, means, labels=labels, limit=limit)
    columns = ("Source", "Label", ">Found", ">Known", ">New", ">Refused")
    console.print(table("What an ingest would find", columns, map(_forecast_row, found)))
    _show_failures({(each.query.source, each.query.name): each.failure for each in failed if each.failure})
    console.print("Nothing was fetched. An item that is good for several labels counts for each.")
    if limit is not None:
        console.print("With a limit, a list is read only as far as the limit needs: it may hold more.")
    if failed and not any(one.found for one in found):
        raise typer.Exit(FAILED_EXIT_CODE)


def _forecast_row(one: "Forecast") -> tuple[str, ...]:
    counts = (one.found, one.known, one.new, one.refused)
    return one.source, one.label or "(any)", *(f"{count:,}" for count in counts)


def _present(home: "Home", done: "Sequence[Ingested]", rule_set: "RuleSet") -> None:
    """Print what came of each source, what stands now, and what went wrong."""
    from flows.ingest import COLUMNS, rows

    console.print(table("This time", COLUMNS, rows(done)))
    show_tally(home, rule_set, [one.source for one in done])
    _show_failures({(one.source, name): error for one in done for name, error in one.failures.items()})
    for sentence in dict.fromkeys(one.ended.stopped for one in done if one.ended.stopped):
        console.print(f"Stopped early: {sentence}.", style="yellow", markup=False, soft_wrap=True)
    if any(reason in PARKED for one in done for reason in one.ended.failed):
        console.print("What failed for a reason of the moment is parked: `artune retry` tries it again.")


def show_tally(home: "Home", rule_set: "RuleSet", sources: Sequence[str] = ()) -> None:
    """Print what was found, fetched and refused for each source and label, and what the labels still lack.

    Args:
        home: the work folder.
        rule_set: whose labels are told.
        sources: only these; all without one.
    """
    from curation.tally import tally

    tallies, wanted = tally(home, rule_set)
    tallies = [one for one in tallies if one.found and (not sources or one.source in sources)]
    if not tallies:
        return
    columns = ("Source", "Label", ">Found", ">Fetched", "Rejected", ">Waiting")
    of_each = (
        (
            one.source,
            one.label or "(any)",
            f"{one.found:,}",
            f"{one.fetched:,}",
            ", ".join(f"{reason} {count:,}" for reason, count in sorted(one.rejected.items())),
            f"{one.waiting:,}",
        )
        for one in tallies
    )
    console.print(table("Collected", columns, of_each))
    lacking = [(one.label, f"{one.pictures:,}", f"{one.clips:,}") for one in wanted if one.pictures or one.clips]
    if lacking:
        console.print(table("Still wanted", ("Label", ">Pictures", ">Clips"), lacking))


def _show_failures(failures: "dict[tuple[str, str], ItemError]") -> None:
    if failures:
        rows = ((*named, f"{error.reason}: {error.detail}", _when(error.reason)) for named, error in failures.items())
        console.print(table("Lists that could not be read to their end", ("Source", "List", "Why", "Again"), rows))


def _when(reason: str) -> str:
    return "later, by the same command" if reason in PARKED else "not before the list or the site changed"


def _fail_if_all_failed(done: "Sequence[Ingested]") -> None:
    """End with an exit code of its own if nothing could be had from any source."""
    tried = [one for one in done if one.lists or one.ended.count]
    if tried and all(map(_failed, tried)):
        raise typer.Exit(FAILED_EXIT_CODE)


def _failed(one: "Ingested") -> bool:
    """Say whether all lists of a source failed, or else all items that were tried."""
    return not one.ended.fetched and (sum(one.ended.failed.values()) > 0 or 0 < one.lists == len(one.failures))


@app.command()
def remove(
    item: Annotated[str, typer.Argument(metavar="ID", help="source:source_id, a source_id, or a sha256 or its start.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Who asked for it, and why.")],
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete its media and measurements too, in local releases as well.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Carry out a removal request: the item, its bytes and its likeness are refused from now on, whatever the source.

    It leaves the next release and never comes back.
    """
    from curation import removal

    done = removal.remove(home_of(home), item, because, purge=purge)
    for line in _told(done):
        say(line)


def _told(done: "Removal") -> Iterator[str]:
    yield f"{done.name} is refused from now on: {done.because}"
    if done.again:
        yield "Its removal was asked for before; the reason is that of the first time."
    if not done.known:
        yield "Nothing of that name was ever collected."
    if done.twins:
        yield f"The same bytes, refused too: {', '.join(done.twins)}"
    for held in done.held_by:
        media = ", its media are deleted" if held.purged else ""
        yield f"Release {held.release} ({held.data_set}) holds it in {held.pairs:,} pairs{media}."
    for copy in done.published:
        yield from _told_of_copy(copy)
    if done.purged:
        gone = done.purged
        yield (
            f"Deleted: {gone.blobs:,} files with {gone.size_bytes / 1e6:,.1f} MB, {gone.measurements:,} measurements, "
            f"{gone.item_rows:,} rows of items, {gone.partial_files:,} partial files, {gone.archives:,} archives."
        )
    if done.held_by:
        yield "The next release is without it: `artune build`. Whoever copied one of these by hand has to be told."
    if done.published:
        yield "Publish that release at these places too: whoever names no version there loads it without the item then."


def _told_of_copy(copy: "PublishedCopy") -> Iterator[str]:
    record = copy.record
    name = f"{record.where} {record.version}"
    if copy.pairs is None:
        yield f"{name} was made from a release that is removed here: whether it holds the item cannot be told."
    else:
        yield f"{name} was published with it, in {copy.pairs:,} pair{'s' * (copy.pairs != 1)}."
    if record.endpoint is None:
        yield f"Nothing deletes it there but you: remove the folder {record.version} of {record.where}."
        return
    command = shlex.join(("hf", "repos", "tag", "delete", record.where, record.version, "--type", "dataset"))
    elsewhere = "" if record.endpoint == settings.HUB else f"HF_ENDPOINT={shlex.quote(record.endpoint)} "
    yield f"Nothing deletes it there but you: {elsewhere}{command}"
    squash = f"HfApi().super_squash_history({record.where!r}, repo_type='dataset')"
    yield f"Commits of before stay readable until you squash the history of main: {squash}"
