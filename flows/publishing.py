"""The commands about what others load: publish, rehydrate."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flows import settings
from flows.terminal import (
    FAILED_EXIT_CODE,
    HomeOption,
    QuotaOption,
    ReleaseOption,
    console,
    home_of,
    is_terminal,
    patient,
    quota_bytes_of,
    say,
    stoppable,
    table,
)
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than a command that only looks
    from curation.publishing.lawful import Chosen
    from curation.publishing.outcome import Outcome
    from curation.rehydrating.result import Rehydrated
    from curation.releases import Release
    from curation.store import Home

STOPPED = "Stopped. What was sent stays; the same command goes on from here."
STOPPED_REHYDRATING = "Stopped. What was fetched stays; the same command goes on from here."
DONE, WOULD = ("Published", "Sent", "Deleted"), ("Would publish", "Would send", "Would delete")
MAX_NAMED = 5  # files in a sentence

WhereArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHERE", help="owner/name on the Hugging Face Hub, a folder (./shelf), or s3://bucket/folder."
    ),
]

app = typer.Typer()


@app.command()
def publish(
    where: WhereArgument,
    release: ReleaseOption = None,
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is not there yet is for its owner only.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be sent; send nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Publish a release as version vN, as far as licenses allow, load it back, and compare.

    Runs as a Prefect flow. Sends only what is not there yet; readers see all of a version or nothing. Stopped at any
    moment, the same command goes on from there. The token is what `hf auth login` left, or HF_TOKEN.
    Exit code 3 if the Hub was busy.
    """
    settings.prepare_hub()
    from curation.publishing import lawful, places, publication

    where = places.whole(where)
    if private and not places.is_hub(where):
        raise ConfigurationError(f"--private: {where} is no repository on the Hub, and only these can be private")
    place = home_of(home)
    found = _chosen(place, release)
    with stoppable(STOPPED), patient():
        chosen = lawful.choose(place, found)
        if dry_run:
            _show_licenses(chosen)
            _forecast(place, found, where)
            return
        there = publication.check(place, found, where)
        if there and publication.is_verified(place, there):
            say(f"Nothing to do: {_named(there)} is published already.")
            _show_loading(there)
            return
        _show_licenses(chosen)
        settings.quiet_prefect()
        from flows import publish as publish_flow

        outcome = publish_flow.run(place.root, where, found.number, private=private)
    _present(outcome)


def _chosen(home: "Home", number: int | None) -> "Release":
    from curation import releases

    found = releases.latest(home) if number is None else releases.get(home, number)
    if found is None:
        raise ConfigurationError(f"{home.root} has no release yet; `artune build` makes one")
    return found


def _show_licenses(chosen: "Chosen") -> None:
    rows = ((one.license, one.use, f"{one.pictures:,}", f"{one.clips:,}") for one in chosen.licenses)
    console.print(table("What the rule set says of licenses", ("License", "Use", ">Pictures", ">Clips"), rows))


def _forecast(home: "Home", release: "Release", where: str) -> None:
    from rich.console import Console

    from curation.publishing import publication
    from flows.progress import bars, in_threads

    with bars(Console(stderr=True)) as shown:
        outcome = publication.dry_run(home, release, where, in_threads(shown, 1))
    if not outcome.is_new:
        say(f"Nothing to do: {_named(outcome)} is published already.")
        return
    for line in _told(outcome, is_done=False):
        say(line)
    say("Nothing was sent.")


def _present(outcome: "Outcome") -> None:
    if outcome.is_new:
        for line in _told(outcome, is_done=True):
            say(line)
    else:
        say(f"{_named(outcome)} was published already, and not looked at since.")
    say("Loaded back, and found to be what was sent.")
    _show_loading(outcome)


def _named(outcome: "Outcome") -> str:
    """Return what tells one publication from all others."""
    manifest = outcome.manifest
    commit = f" (commit {outcome.commit[:12]})" if outcome.commit else ""
    return f"release {manifest.release} of {manifest.data_set} as {outcome.version} of {outcome.where}{commit}"


def _told(outcome: "Outcome", *, is_done: bool) -> Iterator[str]:
    """Yield what a publication did, or would do."""
    publishes, sends, deletes = DONE if is_done else WOULD
    yield (
        f"{publishes} {_named(outcome)}: {outcome.embedded:,} pairs with their media, {outcome.referenced:,} as "
        f"references only; {outcome.excluded:,} are left out."
    )
    all_bytes = sum(file.size_bytes for file in outcome.manifest.files.values())
    share = f" of {all_bytes / 1e6:,.1f} MB, {outcome.sent_bytes / all_bytes:.1%}" if all_bytes else ""
    yield f"{sends} {len(outcome.sent_files):,} files with {outcome.sent_bytes / 1e6:,.1f} MB{share}."
    if outcome.deleted:
        yield f"{deletes}, for no row is left in them: {_files(outcome.deleted)}"
    if outcome.replaced:
        yield f"Changed there by somebody, and artune's again: {_files(outcome.replaced)}"
    if outcome.left_alone:
        yield f"Not artune's, so left alone: {_files(outcome.left_alone)}"
    if outcome.hand_edited:
        yield "Somebody edited the card there: that text stays; only what stands between artune's markers is new."
    if outcome.tables_left_out:
        yield f"Tables that the card there has no markers for: {_files(outcome.tables_left_out)}"


def _files(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _show_loading(outcome: "Outcome") -> None:
    """Print how anybody loads a publication, and where to look at it."""
    from curation.publishing import places, publication

    call = f'"{outcome.location}"'
    if places.is_hub(outcome.where):
        call += f', revision="{outcome.version}"'
    elif "://" in outcome.location:  # `datasets` reads the card of a folder here and of the Hub only
        splits = [split for split, pairs in outcome.manifest.pairs["default"].items() if pairs]
        files = (f'"{split}": "{outcome.location}/data/{split}-*.parquet"' for split in splits)
        call = f'"parquet", data_files={{{", ".join(files)}}}, streaming=True'
    say(f"Load it:  datasets.load_dataset({call})")
    say(f"Look at it:  {publication.homepage(outcome)}")


@app.command()
def rehydrate(
    where: WhereArgument,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="vN", help="Version; the last one without it.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="NAME:PLACE",
            help="Where a source that is no site lies here: folder:PATH; give it again for another.",
        ),
    ] = None,
    quota: QuotaOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: write the release without what is missing.")] = False,
    home: HomeOption = None,
) -> None:
    """Fetch again what a publication only refers to, check each hash, and write its release into the work folder.

    Runs as a Prefect flow. Stopped at any moment, the same command goes on from there. Exit code 3 if nothing could be
    had, or not now.
    """
    settings.prepare_hub()
    from curation import rehydrating
    from curation.publishing import places

    where, place, named, quota_bytes = places.whole(where), home_of(home), source or [], quota_bytes_of(quota)
    with stoppable(STOPPED_REHYDRATING), patient():
        done = rehydrating.check(place, where, revision=revision, named=named)
        if done is None:
            settings.quiet_prefect()
            from flows import rehydrate as flow

            done = flow.run(place.root, where, revision=revision, named=named, quota_bytes=quota_bytes, may_lack=yes)
        _show_yield(done)
        if done.release is None and _says_yes():
            done = _finished(place, done)
    _conclude(done)


def _finished(home: "Home", done: "Rehydrated") -> "Rehydrated":
    """Write a release without what may be had later; nothing is asked for again."""
    from datetime import UTC, datetime

    from rich.console import Console

    from curation import rehydrating
    from flows.progress import bars, in_threads

    with bars(Console(stderr=True)) as shown:
        each = in_threads(shown, settings.from_environment().workers)
        means = rehydrating.Means(settings.web, each, lambda: datetime.now(UTC))
        return rehydrating.finish(home, done, means)


def _show_yield(done: "Rehydrated") -> None:
    """Print what became of the two sides of all pairs."""
    from curation.rehydrating import result

    console.print(table(f"The yield of {done.publication.name}", result.COLUMNS, done.rows()))
    if done.stopped:
        console.print(f"Stopped early: {done.stopped}.", style="yellow", markup=False, soft_wrap=True)


def _says_yes() -> bool:
    """Ask whether a release without what may be had later is wanted; where nobody can be asked, it is not."""
    return is_terminal() and typer.confirm("Write the release without what may be had later?")


def _conclude(done: "Rehydrated") -> None:
    """Say what there is now, and what is missing and how to get it; nothing at all has an exit code of its own."""
    from curation.rehydrating.writing import TABLE

    number, release = done.publication.manifest.release, done.release
    if release is None:
        say(
            f"{done.waiting:,} sides may be had later: the same command tries them again; with --yes it writes release "
            f"{number} without them."
        )
        raise typer.Exit(FAILED_EXIT_CODE)
    if not done.is_new:
        say(f"Nothing to do: release {number} was made of {done.publication.name} already.")
    pairs = f"{done.kept:,} of {done.published:,} pairs"
    say(f"Release {number} holds {pairs}; the media of {done.embedded:,} came with the publication.")
    if done.kept < done.published:
        say(f"What the others lack, and why: {release.folder / TABLE}")
    say(f'Load it:  datasets.load_dataset("{release.folder}")')
