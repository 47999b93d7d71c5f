"""The page of a plan: whole, escaped, bounded, and readable in a browser that is cut off from every network."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from curation import plan_page
from curation.changes import CHANGES, Changes, labels
from curation.planning import Plan
from curation.releases import PublishedRules
from curation.sending import Sending
from curation.store import Home
from tests.curation.report import browser
from tests.curation.report.synthetic_release import gradient
from tests.curation.tables import content

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 2'> \u202egnp.exe " + "W" * 2_000
PICTURES = 15  # more than are shown


def plan_of(rows: list[dict[str, object]]) -> Plan:
    nothing = pa.schema([(name, pa.string()) for name in ("label", "split", "pair_id")]).empty_table()
    found = Changes(nothing, nothing, pa.Table.from_pylist(rows, CHANGES), pa.array([], pa.string()))
    rule_set = PublishedRules.model_validate(content())
    warnings = [f"no picture has the tags for {HOSTILE}"]
    sending = Sending(1, 2_000_000, 0)
    return Plan(2, None, rule_set, found, labels(found, rule_set.label_names), {"Faces": 2}, 3, 4, warnings, sending)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of pictures that come to one label and leave another; one has no file, one is damaged."""
    folder = tmp_path_factory.mktemp("page")
    home, rows = Home(folder / "home"), []
    for number in range(PICTURES):
        damaged = [gradient(number)[:40] if number == 1 else gradient(number)]
        blob, _ = home.put_blob(damaged, 1_000_000)
        shared = {"side": "image", "sha256": blob, "source": "folder", "source_id": f"{number:02}", "title": HOSTILE}
        rows.append(shared | {"kind": "moved", "label_before": "Faces", "label_after": "Bills", "why_after": HOSTILE})
    home.blob(str(rows[0]["sha256"])).unlink()
    clip = {"side": "music", "sha256": "0" * 64, "start_sample": 9, "source": "folder", "source_id": "r"}
    rows.append(clip | {"kind": "lost", "label_before": "Grids", "reason_after": "no_partner"})
    plan_page.write(folder / "page.html", plan_of(rows), home)
    return folder / "page.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.page(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_every_picture_decodes_and_nothing_is_fetched(tab: browser.Page, page: Path) -> None:
    tab.open(page)
    widths = tab.evaluate("Promise.all([...document.images].map((i) => i.decode().then(() => i.naturalWidth)))")
    assert widths == [48] * 2 * (plan_page.SHOWN_OF_A_KIND - 2)
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [page.as_uri()]


def test_hostile_texts_run_nothing(tab: browser.Page, page: Path) -> None:
    tab.open(page)
    assert "window.hostile = 1" in tab.evaluate("document.body.innerText")
    assert tab.evaluate("typeof window.hostile") == "undefined"


def test_what_is_not_shown_is_counted(tab: browser.Page, page: Path) -> None:
    tab.open(page)
    headings = tab.evaluate("[...document.querySelectorAll('.part h4')].map((h) => h.textContent)")
    shown = f"(the first {plan_page.SHOWN_OF_A_KIND} are shown)"
    assert headings == [f"15 pictures moved out {shown}", f"15 pictures moved in {shown}", "1 clip lost"]


@pytest.mark.parametrize("width_px", [320, 1440])
def test_nothing_is_wider_than_the_page(tab: browser.Page, page: Path, width_px: int) -> None:
    tab.open(page, width_px=width_px)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_plan_without_changes_has_a_page(tmp_path: Path) -> None:
    plan_page.write(tmp_path / "new" / "page.html", plan_of([]), Home(tmp_path))
    assert "No label gains or loses anything" in (tmp_path / "new" / "page.html").read_text()
