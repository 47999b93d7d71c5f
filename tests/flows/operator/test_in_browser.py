"""What Prefect's own pages show of a run, in headless Chromium."""

from collections.abc import Iterator

import pytest

from tests.curation.report import browser
from tests.servers import until

# The pages ask the server, so nothing is in them when they are loaded.
TEXT = "document.body ? document.body.innerText : ''"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("chromium")) as found:
        # The lists hold only what is in view.
        found.call("Emulation.setDeviceMetricsOverride", width=1400, height=2400, deviceScaleFactor=1, mobile=False)
        yield found


def shown(page, address, *expected):
    """Open a page and return its text once it shows all that is expected."""
    page.go(address)
    return until(lambda: text_with(page, expected), f"{expected} at {address}")


def text_with(page, expected):
    text = page.evaluate(TEXT)
    return text if all(part in text for part in expected) else None


def test_runs_are_listed_by_what_they_do_and_how_they_ended(day, server, page):
    build, failed = server.runs("build")
    text = shown(page, f"{server.address}/runs", build["name"], failed["name"], "publish and ask")
    assert "Completed" in text
    assert "Failed" in text
    assert "Suspended" in text


def test_the_page_of_a_run_shows_its_state_and_its_log(day, server, page):
    run = server.runs("build")[0]
    text = shown(
        page, f"{server.address}/runs/flow-run/{run['id']}", run["name"], "collect: 13 items, 1 of them rejected"
    )
    assert "Completed" in text


def test_an_artifact_is_read_as_tables(day, server, page):
    artifact = server.artifacts(server.runs("build")[0])["release"]
    address = f"{server.address}/artifacts/artifact/{artifact['id']}"
    shown(page, address, "Left out", "the content is neither a picture nor a recording that artune reads")
    cells = page.evaluate("[...document.querySelectorAll('td')].map((cell) => cell.innerText.trim())")
    assert cells[cells.index("Faces") + 1] == "3"


def test_text_from_outside_is_no_link(day, server, page):
    artifact = server.artifacts(server.runs("ingest")[0])["ingest"]
    shown(
        page,
        f"{server.address}/artifacts/artifact/{artifact['id']}",
        "Lists that broke off",
        "[x](javascript:alert(1))",
    )
    links = page.evaluate("[...document.querySelectorAll('a')].map((link) => link.href)")
    assert [link for link in links if link.startswith("javascript:")] == []


def test_automations_are_listed(day, server, page):
    shown(page, f"{server.address}/automations", "artune: a run failed", "artune: too many rejections")
