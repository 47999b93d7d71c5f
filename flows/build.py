"""The flow `build`: from sources to a release, thin around curation.building."""

from pathlib import Path
from typing import Annotated, Any, cast

import pyarrow.parquet as pq
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.states import Cancelled, Failed
from pydantic import Field
from rich.console import Console

import rules
from curation import building, releases
from curation.building import LargeDrop
from curation.errors import TransientError
from curation.markdown import escaped
from curation.releases import Release, label_counts, rule_set_of
from curation.store import Home, digest
from curation.store import opened as opened_file
from flows import artifacts, asking, assets, events, rejection_limit, run_names
from flows.engines import EngineName
from flows.engines.running import opened
from flows.progress import bars
from flows.tasks import BUSY, in_prefect, let_modules_speak, told
from flows.terminal import DEFAULT_RULES, DEFAULT_SOURCE, home_of
from rules.errors import ConfigurationError

NEEDS_A_YES = "Needs a yes"  # the state of a run that would lose too many rows
STOPPED = "Stopped. What was made stays; the same command goes on from here."
ERRORS: dict[str, type[Exception]] = {NEEDS_A_YES: LargeDrop, BUSY: TransientError}


@flow(name="build", flow_run_name=run_names.build)
def build_release(
    home: str | None = None,
    sources: Annotated[list[str], Field(min_length=1)] = [DEFAULT_SOURCE],  # noqa: B006 - it is shown, never changed
    rules_name: str = DEFAULT_RULES,
    may_drop: bool = False,
    engine: EngineName = "threads",
    scheduler: str | None = None,
    ask: bool = False,
) -> int | State[Any] | None:
    """Build a release; leave its labels, what was left out and what changed as an artifact, and a link to its report.

    Args:
        home: the work folder; ARTUNE_HOME of the machine that runs it if None.
        sources: each a name, or a name and a place: sample, folder:PATH.
        rules_name: a rule set's name, or a folder with one.
        may_drop: somebody said yes to a release that loses a large share of the rows.
        engine: where batches run: threads or processes of this machine, or a Dask cluster.
        scheduler: the address of that cluster's scheduler, as tcp://10.0.0.5:8786.
        ask: wait until a curator says yes to a large loss, instead of failing; only a run of a deployment can.

    Returns:
        the number of the new release; None if the last one is made from the same inputs; a failed state that says
        what a person has to mend.
    """
    let_modules_speak()

    watch = rejection_limit.Watch()

    def work() -> int | State[Any] | None:
        rule_set, place = rules.load(rules_name), home_of(home)

        def built(may_drop: bool) -> Release | None:
            with bars(Console(stderr=True)) as shown, opened(engine, scheduler, place, sources) as batches_run:
                each = watch.counting(in_prefect(shown, engine=batches_run))
                with watch.judged(str(place.root), rule_set.name):
                    return building.build(place, sources, rule_set, each, may_drop=may_drop)

        try:
            release = built(may_drop)
        except LargeDrop as drop:
            if not ask:
                return Failed(message=str(drop), name=NEEDS_A_YES)
            if not _says_yes(drop):
                return Cancelled(name=asking.REFUSED, message=_what(drop))
            release = built(True)
        if release is not None:
            artifacts.release(place, release, watch.warning)
            assets.release(place, release)
        _tell(place, rule_set.name, release)
        return release.number if release else None

    return told(work, STOPPED)


def _says_yes(drop: LargeDrop) -> bool:
    """Ask a curator; a yes to one drop is none to another."""
    return asking.says_yes(f"# Build it all the same?\n\n{escaped(_what(drop))}", f"large-drop-{digest(str(drop))[:8]}")


def _what(drop: LargeDrop) -> str:
    """Return what would be lost, without the advice for somebody at a terminal."""
    return str(drop).partition(":")[0]


def _tell(home: Home, data_set: str, built: Release | None) -> None:
    """Emit the event that a publication waits for; a deployment also tells of a release that it finds untold."""
    release = built or (releases.latest(home, data_set) if events.is_deployed() else None)
    if release is None:
        return
    number, rejections = release.number, release.folder / "rejections.parquet"

    def told() -> None:
        events.tell(
            events.RELEASE_BUILT,
            "release",
            data_set,
            {
                "home": str(home.root),
                "data_set": data_set,
                "release": number,
                "parent": release.manifest["parent"],
                "pairs": sum(sum(counts.values()) for counts in label_counts(release, rule_set_of(release)).values()),
                "rejections": pq.ParquetFile(opened_file(rejections)).metadata.num_rows,
            },
            {events.HOME_LABEL: str(home.root)},
        )

    events.tell_once(events.remembered(home, f"release-{data_set}"), str(number), told)


def run(
    home: Path,
    sources: list[str],
    rules_name: str,
    *,
    may_drop: bool = False,
    engine: EngineName = "threads",
    scheduler: str | None = None,
) -> int | None:
    """Run the flow and return the number of the new release, if there is one.

    Raises:
        LargeDrop: a person should look at the plan and say yes first.
        ConfigurationError: what the build was told cannot be used.
        TransientError: what ran the batches went away; the same call goes on.
    """
    state = build_release(str(home), sources, rules_name, may_drop, engine, scheduler, return_state=True)
    try:
        return cast("int | None", state.result())
    except FailedRun as error:  # what the flow returned as a failure; anything else is a bug and raised as it is
        raise ERRORS.get(state.name or "", ConfigurationError)(str(error)) from None
