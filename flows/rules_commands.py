"""`artune rules`: is a rule set well written, and how does it meet what was collected."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from flows.terminal import HomeOption, RulesOption, SourceOption, console, home_of, last_build, listing_of, table
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # what these import takes longer than the command itself
    from rich.table import Table

    from curation.coverage import Coverage, SideCoverage, Use
    from rules.schema import Clause, Condition, RuleSet, Step

_KINDS = {"sub_genre": "sub-genre", "music_feature": "feature"}
MAX_ROWS = 10  # of what is listed by frequency; --json has all

app = typer.Typer(help="Check the rules, and see how they meet what was collected.", no_args_is_help=True)


@app.command()
def check(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|DIR]", help="Rule set: its name, or a folder with one. Without it, that of the last build."
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Find all mistakes of a rule set at once, each with its file and line. Exit code 2 if there is one."""
    import rules
    from curation import ingest, planning

    place = home_of(home)
    rule_set = rules.load(last_build(place)[1] if name is None else name)
    planning.refuse(place, rule_set)
    if wrong := list(ingest.mistakes(rule_set)):
        raise ConfigurationError("\n".join(wrong))
    console.print(_labels_table(rule_set))
    sizes = sum(label.size for label in rule_set.labels)
    words = ", ".join(_number(len(of_kind), kind) for kind, of_kind in rule_set.vocabulary.items())
    console.print(f"{len(rule_set.labels)} labels for {sizes:,} pairs. The vocabulary has {words}.", highlight=False)
    console.print(f"[green]No mistake[/] in {escape(rule_set.name)}, digest {rule_set.digest[:12]}.", highlight=False)


def _labels_table(rule_set: "RuleSet") -> "Table":
    rows = (
        (
            label.name,
            f"{label.size:,}",
            _asked(label.image),
            f"{sum(label.music.sub_genres.values()):,}",
            str(len(label.music.sub_genres)),
        )
        for label in rule_set.labels
    )
    return table("", ("Label", ">Pairs", "Pictures ask for", ">Clips", ">Sub-genres"), rows)


def _asked(condition: "Condition | Clause") -> str:
    """Say what has to hold, with the number of words of each kind."""
    if len(condition.steps) == 1:
        return _step(condition.steps[0])
    return ", ".join(f"({text})" if " or " in text else text for text in map(_step, condition.steps))


def _step(step: "Step") -> str:
    group, clauses = step
    text = " or ".join(map(_clause, clauses))
    return f"none of {text}" if group == "none" else text


def _clause(clause: "Clause") -> str:
    if clause.steps:
        return _asked(clause)
    if clause.range:
        return f"{clause.key} {clause.range}"
    return _number(len(clause.words or clause.source), clause.key)


def _number(count: int, kind: str) -> str:
    name = _KINDS.get(kind, kind)
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule set's files, with which editors complete and check them."""
    from rules.schema import json_schema

    typer.echo(json_schema(), nl=False)


@app.command()
def coverage(
    rules_name: RulesOption = None,
    source: SourceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write it all as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """Tell which rules never fire, which items no rule takes, and which labels compete. Reads tables only."""
    import json
    from dataclasses import asdict

    import rules
    from curation import collect
    from curation.coverage import survey

    place = home_of(home)
    last_sources, last_rules = last_build(place)
    rule_set = rules.load(rules_name or last_rules)
    items = collect.current_items(place, listing_of(place, rule_set.name, source))
    if not len(items):
        raise ConfigurationError(
            f"{place.root} holds no item of {', '.join(source or last_sources)}: `artune build` collects them first"
        )
    found = survey(place, items, rule_set)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
        return
    console.print(_uses_table(found))
    for side, unit in ((found.images, "pictures"), (found.music, "recordings")):
        for made in _tables(side, unit):
            console.print(made)
    for sentence in found.idle_overrides:
        console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _uses_table(found: "Coverage") -> "Table":
    """Return how often each label fires on either side; what never does is red."""
    from rich.text import Text

    sides = {"pictures": found.images, "recordings": found.music}
    takes = " and ".join(f"{side.taken:,} of {side.items:,} {unit}" for unit, side in sides.items())
    columns = [f">{name}" for unit in sides for name in (unit.capitalize(), "only", "used")]
    made = table(f"{found.rule_set} takes {takes}", ("Label", *columns), ())
    used = f"used: in release {found.release}" if found.release else "nothing is released yet"
    made.caption = f"only: what no other label takes; {used}"
    for uses in zip(*(side.labels for side in sides.values()), strict=True):
        numbers = [n for use in uses for n in (use.fit, use.fit_only_this, use.released)]
        cells = (Text(f"{n:,}", "red" if not n and at % 3 == 0 else "") for at, n in enumerate(numbers))
        made.add_row(escape(uses[0].label), *cells)
    return made


def _tables(side: "SideCoverage", unit: str) -> Iterable["Table"]:
    left, heading = side.items - side.taken, f">{unit.capitalize()}"
    dead = [(use.label, "\n".join(_dead(use))) for use in side.labels if use.unmet or use.unmatched]
    if dead:
        yield table(f"What the labels ask for and no {unit[:-1]} has", ("Label", "Without effect"), dead)
    if left:
        lacks = [(f"{row.items:,}", row.label or "", row.lacks, row.examples[0]) for row in side.lacks]
        yield _listed(
            f"{left:,} {unit} that no label takes, by what they lack", (heading, "Label", "Lacks", "For example"), lacks
        )
        tags = [(f"{row.items:,}", row.tags or "none", row.examples[0]) for row in side.untaken]
        yield _listed("The same, by their tags", (heading, "Tags", "For example"), tags)
    if side.rivals:
        rivals = [
            (
                f"{row.both:,}",
                "\n".join(row.labels),
                "\n".join(f"{n:,}" for n in row.released),
                f"{row.elsewhere:,}",
                f"{row.unused:,}",
            )
            for row in side.rivals
        ]
        columns = (">Fit both", "Labels", ">Use", ">Others use", ">Left out")
        yield _listed(f"Labels that compete for {unit}", columns, rivals)


def _dead(use: "Use") -> Iterator[str]:
    """Yield what a label asks for in vain, a line for each kind."""
    yield from (f"takes nothing for want of {text}" for text in use.unmet)
    yield from (f"{_KINDS.get(kind, kind)}: {', '.join(words)}" for kind, words in use.unmatched.items())


def _listed(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """Return a table of the first rows, which says how many more there are."""
    made = table(title, columns, rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        made.caption = f"{len(rows) - MAX_ROWS:,} more rows; --json lists them"
    return made
