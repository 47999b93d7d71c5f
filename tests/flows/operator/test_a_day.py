"""What an operator sees of a day: names, artifacts, logs, assets, posts to a webhook, and no secret."""

import json
import sqlite3

from tests.flows.operator.child import REFUSED, TRIED
from tests.flows.operator.conftest import HOOK_PATH
from tests.servers import until

FAILED, WAITS, REJECTED = "A run failed.", "A run waits for a yes.", "Too much is rejected."


def test_runs_say_what_they_do_and_how_they_ended(day, server):
    assert day.of("build")[0] == 1
    assert day.of("ingest") == [TRIED - REFUSED]
    assert day.of("publish")[0] == "v1"
    names = {name: [run["name"] for run in server.runs(name)] for name in ("build", "ingest", "publish", "train")}
    folder = day.home.parent
    shelf = folder / "shelf"
    rules = f"with {folder}/tiny"
    assert names == {
        "build": [f"build folder:{folder}/media {rules}", f"build folder:/nowhere/at/all {rules}"],
        "ingest": [f"ingest toy with {folder}/toys"],
        "publish": [f"publish release 1 to {shelf}", f"publish release 99 to {shelf}", "publish and ask"],
        "train": [f"train no-recipe on {shelf}"],
    }
    states = {name: [run["state_type"] for run in server.runs(name)] for name in names}
    assert states == {
        "build": ["COMPLETED", "FAILED"],
        "ingest": ["COMPLETED"],
        "publish": ["COMPLETED", "FAILED", "PAUSED"],
        "train": ["FAILED"],
    }


def test_a_build_leaves_labels_rejections_with_their_meaning_and_a_link(day, server):
    artifacts = server.artifacts(server.runs("build")[0])
    text = artifacts["release"]["data"]
    assert "# Release 1 of tiny" in text
    assert "| Faces | 3 |" in text
    assert "the content is neither a picture nor a recording that artune reads" in text
    assert "It is the first release of this data set." in text
    report = day.home / "releases" / "1" / "report" / "index.html"
    assert report.is_file()
    assert report.as_uri() in artifacts["release-report"]["data"]
    assert report.as_uri() in text


def test_too_many_rejections_are_said_where_an_operator_looks(day, server):
    (run,) = server.runs("ingest")
    artifacts = server.artifacts(run)
    sentence = f"fetch toy: {REFUSED} of {TRIED} newly tried items were rejected, more than the 50% of"
    assert sentence in artifacts["ingest"]["data"]
    assert "the site has it no more" in artifacts["too-many-rejections"]["data"]
    warnings = [log["message"] for log in server.logs(run) if log["level"] == 30]
    assert [message.startswith(sentence) for message in warnings] == [True]
    assert sentence in day.output
    (event,) = until(lambda: server.events("artune.rejections.exceeded") or None, "the event")
    share = REFUSED / TRIED
    expected = {"stage": "fetch toy", "tried": TRIED, "rejected": REFUSED, "share": share, "reasons": {"gone": REFUSED}}
    assert event["payload"] == expected | {"home": str(day.home), "limit": 0.5, "stages": [expected]}
    assert event["resource"]["prefect.resource.id"] == "artune.home.tiny"


def test_our_modules_log_counts_under_their_run_and_no_line_for_each_batch(day, server):
    logs = server.logs(server.runs("build")[0])
    ours = {log["message"] for log in logs if log["name"].startswith(("flows", "curation"))}
    assert {"collect: 13 items, 1 of them rejected", "measure images: 6 items, 0 of them rejected"} <= ours
    assert any("rows to write" in message for message in ours)
    assert any(message.startswith("Release 1 of tiny: 3 pairs (") for message in ours)
    assert [log["message"] for log in logs if "Finished in state Completed" in log["message"]][1:] == []


def test_assets_tell_what_is_made_of_what(day, server):
    found = until(lambda: made(server), "two assets")
    release, publication = found
    assert release["event"] == publication["event"] == "prefect.asset.materialization.succeeded"
    keys = [event["resource"]["prefect.resource.id"] for event in found]
    shelf = day.home.parent / "shelf"
    assert keys == [f"file://{day.home}/releases/tiny", f"file://{shelf}"]
    assert upstream(release) == [f"file://{day.home}/items"]
    assert upstream(publication) == [keys[0]]
    assert release["payload"]["release"] == 1
    assert release["payload"]["rows"] == 3
    assert release["payload"]["labels"]["Faces"] == 3
    assert release["payload"]["rule_set"]["name"] == "tiny"
    assert release["payload"]["report"] == (day.home / "releases" / "1" / "report" / "index.html").as_uri()
    assert publication["payload"]["revision"] == "v1"
    assert publication["payload"]["digest"] == release["payload"]["digest"]


def made(server):
    found = server.events("prefect.asset.materialization")
    return found if len(found) >= 2 else None


def upstream(event):
    return [one["prefect.resource.id"] for one in event["related"] if one["prefect.resource.role"] == "asset"]


def test_each_failure_is_posted_to_the_webhook_once(day, server, hook):
    runs = [run for name in ("build", "publish", "train", "evaluate") for run in server.runs(name)]
    failed = {f"{server.address}/runs/flow-run/{run['id']}": run for run in runs if run["state_type"] == "FAILED"}
    assert len(failed) == 4
    all_executed(server)
    assert sorted(body["link"] for body in hook.told(FAILED)) == sorted(failed)
    for body in hook.told(FAILED):
        run = failed[body["link"]]
        assert (body["run"], body["state"]) == (run["name"], run["state_name"])
        assert body["message"] == run["state"]["message"]
        assert body["flow"] in ("build", "publish", "train", "evaluate")
    (waits,) = hook.told(WAITS)
    assert (waits["flow"], waits["run"]) == ("publish", "publish and ask")
    (rejected,) = hook.told(REJECTED)
    assert (rejected["flow"], rejected["rejections"]["rejected"]) == ("ingest", REFUSED)
    assert f"fetch toy, {REFUSED} of {TRIED}." in rejected["text"]
    assert {(path, content) for path, content, _ in hook.posts} == {(HOOK_PATH, "application/json")}


def all_executed(server):
    """Wait until the server has posted: four failures, a run that waits, and rejections."""
    found = "prefect.automation.action.executed"
    until(lambda: len(server.events(found)) >= 6 or None, "actions of automations")


def test_automations_are_arranged_again_without_doubles(day, server):
    assert set(day.of("automations")[0]) == {
        "Failures, runs that wait for a yes, and too many rejections are posted to ARTUNE_WEBHOOK by the server."
    }
    found = server.post("/automations/filter")
    assert sorted(one["name"] for one in found) == [
        "artune: a run failed",
        "artune: a run waits for a yes",
        "artune: too many rejections",
    ]


def test_no_secret_is_anywhere(day, server, hook):
    all_executed(server)
    assert "MARKED" not in day.output
    assert "MARKED" not in json.dumps([body for _, _, body in hook.posts])
    with sqlite3.connect(server.folder / "prefect.db") as database:
        dumped = "\n".join(database.iterdump())
    assert "artune-webhook" in dumped
    assert "MARKED" not in dumped
    files = [path for path in (server.folder, day.home) for path in path.rglob("*") if path.is_file()]
    assert server.folder / "server.log" in files
    assert [path for path in files if b"MARKED" in path.read_bytes()] == []
