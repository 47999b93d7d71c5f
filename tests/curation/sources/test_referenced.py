"""Items that somebody has from a publication instead of a list: addresses from outside, and no state."""

from dataclasses import replace
from pathlib import Path

import pytest

from curation import web
from curation.errors import ItemError
from curation.sources import Fetched, Found, Tools, kaggle
from curation.store import Home
from tests.archives import zipped
from tests.pictures import as_bytes, plain
from tests.youtube_fetching import fetch, item, refused, video
from tests.youtube_site import youtube as serve

RED = as_bytes(plain("red"), "JPEG")


def kaggle_fetched(folder: Path, address: str) -> Fetched | ItemError:
    (folder / "set.zip").write_bytes(zipped({"a/b.jpg": RED}))
    tools = Tools(Home(folder / "home"), web.of(web.WebSettings("tester@example.org")), str(folder))
    ((index, outcome),) = kaggle.fetched([Found("owner/set/a/b.jpg", address)], tools)
    assert index == 0
    return outcome


def test_a_member_of_an_archive_is_fetched_whatever_its_state(tmp_path):
    outcome = kaggle_fetched(tmp_path, "owner/set/a/b.jpg")
    assert isinstance(outcome, Fetched)
    assert Home(tmp_path / "home").blob(outcome.sha256).read_bytes() == RED


@pytest.mark.parametrize("address", ["", "x", "../set/a/b.jpg", "owner/../b.jpg", "http://127.0.0.1/a/b.jpg"])
def test_what_is_no_member_of_a_data_set_on_kaggle_is_refused(tmp_path, address):
    outcome = kaggle_fetched(tmp_path, address)
    assert isinstance(outcome, ItemError)
    assert outcome.reason == "address_refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "http://127.0.0.1/admin"},
        {"address": "file:///etc/passwd"},
        {"address": "https://www.youtube.com/watch?v=video000001"},
        {"source_id": "../../../../a"},
    ],
)
def test_what_is_no_page_of_the_recording_is_refused_and_nobody_is_asked(tmp_path, changes):
    with serve(video()) as site:
        assert refused(fetch(site, tmp_path, replace(item(), **changes))[0]) == "address_refused"
        assert site.asked("") == []
