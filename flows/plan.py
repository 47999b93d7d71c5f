"""The commands that compare: plan, what a build would change; and diff, what differs between two releases."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.terminal import HomeOption, RulesOption, SourceOption, console, home_of, last_build, listing_of
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than the command itself
    from rich.table import Table

    from curation.changes import Changes, Flow, LabelChange, Transition
    from curation.planning import Plan
    from curation.releases import Release
    from curation.store import Home

TRANSITIONS_SHOWN, CAUSES_SHOWN, EXAMPLES_SHOWN = 8, 3, 2

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="Write everything as JSON.")]
ItemsOption = Annotated[bool, typer.Option("--items", help="List every picture and clip that changes, and why.")]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with the pictures that come, go and move."),
]


@app.command()
def plan(
    source: SourceOption = None,
    rules_name: RulesOption = None,
    home: HomeOption = None,
    items: ItemsOption = False,
    as_json: JsonOption = False,
    html: HtmlOption = None,
) -> None:
    """Tell what `artune build` would change, and why. Nothing is written into the work folder.

    Exit code 0 if nothing would change, 2 if something would.
    """
    import rules
    from curation import planning

    place = home_of(home)
    rule_set = rules.load(rules_name or last_build(place)[1])
    found = planning.plan(place, listing_of(place, rule_set.name, source), rule_set)
    if html:
        from curation import plan_page

        if html.is_dir() or not html.absolute().parent.is_dir():
            raise ConfigurationError(f"--html {html}: expected a file in a folder that exists")
        plan_page.write(html, found, place)
    if as_json:
        _print_json(_facts(found))
    else:
        _show_plan(found)
        if not source:
            _print("The items are those of the last build; with --source, what is new or gone there is seen too.")
        if items:
            _show_items(found.changes)
        if html:
            console.print(f"Look at it:  {html.absolute().as_uri()}", soft_wrap=True, markup=False)
    if found.changes_something:
        raise typer.Exit(2)


def show(home: "Home", sources: list[str], rules_name: str) -> None:
    """Print what a build would change."""
    import rules
    from curation import collect, planning

    _show_plan(planning.plan(home, collect.list_sources(home, sources), rules.load(rules_name)))


@app.command()
def diff(
    first: Annotated[int, typer.Argument(metavar="N", help="Release.")],
    second: Annotated[int, typer.Argument(metavar="M", help="Another release of the same data set.")],
    home: HomeOption = None,
    items: ItemsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what differs between two releases, and why; a label that was renamed is the same label."""
    from curation import changes, releases

    place = home_of(home)
    one, two = releases.get(place, first), releases.get(place, second)
    found = changes.between(one, two)
    labels = changes.labels(found, two.manifest["labels"])
    if as_json:
        _print_json({"from": first, "to": second, **_facts_of(found, labels)})
        return
    show_difference(one, two)
    if items:
        _show_items(found)


def show_difference(first: "Release", second: "Release") -> None:
    """Print what differs between two releases."""
    from curation import changes

    found = changes.between(first, second)
    _print(f"Release {second.number} has {_pairs(found, f'release {first.number}')}")
    _show(found, changes.labels(found, second.manifest["labels"]), goals={})


def _facts(found: "Plan") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "release": found.number,
        "parent": found.parent.number if found.parent else None,
        "rule_set": {"name": found.rule_set.name, "digest": found.rule_set.digest},
        "changes_something": found.changes_something,
        "goals": {label.name: label.size for label in found.rule_set.labels},
        "lost_to_memory": found.lost_to_memory,
        "uncollected": found.uncollected,
        "unmeasured": found.unmeasured,
        "warnings": found.warnings,
        "sending": asdict(found.sending) | {"total_bytes": found.sending.total_bytes},
        **_facts_of(found.changes, found.labels),
    }


def _facts_of(found: "Changes", labels: "Sequence[LabelChange]") -> dict[str, Any]:
    from dataclasses import asdict

    from curation import changes

    everything = len(found.items)
    ways, _ = changes.transitions(found, everything, everything, EXAMPLES_SHOWN)
    return {
        "pairs": {"before": len(found.before), "after": len(found.after), **asdict(found.pairs)},
        "reworded_pairs": found.reworded.to_pylist(),
        "labels": [asdict(label) for label in labels],
        "transitions": [asdict(way) for way in ways],
        "items": found.items.to_pylist(),
    }


def _print_json(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))


def _print(text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _pairs(found: "Changes", other: str) -> str:
    """Say how many pairs there are, after "has" or "would have"."""
    before, after, counts = len(found.before), len(found.after), found.pairs
    than = f"as many as {other}" if before == after else f"{abs(after - before):,} {_more(after - before)} than {other}"
    return f"{after:,} pairs, {than}: {counts.kept:,} kept, {counts.new:,} new, {counts.ended:,} ended."


def _more(number: int) -> str:
    return "more" if number > 0 else "fewer"


def _show_plan(found: "Plan") -> None:
    changes, sending = found.changes, found.sending
    if found.parent is None:
        _print(
            f"Release {found.number} would be the first of {found.rule_set.name}, with {len(changes.after):,} pairs."
        )
    elif changes.is_empty:
        _print(f"Nothing that release {found.parent.number} holds would change: {len(changes.after):,} pairs.")
        if found.rule_set.digest != found.parent.manifest["rule_set"]["digest"]:
            _print("The rules differ all the same: a build would write a release of the same pairs.")
    else:
        _print(f"Release {found.number} would have {_pairs(changes, f'release {found.parent.number}')}")
    _show_renamed(found)
    if not changes.is_empty:
        rows = f"{sending.rows:,} row" + "s" * (sending.rows != 1)
        _print(
            f"A publication would send {rows}, about {_size(sending.total_bytes)}: "
            f"{_size(sending.new_media_bytes)} of new pictures and clips, {_size(sending.other_bytes)} around them."
        )
    for count, what in ((found.uncollected, "collected"), (found.unmeasured, "measured with these settings")):
        if count:
            _print(
                f"{count:,} items are not {what} yet: `artune build` does that, and the plan is without them.", "yellow"
            )
    _show(changes, found.labels, {label.name: label.size for label in found.rule_set.labels})
    if found.lost_to_memory:
        _print(f"\nWhat was released keeps its place. {_cost(found.lost_to_memory)}")
    for warning in found.warnings:
        _print(f"Mind: {warning}", "yellow")


def _show_renamed(found: "Plan") -> None:
    names = found.parent.manifest["labels"] if found.parent else ()
    for before, now in zip(names, found.rule_set.numbering, strict=False):
        if before != now:
            _print(f"{before} is called {now} from now on.")


def _cost(lost: dict[str, int]) -> str:
    first = ", ".join(f"{name} {count:,}" for name, count in sorted(lost.items(), key=lambda x: (-x[1], x[0]))[:5])
    more = f" and {len(lost) - 5} labels more" if len(lost) > 5 else ""
    return f"Balanced anew, {sum(lost.values()):,} pairs more could be had: {first}{more}."


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:,.1f} MB"


def _show(found: "Changes", labels: "Sequence[LabelChange]", goals: dict[str, int]) -> None:
    """Print the tables of labels and splits, and the most frequent reasons."""
    from curation.changes import transitions

    if found.is_empty:
        return
    leaks = found.items["kind"].to_pylist().count("split")
    if leaks:
        _print(f"{leaks:,} pictures or clips are in another split than before: they have leaked.", "bold red")
    console.print(_labels_table(labels, goals))
    ways, count = transitions(found, TRANSITIONS_SHOWN, CAUSES_SHOWN, EXAMPLES_SHOWN)
    if ways:
        console.print(_why_table(ways, count))
    if len(found.reworded):
        _print(f"{len(found.reworded):,} pairs stay, with another label, rule or evidence.")


def _labels_table(labels: "Sequence[LabelChange]", goals: dict[str, int]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from curation.memory import SPLITS

    changed = [label for label in labels if label.is_touched]
    same = len(labels) - len(changed)
    table = Table(caption=f"{same} other labels stay as they are." if same else None)
    table.add_column("Label", min_width=18)
    names = ["Pairs", *(["Goal"] if goals else []), " / ".join(SPLITS), "Pictures", "Clips"]
    for name in names:
        table.add_column(name, justify="right")
    for label in changed:
        goal = [f"{goals.get(label.name, 0):,}"] if goals else []
        flows = (_flow(flow) for flow in (label.pictures, label.clips))
        pairs = _arrow(label.pairs_before, label.pairs_after)
        table.add_row(escape(label.name), pairs, *goal, _splits(label.before, label.after), *flows)
    if changed:
        goal = [f"{sum(goals.values()):,}"] if goals else []
        pairs = _arrow(sum(label.pairs_before for label in labels), sum(label.pairs_after for label in labels))
        before, after = (
            {split: sum(counts[split] for counts in of_labels) for split in SPLITS}
            for of_labels in ([label.before for label in labels], [label.after for label in labels])
        )
        table.add_section()
        table.add_row("All", pairs, *goal, _splits(before, after), "", "")
    return table


def _splits(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Show the pairs of each split, before and after where they differ."""
    shown = [" / ".join(f"{count:,}" for count in counts.values()) for counts in (before, after)]
    return " → ".join(dict.fromkeys(shown))


def _arrow(before: int, after: int) -> str:
    return f"{after:,}" if before == after else f"{before:,} → {after:,}"


def _flow(flow: "Flow") -> str:
    """Say what comes and goes: +gained -lost, then those that moved in and out."""
    parts = (("+", flow.gained), ("-", flow.lost), ("from others +", flow.moved_in), ("to others -", flow.moved_out))
    return "\n".join(f"{sign}{count:,}" for sign, count in parts if count)


def _why_table(ways: "Sequence[Transition]", count: int) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    shown = f"The {len(ways)} most frequent of {count} kinds of change." if count > len(ways) else None
    table = Table(title="Why", caption=shown, show_lines=True)
    table.add_column("From → to", overflow="fold", ratio=2)
    table.add_column("", justify="right")
    for name in ("Then", "Now", "Such as"):
        table.add_column(name, overflow="fold", ratio=2)
    for way in ways:
        before, after = way.words
        what = f"{before} → {after}" if before != after else f"{after}: another {way.kind}"
        for place, cause in enumerate(way.causes):
            more = way.kinds_of_cause - len(way.causes)
            rest = f"\n({more} other reasons)" if more and place == len(way.causes) - 1 else ""
            table.add_row(
                escape(what if not place else ""),
                f"{cause.count:,} {_units(way.side, cause.count)}",
                escape(cause.before or "–"),
                escape((cause.after or "–") + rest),
                escape("; ".join(str(row["title"] or row["source_id"]) for row in cause.examples)),
            )
    return table


def _units(side: str, count: int) -> str:
    return {"image": "picture", "music": "clip"}[side] + ("" if count == 1 else "s")


def _show_items(found: "Changes") -> None:
    """Print a paragraph for each changed unit."""
    from curation.changes import words

    for row in found.items.to_pylist():
        start = "" if row["start_sample"] is None else f" at sample {row['start_sample']:,}"
        before = words(row["label_before"], row["reason_before"], "new")
        after = words(row["label_after"], row["reason_after"], "in no source")
        _print(f"\n{row['kind']}: {row['source']}:{row['source_id']}{start} ({row['title'] or 'untitled'})")
        _print(f"  {before} → {after}")
        _print(f"  then: {_because(row, 'before')}\n  now:  {_because(row, 'after')}")


def _because(row: dict[str, Any], when: str) -> str:
    parts = (row[f"split_{when}"], row[f"rule_{when}"], row[f"why_{when}"])
    return "; ".join(part for part in parts if part) or "–"
