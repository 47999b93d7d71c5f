"""A day of an operator, as one process: flows that pass, that fail, and that reject too much, on a server.

Reads one JSON object {home, source, rules, toys, shelf}; writes a line of JSON for each flow: its name, and what came
of it.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import settings

REFUSED, TRIED = 11, 20  # of the toy's items


def main() -> None:
    asked = json.loads(sys.stdin.read())
    settings.quiet_prefect()
    settings.prepare_hub()
    from flows import automations, build, ingest, publish

    say("automations", [automations.arrange(), automations.arrange()])
    home, source, rules = Path(asked["home"]), [asked["source"]], asked["rules"]
    attempt("build", lambda: build.run(home, source, rules))
    attempt("build", lambda: build.run(home, ["folder:/nowhere/at/all"], rules))
    attempt("ingest", lambda: ingested(ingest, home, asked["toys"]))
    attempt("publish", lambda: publish.run(home, asked["shelf"], 1, private=False).version)
    attempt("publish", lambda: publish.run(home, asked["shelf"], 99, private=False))
    wait_for_a_yes(publish)
    settings.prepare_training()
    from evaluation.request import Request
    from flows import evaluate, train
    from flows.tasks import ended

    attempt("train", lambda: ended(train.train_model("no-recipe", data=asked["shelf"], return_state=True)))
    attempt("evaluate", lambda: evaluate.run(Request(data="./nothing", run="./no-run")))


def ingested(ingest: Any, home: Path, rules: str) -> int:  # noqa: ANN401 - a module
    from curation.errors import ItemError
    from tests.curation.ingesting import some, toy_source

    with toy_source() as toy:
        names = [f"{number:02}" for number in range(TRIED)]
        broken = ItemError("rate_limited", "[x](javascript:alert(1))")
        toy.WORLD.lists = {"faces": some(*names), "views": [broken]}
        toy.WORLD.media = lambda address: ItemError("gone", "") if int(address[-2:]) < REFUSED else address.encode()
        (one,) = ingest.run(home, ["toy"], rules, labels=[], limit=None, quota_bytes=None)
    return int(one.ended.fetched)


def wait_for_a_yes(publish: Any) -> None:  # noqa: ANN401 - a module
    """Let a run wait as one that asks a curator does."""
    from prefect.client.orchestration import get_client
    from prefect.states import Suspended

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(publish.publish_release, name="publish and ask", parameters={"where": "x/y"})
        client.set_flow_run_state(run.id, Suspended(timeout_seconds=3600, pause_key="publish"), force=True)
    say("waits", str(run.id))


def attempt(name: str, flow: Callable[[], Any]) -> None:
    from curation.errors import TransientError
    from rules.errors import ConfigurationError

    try:
        say(name, flow())
    except (ConfigurationError, TransientError) as error:
        say(name, f"refused: {error}")


def say(name: str, what: object) -> None:
    sys.stdout.write(json.dumps([name, what]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
