"""`artune calibrate`: how sure a model may be of its answers, by items whose source says what is right."""

from typing import Annotated

import typer

from flows import settings
from flows.terminal import HomeOption, RulesOption, SourceOption, console, home_of, last_build, listing_of

app = typer.Typer()


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="Name of a model in the rule set's models.yaml, enabled or not.")],
    source: SourceOption = None,
    rules_name: RulesOption = None,
    home: HomeOption = None,
) -> None:
    """Fit a model's temperatures to the items that were collected, and print what to write into models.yaml.

    The items are those whose own tags answer one of the model's questions.
    """
    from rich.markup import escape
    from rich.table import Table

    import rules
    from curation import calibration, collect
    from curation.batches import in_threads

    place = home_of(home)
    last_sources, last_rules = last_build(place)
    rule_set = rules.load(rules_name or last_rules)
    items = collect.current_items(place, listing_of(place, rule_set.name, source))
    items = items.filter(items["sha256"].is_valid())
    table = Table("Question", title=f"Model {escape(model)}")
    for column in ("Items", "Right", "Error before", "after", "Temperature"):
        table.add_column(column, justify="right")
    each = in_threads(settings.from_environment().workers)
    with console.status(f"Asking model {escape(model)}"):
        found = list(calibration.calibrate(place, items, rule_set, model, each))
    for one in found:
        figures = [one.right, one.error_before, one.error_after]
        shown = [f"{figure:.1%}" if figure is not None else "" for figure in figures]
        fitted = "too few items" if one.temperature is None else f"{one.temperature:g}"
        table.add_row(escape(one.question), f"{one.items:,}", *shown, fitted)
    console.print(table)
    console.print(
        f"Right: share of items for which the model says what the source does (at least {calibration.MIN_ITEMS} are "
        "needed). Error: how far its confidence lies from that share, on items that the temperature was not fitted to. "
        "Write the temperature under the question in models.yaml.",
        markup=False,
    )
