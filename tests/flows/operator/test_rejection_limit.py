"""From which share on rejections are too many, and what counts."""

from collections import Counter

import pytest

from curation.collect import collect_batch
from curation.fetching import Ended
from curation.ingest import Ingested
from flows import settings
from flows.rejection_limit import MIN_TRIED, Tried, Watch, fetched
from rules.errors import ConfigurationError


@pytest.mark.parametrize(
    ("tried", "rejected", "limit", "is_told"),
    [
        (20, 10, 0.5, False),  # just the share
        (20, 11, 0.5, True),
        (19, 19, 0.5, False),  # too few to tell
        (20, 1, 0.0, True),
        (20, 0, 0.0, False),
        (1000, 1000, 1.0, False),  # it never tells
        (10, 3, 0.3, False),
        (100, 29, 0.29, False),  # 0.29 * 100 is less than 29 in floats
        (100, 30, 0.29, True),
    ],
)
def test_more_than_the_share_of_enough_items_is_told(tried, rejected, limit, is_told):
    assert MIN_TRIED == 20
    assert Tried("collect", tried, {"gone": rejected}).exceeds(limit) is is_told


class Batch:
    def __init__(self, again: bool = False) -> None:
        self.again = again


def test_a_build_counts_only_what_is_new_and_not_what_rules_or_people_leave_out():
    outcomes = [
        Counter({None: 3, "unknown_type": 2, "removed": 4}),
        Counter({"unreadable": 7}),
        Counter({None: 1, "empty_file": 1}),
    ]
    watch = Watch()
    each = watch.counting(lambda work, batches, stage: outcomes)
    assert each(collect_batch, [Batch(), Batch(again=True), Batch()], "collect") == outcomes
    watch.counting(lambda work, batches, stage: [5])(lambda batch: 5, [Batch()], "write shards")
    assert watch.tried() == [Tried("collect", 7, {"unknown_type": 2, "empty_file": 1})]


def test_an_ingest_counts_each_source_by_itself():
    done = [
        Ingested("wikiart", ended=Ended(5, 10, {"gone": 1, "duration": 1}), refused={"duration": 90}),
        Ingested("kaggle", ended=Ended(2)),
    ]
    assert fetched(done) == [Tried("fetch wikiart", 7, {"gone": 1, "duration": 1}), Tried("fetch kaggle", 2, {})]


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("1", 1), ("0.25", 0.25), (".5", 0.5), ("1.0", 1)])
def test_the_share_comes_from_the_environment(monkeypatch, text, share):
    monkeypatch.setenv("ARTUNE_MAX_REJECTED_SHARE", text)
    assert settings.max_rejected_share() == share


@pytest.mark.parametrize("text", ["", "50%", "1.5", "-0.1", "nan", "half", "٠", "0,5"])
def test_what_is_no_share_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv("ARTUNE_MAX_REJECTED_SHARE", text)
    with pytest.raises(ConfigurationError, match="ARTUNE_MAX_REJECTED_SHARE=.*expected a share from 0 to 1"):
        settings.max_rejected_share()


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080/x", "https://hooks.example.org/services/T0/B0/x?y=z"])
def test_a_webhook_is_an_address(monkeypatch, address):
    monkeypatch.setenv("ARTUNE_WEBHOOK", address)
    assert settings.webhook() == address


@pytest.mark.parametrize(
    "address", ["ftp://x/SECRET", "SECRET", "https://", "http://[SECRET", "https://x:y/SECRET", "http://x/SEC RET"]
)
def test_a_webhook_that_is_none_is_refused_and_not_told(monkeypatch, address):
    monkeypatch.setenv("ARTUNE_WEBHOOK", address)
    with pytest.raises(ConfigurationError, match="ARTUNE_WEBHOOK: expected the http") as refused:
        settings.webhook()
    assert "SEC" not in str(refused.value)


def test_no_webhook_and_an_empty_one_are_two_things(monkeypatch):
    monkeypatch.delenv("ARTUNE_WEBHOOK", raising=False)
    assert settings.webhook() is None
    monkeypatch.setenv("ARTUNE_WEBHOOK", "")
    assert settings.webhook() == ""
