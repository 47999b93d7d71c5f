"""The commands about evaluation: evaluate, compare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import settings
from flows.listening import RUN, BaseOption, EncoderOption
from flows.terminal import console, near, patient, say, stoppable, table
from flows.training import CacheOption, DataOption, check_extra, data_of

if TYPE_CHECKING:  # torch takes seconds to import
    from evaluation.result import Figure, Result
    from evaluation.telling.best import Claim

STOPPED = "Stopped. The same command goes on: images that were drawn stay, and so does what networks saw in them."
EXTRA = "eval"
EXIT_CODES = {"better": 0, "worse": 4, "cannot tell": 5}  # 1 is a bug of artune, 2 a mistake, 3 a busy world

ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Instead of RUN: images of another system; DIR/images.csv, with columns file and pair_id, says which clip "
        "each was made to.",
    ),
]
CountOption = Annotated[
    int | None, typer.Option("--n", min=1, metavar="N", help="Clips to draw to; all of the split without it.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Chooses the clips and draws the images.")]
SplitOption = Annotated[str, typer.Option("--split", metavar="NAME", help="Of the data: test, validation or train.")]
NetworksOption = Annotated[
    str, typer.Option("--networks", metavar="NAME|FILE", help="That judge: published, stand-ins, or a YAML file.")
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for the networks; give it again for another."),
]
SmallFidOption = Annotated[
    bool, typer.Option("--small-fid", help="FID also of fewer images than it takes; it is marked.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Else the folder of the run or of the images, or one in evaluations/."),
]


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of an evaluation.

    Attributes:
        folder: of evaluation.json.
        claim: whether the run is now the best one; None where the evaluation does not lie in the folder of a run.
        where: the data lie.
    """

    folder: Path
    result: "Result"
    claim: "Claim | None"
    where: str


app = typer.Typer()


@app.command()
def evaluate(
    run: Annotated[str | None, RUN] = None,
    data: DataOption = None,
    images: ImagesOption = None,
    n: CountOption = None,
    seed: SeedOption = 1,
    split: SplitOption = "test",
    networks: NetworksOption = "published",
    changes: ChangesOption = None,
    small_fid: SmallFidOption = False,
    out: OutOption = None,
    cache: CacheOption = None,
    base: BaseOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Say how good a model is, or images, or, without both, the data set itself: each figure beside chance and truth.

    Runs as a Prefect flow. Writes evaluation.json, evaluation.md and evaluation/index.html. Stopped at any moment, the
    same command goes on. Exit code 3 if the Hub was busy.
    """
    where = data_of(data, "evaluate")
    from evaluation.networks import load
    from evaluation.request import Request

    asked = Request(data=where, run=run, images=images, networks=networks, changes=tuple(changes or ()), n=n)
    asked = replace(asked, split=split, seed=seed, out=out, cache=cache, small_fid=small_fid)
    asked = replace(asked, base=base, encoder=encoder)
    asked.check()
    load(networks, changes or [])
    check_extra("evaluation", EXTRA)
    settings.prepare_training()
    with stoppable(STOPPED), patient():
        subject = run or images
        say(f"Evaluating {subject} on {where}, split {split}." if subject else f"Evaluating {where} itself.")
        say("Prefect and the networks are loaded first; with weights from afar that takes a while.")
        settings.quiet_prefect()
        from flows import evaluate as evaluate_flow

        done = evaluate_flow.run(asked)
    _show(done)


def _show(done: Finished) -> None:
    """Print all figures, and what came of an evaluation."""
    if done.result.figures:
        columns = ("Measure", ">Value (95 %)", ">Chance", ">p", ">Clips")
        console.print(table("Figures", columns, map(row, done.result.figures)))
    for line in outcome(done):
        say(line)


def row(figure: "Figure") -> tuple[str, ...]:
    """Return what a figure says: its measure, value with interval, chance, p, clips."""
    from evaluation.telling.wording import digits, number, p_value, with_interval

    found, chance = figure.estimate, figure.chance
    return (
        figure.name if figure.is_as_published else f"{figure.name} (not as published)",
        with_interval(found, digits(figure)) if found else "refused",
        number(chance.value, digits(figure)) if chance else "",
        p_value(chance.p_value) if chance else "",
        f"{found.n:,}" if found else "",
    )


def _notes(figures: Sequence["Figure"]) -> Iterator[str]:
    """Yield what to know of single figures, once where it is the same of several."""
    notes: dict[str, list[str]] = {}
    for figure in figures:
        if note := figure.refused or figure.marked:
            notes.setdefault(note, []).append(figure.name)
    for note, names in notes.items():
        others = [figure.name for figure in figures if figure.name not in names]
        all_but = f"All figures but {', '.join(others)}" if others else "All figures"
        yield f"{', '.join(names) if len(names) <= len(others) else all_but}: {note}."


def outcome(done: Finished) -> Iterator[str]:
    """Yield what came of an evaluation, a sentence each."""
    from evaluation.result import MARKDOWN, PAGE
    from evaluation.telling.verdict import verdict

    told, folder = verdict(done.result), near(done.folder)
    yield told.sentence
    if told.detail:
        yield told.detail
    yield from told.cautions
    yield from _notes(done.result.figures)
    if done.result.left_out:
        yield f"Left out: {len(done.result.left_out):,}; the report says why."
    if done.claim is not None:
        yield done.claim.sentence
    yield f"Report: {folder}/{PAGE}"
    yield f"The same for a terminal: {folder}/{MARKDOWN}"


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The folder of a run, or of an evaluation.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one, evaluated on the same clips.")],
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="NAME", help="That decides; AIS without it.")
    ] = None,
) -> None:
    """Say whether B is better than A, worse, or whether that cannot be told, by one measure and a paired bootstrap.

    Exit code 0 if B is better, 4 if it is worse, 5 if it cannot be told; 2 if the two cannot be compared.
    """
    from evaluation.telling import comparing

    found = comparing.compare(a, b, measure)
    say(comparing.text(found))
    raise typer.Exit(EXIT_CODES[found.verdict])
