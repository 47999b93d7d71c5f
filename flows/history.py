"""The commands that look back: releases, explain, verify; and gc, which removes what is past."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape

from flows import settings
from flows.terminal import HomeOption, ReleaseOption, RulesOption, console, home_of, is_terminal, last_build, table
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than the command itself
    from rich.table import Table

    from curation.explaining import Explanation, Held, Refused
    from curation.history import Garbage, Summary
    from curation.publishing.records import Record
    from rules.schema import RuleSet

T = TypeVar("T")

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="Write it as JSON.")]


@app.command()
def releases(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the releases: what made each, what it holds, and the disk that it takes beside its parent."""
    from dataclasses import asdict

    from curation import history

    place = home_of(home)
    found = history.summaries(place)
    claims = [claim.stem for claim in history.unfinished(place)]
    if as_json:
        _print_json(
            {"releases": [asdict(summary) for summary in found], "unfinished": [int(claim) for claim in claims]}
        )
        return
    if not found:
        console.print(f"{escape(str(place.root))} has no release yet; `artune build` makes one.", soft_wrap=True)
    else:
        console.print(_releases_table(found))
    for claim in claims:
        console.print(f"Release {claim} is claimed and not finished; the same command goes on with it.")


def _releases_table(found: "Sequence[Summary]") -> "Table":
    from rich.table import Table

    table = Table()
    published = ("Published",) if any(row.published for row in found) else ()
    for name in ("", "Made by", "Pairs", "Splits", "Labels", "Items", "Rules, seed", "MB", "shared", *published):
        if name in ("Made by", "Rules, seed", "Published"):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in found:
        table.add_row(
            str(row.release),
            row.made_by + (f" (after {row.parent})" if row.parent else ""),
            f"{sum(row.pairs.values()):,}",
            "/".join(f"{row.pairs.get(split, 0):,}" for split in ("train", "validation", "test")),
            f"{row.labels_with_pairs}/{row.labels}",
            f"{row.items:,}",
            escape(f"{row.rule_set} {row.digest[:8]}, {row.seed}"),
            f"{row.size_bytes / 1e6:,.0f}",
            f"{row.shared_bytes / 1e6:,.0f}",
            *(["\n".join(_published(record) for record in row.published)] if published else ()),
        )
    return table


def _published(record: "Record") -> str:
    return escape(record.where) + ("" if record.verified else " (not verified)")


@app.command()
def verify(release: ReleaseOption = None, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Read every byte and compare it with its hash. Exit code 1 if something is broken; nothing is changed.

    Without --release also the blobs, the tables of items and measurements, and the claims.
    """
    from dataclasses import asdict

    from rich.console import Console

    from curation import verifying
    from flows.progress import bars, in_threads

    place = home_of(home)
    with bars(Console(stderr=True)) as shown:
        faults = verifying.verify(place, in_threads(shown, settings.from_environment().workers), release)
    if as_json:
        _print_json([asdict(fault) for fault in faults])
    elif faults:
        rows = ((fault.path, f"{fault.what}: {fault.detail}", fault.advice) for fault in faults)
        console.print(table(f"{len(faults)} faults", ("File", "Fault", "What to do"), rows))
    else:
        console.print("All is as it was written.")
    if faults:
        raise typer.Exit(1)


@app.command()
def gc(
    keep: Annotated[int, typer.Option("--keep", min=1, metavar="N", help="How many releases of a data set stay.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = None,
) -> None:
    """Remove all but the last releases, and what only they needed. What they decided stays known, and their numbers."""
    from contextlib import nullcontext

    from curation import history
    from curation.releases import numbers

    place = home_of(home)
    if not dry_run and not yes and not is_terminal():
        raise ConfigurationError("gc: expected --yes, for nobody can be asked here; --dry-run tells what would go")
    if not numbers(place):
        raise ConfigurationError(f"{place.root} has no release yet; `artune build` makes one")
    with nullcontext() if dry_run else history.alone(place):
        found = history.garbage(place, keep)
        amounts = found.amounts(place)
        if not any(count for count, _ in amounts.values()):
            console.print("Nothing to remove.")
            return
        console.print(_garbage_table(found, amounts))
        if dry_run:
            return
        if not yes and not typer.confirm("Remove all this?"):
            raise typer.Exit(1)
        history.remove(place, found)
    console.print(f"{sum(size for _, size in amounts.values()) / 1e6:,.1f} MB are free again.")


def _garbage_table(found: "Garbage", amounts: Mapping[str, tuple[int, int]]) -> "Table":
    which = f"releases {', '.join(map(str, found.releases))}"
    rows = (
        (which if kind == "releases" else kind, f"{count:,}", f"{size_bytes / 1e6:,.1f}")
        for kind, (count, size_bytes) in amounts.items()
    )
    return table("", ("What goes", ">Number", ">MB"), rows)


@app.command()
def explain(
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="source:source_id, a source_id, a sha256 or its start, or a pair_id.")
    ],
    rules_name: RulesOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell everything about an item: its tags, every rule that was tried on it, its kin, its fate in all releases."""
    from dataclasses import asdict

    import rules
    from curation import explaining

    place = home_of(home)
    rule_set = rules.load(rules_name or last_build(place)[1])
    found = explaining.explain(place, rule_set, item)
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    for one in found:
        _show(one, rule_set)


def _show(one: "Explanation", rule_set: "RuleSet") -> None:
    for line in _head(one):
        console.print(line, highlight=False)
    if one.overrides:
        rows = ((part.action, part.value, part.why, part.where) for part in one.overrides)
        console.print(table("Overrides", ("What", "", "Why", "Where"), rows))
    console.print(_tags_table(one))
    if one.trials:
        console.print(_trials_table(one, rule_set.name))
    if one.kin:
        console.print(table("Belongs with", ("Item", "Link"), ((kin.name, kin.link) for kin in one.kin)))
    console.print(_fates_table(one))


def _head(one: "Explanation") -> Iterator[str]:
    item, measured = one.item, one.measured or {}
    yield f"[bold]{escape(one.name)}[/]"
    yield escape(" · ".join(str(item[key]) for key in ("title", "creator", "year", "license") if item[key]))
    if item["sha256"]:
        size = "" if item["size_bytes"] is None else f"{item['size_bytes']:,} bytes, "  # None where it was purged
        yield f"{item['modality']}, {size}sha256 {item['sha256']}"
    for request in one.removals:
        yield f"[red]its removal was asked for[/] on {request.asked_at[:10]}: {escape(request.because)}"
    if item["reason"] or measured.get("reason"):
        told = item if item["reason"] else measured
        yield f"[red]refused: {told['reason']}[/] {escape(told['detail'] or '')}"
    elif item["modality"] == "image" and measured:
        hashed = f"perceptual hash {measured['phash']:016x}"
        yield f"{measured['width_px']:,} x {measured['height_px']:,} px, {hashed}"
    elif measured:
        yield f"{measured['duration_s']:,.1f} s, {len(measured['windows'])} clips could be cut"


def _tags_table(one: "Explanation") -> "Table":
    rows = ((tag.kind, tag.value, tag.origin, f"{tag.confidence:.2f}") for tag in one.tags)
    return table("Tags", ("Kind", "Value", "From", "Confidence"), rows)


def _trials_table(one: "Explanation", rule_set_name: str) -> "Table":
    """Return a row for each step of each rule."""
    rows = (
        ("fits" if trial.holds else "", trial.label if not number else "", "yes" if holds else "no", text)
        for trial in one.trials
        for number, (text, holds) in enumerate(trial.steps)
    )
    return table(f"Rules of {rule_set_name}", ("", "Label", "Holds", "Because"), rows)


def _fates_table(one: "Explanation") -> "Table":
    """Return a row for each image and clip; releases that say the same share it."""
    rows: list[tuple[str, ...]] = []
    for (held, refused), found in groupby(one.fates, key=lambda fate: (fate.held, fate.refused)):
        numbers = [fate.release for fate in found]
        number = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        rows += [(number, *_held(part)) for part in held] + [(number, *_refused(part)) for part in refused]
        if not held and not refused:
            rows.append((number, "", "not there", ""))
    return table("Releases", ("", "What", "Label and split", "Told"), rows)


def _held(part: "Held") -> tuple[str, str, str]:
    what = "picture" if part.start_s is None else f"clip at {part.start_s:g} s"
    if not part.pair_id:
        return what, part.split, f"in no pair, but held since release {part.since}: its split is for life"
    return what, f"{part.label}, {part.split}", f"with {part.partner}\npair {part.pair_id}"


def _refused(part: "Refused") -> tuple[str, str, str]:
    what = part.unit if part.start_s is None else f"clip at {part.start_s:g} s"
    told = "; ".join(filter(None, (part.detail, part.kept and f"{part.kept} stays")))
    return what, f"left out: {part.reason} ({part.stage})", told


def _print_json(value: object) -> None:
    # sys.stdout: rich would wrap long lines; a moment without a time zone is no moment, so text is told as ISO 8601
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")
