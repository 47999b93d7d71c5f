"""Nothing twice, nothing lost: what becomes of what a web source lists."""

import pickle
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import collect, fetching, found, history, ingest, ingested, lists, tombstones
from curation.batches import in_threads
from curation.errors import PARKED, HomeBusy, ItemError, TransientError
from curation.ingest import Forecast
from curation.sources import Facts, Fetched, Found, Need
from curation.store import Home
from curation.tombstones import Tombstone
from rules.errors import ConfigurationError
from rules.schema import RuleSet
from tests.curation.collection import files_of
from tests.curation.ingesting import (
    BILLS,
    FACES,
    MEANS,
    NOON,
    SITE,
    VIEWS,
    addresses,
    ingest_from,
    listed,
    rows_of,
    rules_for,
    some,
    tags_of,
    toy_source,
)
from tests.curation.tables import content

RULES = rules_for((FACES, "faces"), (VIEWS, "views"))
ONE = rules_for((FACES, "faces"))


@pytest.fixture
def toy() -> Iterator[ModuleType]:
    with toy_source() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def gives(world, **outcomes) -> None:
    """Let addresses end otherwise than the toy's do; an exception that is no ItemError is raised."""

    def media(address: str):
        outcome = outcomes.get(address.removeprefix(SITE), address.encode())
        if isinstance(outcome, Exception) and not isinstance(outcome, ItemError):
            raise outcome
        return outcome

    world.media = media


def test_what_is_found_is_fetched_and_listed_for_a_build(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b"), "views": some("b", "c")}
    result = ingest_from(home, RULES)
    assert (result.lists, result.found, result.ended.fetched, result.waiting) == (2, 3, 3, 0)
    rows = listed(home)
    assert [row["sha256"] for row in rows.values()] == [toy.sha256_of(f"{SITE}{name}") for name in "abc"]
    assert tags_of(rows["b"]) == ["Portrait", "Landscape"]
    assert (rows["a"]["fetched_at"], rows["a"]["license"]) == (NOON, "unknown")
    assert home.blob(rows["a"]["sha256"]).read_bytes() == f"{SITE}a".encode()


def test_a_second_ingest_asks_only_for_what_is_new(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    gives(toy.WORLD, b=ItemError("gone"))
    ingest_from(home, ONE)
    before = files_of(home.root)
    assert ingest_from(home, ONE).ended.count == 0
    assert files_of(home.root) == before
    toy.WORLD.lists["faces"] += some("c")
    assert ingest_from(home, ONE).ended.fetched == 1
    assert sorted(toy.WORLD.asked) == addresses("abc")


def test_an_item_that_leaves_a_list_stays(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": some("b")}
    ingest_from(home, ONE)
    assert list(listed(home)) == ["a", "b"]


def test_new_facts_give_a_row_and_no_request(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}a", Facts(title="better"), about={"board": "x"})]}
    result = ingest_from(home, ONE)
    assert (result.updated, result.ended.count) == (1, 0)
    sha256 = toy.sha256_of(f"{SITE}a")
    assert rows_of(home, "revision", "title", "sha256", "about") == [
        (1, "a", sha256, None),
        (2, "better", sha256, '{"board":"x"}'),
    ]
    assert listed(home)["a"]["title"] == "better"
    assert toy.WORLD.asked == addresses("a")


@pytest.mark.parametrize(
    ("rule_set", "tags"),
    [(rules_for((VIEWS, "faces")), ["Landscape"]), (rules_for((VIEWS, "views")), [])],
    ids=["moved to another label", "asked for no more"],
)
def test_tags_follow_the_rule_set(toy, home, rule_set, tags):
    toy.WORLD.lists = {"faces": some("a"), "views": []}
    ingest_from(home, ONE)
    ingest_from(home, rule_set)
    assert tags_of(listed(home)["a"]) == tags
    assert toy.WORLD.asked == addresses("a")


def test_what_only_the_fetch_told_outlives_later_listings(toy, home):
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}a", Facts(title="a", tags=(("genre", "Grid"),)), about={"x": 1})]}
    told = Facts(title="A", license="CC-BY-4.0", tags=(("genre", "Poster"), ("genre", "Portrait")))
    sha256, size_bytes = home.put_blob([b"a"], 10)
    gives(toy.WORLD, a=Fetched("music", sha256, size_bytes, facts=told, about={"chapters": [1]}))
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}a", Facts(title="b", creator="Anna"), about={"x": 2})]}
    ingest_from(home, ONE)
    row = listed(home)["a"]
    assert (row["title"], row["creator"], row["license"], row["modality"]) == ("A", "Anna", "CC-BY-4.0", "music")
    assert tags_of(row) == ["Portrait", "Poster"]
    assert rows_of(home, "about") == [('{"chapters":[1],"x":1}',), ('{"chapters":[1],"x":2}',)]


def test_media_that_changed_are_fetched_again(toy, home):
    toy.WORLD.lists = {"faces": some("a", state="1")}
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": some("a", state="2")}
    gives(toy.WORLD, a=b"other bytes")
    ingest_from(home, ONE)
    ingest_from(home, ONE)
    assert [revision for revision, _ in rows_of(home, "revision", "sha256")] == [1, 2]
    assert listed(home)["a"]["sha256"] == rows_of(home, "sha256")[1][0] != rows_of(home, "sha256")[0][0]
    assert len(toy.WORLD.asked) == 2


def test_an_item_stays_although_its_new_address_gives_nothing(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}new", Facts(title="new"))]}
    gives(toy.WORLD, new=ItemError("timed_out"))
    for _ in range(2):  # what is said anew of what is kept comes after the try
        ingest_from(home, ONE)
    row = listed(home)["a"]
    assert (row["sha256"], row["reason"], row["title"]) == (toy.sha256_of(f"{SITE}a"), None, "new")
    count = len(rows_of(home))
    ingest_from(home, ONE)
    assert len(rows_of(home)) == count
    assert toy.WORLD.asked == addresses(["a", "new"])
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}new", Facts(title="newer"))]}
    ingest_from(home, ONE)
    assert (listed(home)["a"]["title"], len(toy.WORLD.asked)) == ("newer", 2)
    gives(toy.WORLD)
    (result,) = ingest.retry(home, ["toy"], MEANS)
    assert result.ended.fetched == 1
    ingest_from(home, ONE)
    row = listed(home)["a"]
    assert (row["sha256"], row["title"]) == (toy.sha256_of(f"{SITE}new"), "newer")


@pytest.mark.parametrize("is_told_by_list", [False, True])
def test_what_opts_out_later_is_used_no_more_until_it_can_be_had_again(toy, home, is_told_by_list):
    toy.WORLD.lists = {"faces": some("a", state="1")}
    ingest_from(home, ONE)
    refusal = ItemError("opted_out") if is_told_by_list else None
    gives(toy.WORLD, a=ItemError("opted_out"))
    for title in ("a", "b", "b"):
        toy.WORLD.lists = {"faces": [Found("a", f"{SITE}a", Facts(title=title), "2", refusal=refusal)]}
        ingest_from(home, ONE)
    row = listed(home)["a"]
    assert (row["reason"], row["sha256"], row["title"]) == ("opted_out", None, "b")
    assert len(toy.WORLD.asked) == (1 if is_told_by_list else 2)
    gives(toy.WORLD, a=ItemError("timed_out"))
    toy.WORLD.lists = {"faces": some("a", state="3")}
    for _ in range(3):
        ingest_from(home, ONE)
    assert listed(home)["a"]["reason"] == "opted_out"
    count = len(rows_of(home))
    ingest_from(home, ONE)
    assert len(rows_of(home)) == count
    gives(toy.WORLD)
    ingest.retry(home, ["toy"], MEANS)
    assert listed(home)["a"]["reason"] is None


def test_what_opted_out_and_is_refused_by_its_list_for_another_reason_comes_to_rest(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    gives(toy.WORLD, a=ItemError("opted_out"))
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": [Found("a", f"{SITE}a", Facts(title="new"), refusal=ItemError("duration"))]}
    for _ in range(3):
        ingest_from(home, ONE)
    count = len(rows_of(home))
    ingest_from(home, ONE)
    assert (len(rows_of(home)), listed(home)["a"]["reason"]) == (count, "opted_out")


OLD, NEW = (Found("x", f"{SITE}{address}", Facts(title="x")) for address in ("old", "new"))
REFUSED = replace(OLD, refusal=ItemError("not_available", "live"))


@pytest.mark.parametrize("was", [OLD, REFUSED], ids=["gone", "refused"])
@pytest.mark.parametrize("rule_set", [RULES, rules_for((VIEWS, "views"))], ids=["left its list", "list is dropped"])
def test_what_a_list_said_counts_no_more_when_another_one_offers_the_item(toy, home, was, rule_set):
    gives(toy.WORLD, old=ItemError("gone"))
    toy.WORLD.lists = {"faces": [was], "views": []}
    ingest_from(home, RULES)
    assert listed(home)["x"]["sha256"] is None
    toy.WORLD.lists = {"faces": [], "views": [NEW]}
    ingest_from(home, rule_set)
    assert listed(home)["x"]["sha256"] == toy.sha256_of(f"{SITE}new")


@pytest.mark.parametrize("limit", [None, 1])
def test_a_list_that_was_not_read_to_its_end_has_not_left_out_anything(toy, home, limit):
    toy.WORLD.lists = {"faces": [*some("a"), REFUSED], "views": []}
    ingest_from(home, RULES)
    toy.WORLD.lists = {"faces": some("b") if limit else [TransientError("busy")], "views": [NEW]}
    ingest_from(home, RULES, limit=limit)
    assert f"{SITE}new" not in toy.WORLD.asked
    assert listed(home)["x"]["reason"] == "not_available"


@pytest.mark.parametrize("limit", [None, 1])
def test_an_item_without_an_id_is_refused_and_bars_no_way(toy, home, limit):
    toy.WORLD.lists = {
        "faces": [Found("", f"{SITE}e"), Found("\ud800", f"{SITE}e"), Found("?", f"{SITE}e"), *some("a")]
    }
    for _ in range(2):
        ingest_from(home, ONE, limit=limit)
    rows = listed(home)
    assert sorted(name for name, row in rows.items() if row["sha256"]) == ["?", "a"]
    assert (rows[""]["reason"], rows[""]["detail"]) == ("invalid_metadata", "the list gives it no id")


def test_counts_are_of_the_lists_that_were_asked_for(toy, home):
    toy.WORLD.lists = {"faces": [*some(*"abc"), *some("r", refusal=ItemError("duration"))], "views": some("d")}
    ingest_from(home, RULES, quota_bytes=0)
    toy.WORLD.lists["views"] = [Found("d", f"{SITE}d", Facts(title="new"))]
    for one in (
        ingest_from(home, RULES, labels=["Old views"], quota_bytes=0),
        ingest_from(home, rules_for((VIEWS, "views"))),
    ):
        assert (one.found, one.waiting + one.ended.count, one.updated, one.refused) == (1, 1, 0, {})


def test_errors_that_a_source_raises_before_it_yields_are_as_those_after(toy, home, monkeypatch):
    def closed(*_):
        raise TransientError("closed")

    toy.WORLD.lists = {"faces": some("a")}
    with monkeypatch.context() as patch:
        patch.setattr(toy, "fetched", closed)
        assert ingest_from(home, ONE).ended.failed == {"unreachable": 1}
    monkeypatch.setattr(toy, "found", closed)
    (failure,) = ingest_from(home, ONE).failures.values()
    assert (failure.reason, failure.detail) == ("unreachable", "closed")


@pytest.mark.parametrize("batch_items", [1, 250])
def test_an_ingest_makes_one_table_however_small_its_batches_are(toy, home, batch_items):
    toy.BATCH_ITEMS = batch_items
    toy.WORLD.lists = {"faces": some(*(f"{n:02}" for n in range(40)))}
    ingest_from(home, ONE)
    (table,) = home.items("toy").glob("*.parquet")
    assert [path.name for path in (home.root / "fetching" / "toy").iterdir()] == ["lock"]
    assert len(rows_of(home)) == 40


def test_a_line_that_a_power_loss_spoiled_is_dropped(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    gives(toy.WORLD, b=KeyError("dies here"))
    journal = killed(home)
    lines = journal.read_bytes()
    journal.write_bytes(b"\0\0\0\n{\n7\n{}\n\xc3\n" + lines + lines + b"\0\0")
    gives(toy.WORLD)
    ingest_from(home, ONE)
    assert toy.WORLD.asked == addresses("abb")
    assert len(rows_of(home)) == 2


def test_journals_that_were_taken_up_in_part_leave_no_row_twice(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    gives(toy.WORLD, b=KeyError("dies here"))
    journal = killed(home)
    lines = journal.read_bytes()
    ingested.convert_leftovers(home, ["toy"])
    journal.write_bytes(lines)  # as if the process died before it removed this one
    ingested.convert_leftovers(home, ["toy"])
    assert len(rows_of(home)) == 1
    assert not journal.exists()


def test_a_refusal_of_a_list_is_a_row_without_a_request_and_ends_with_it(toy, home):
    refusal = ItemError("duration", "10 hours")
    toy.WORLD.lists = {"faces": [*some("a", refusal=refusal), *some("b", "c")]}
    result = ingest_from(home, ONE, limit=2)
    assert (result.refused, result.ended.fetched) == ({"duration": 1}, 2)
    assert ingest_from(home, ONE).refused == {}
    row = listed(home)["a"]
    assert (row["reason"], row["detail"], row["title"]) == ("duration", "10 hours", "a")
    assert sorted(toy.WORLD.asked) == addresses("bc")
    toy.WORLD.lists = {"faces": some("a", refusal=ItemError("login_required"))}
    assert ingest_from(home, ONE).refused == {"login_required": 1}
    toy.WORLD.lists = {"faces": some("a")}
    ingest_from(home, ONE)
    assert listed(home)["a"]["reason"] is None


def test_what_was_fetched_stays_although_a_list_refuses_it_now(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    ingest_from(home, ONE)
    toy.WORLD.lists = {"faces": some("a", refusal=ItemError("not_available"))}
    assert ingest_from(home, ONE).refused == {}
    assert listed(home)["a"]["reason"] is None


def test_a_limit_fills_all_labels_alike(toy, home):
    rule_set = rules_for((FACES, "one"), (FACES, "two"), (VIEWS, "three"), (BILLS, "four"))
    names = {"one": [f"a{n}" for n in range(9)], "two": ["b0", "b1"], "three": ["a1", "c0", "c1"], "four": ["d0"]}
    toy.WORLD.lists = {text: some(*found) for text, found in names.items()}
    result = ingest_from(home, rule_set, limit=7)
    assert result.ended.fetched == 7
    fetched = set(listed(home))
    # A face, a view, a bill and so on; what stands in two lists counts for one of them.
    assert {"d0", "a1", "c0"} < fetched
    assert len(fetched & {"b0", "b1"}) + len([name for name in fetched if name.startswith("a")]) <= 4
    assert ingest_from(home, rule_set, limit=100).ended.fetched == 7


def test_a_list_is_read_no_further_than_a_limit_needs(toy, home):
    toy.WORLD.lists = {"faces": some(*(f"{n:03}" for n in range(100)))}
    ingest_from(home, ONE, limit=3)
    assert toy.WORLD.listed == ["000", "001", "002"]
    toy.WORLD.listed.clear()
    ingest_from(home, ONE, limit=2)
    assert toy.WORLD.listed == ["000", "001", "002", "003", "004"]
    assert list(listed(home)) == toy.WORLD.listed


def test_a_limit_reads_one_list_of_a_label_and_another_one_the_next_time(toy, home):
    rule_set = rules_for(*((FACES, f"faces {n}") for n in range(4)))
    toy.WORLD.lists = {f"faces {n}": some(*(f"{n}{item}" for item in range(9))) for n in range(4)}
    read = []
    for _ in range(5):
        ingest_from(home, rule_set, limit=3)
        read.append({item[0] for item in toy.WORLD.listed})
        toy.WORLD.listed.clear()
    assert read == [{"0"}, {"1"}, {"2"}, {"3"}, {"0"}]
    assert len(listed(home)) == 15


def test_a_limit_below_the_number_of_labels_fills_them_in_turn(toy, home):
    rule_set = rules_for((VIEWS, "v"), (FACES, "f"), (BILLS, "b"))
    toy.WORLD.lists = {text: some(*(f"{text}{n}" for n in range(9))) for text in "vfb"}
    toy.WORLD.lists["b"] += some(*(f"no{n}" for n in range(9)), refusal=ItemError("duration"))  # they fill nothing
    for _ in range(6):
        ingest_from(home, rule_set, limit=1)
    assert Counter(address.removeprefix(SITE)[0] for address in toy.WORLD.asked) == {"v": 2, "f": 2, "b": 2}


@pytest.mark.parametrize("limit", [7, 40])
def test_lists_that_hold_the_same_are_read_twice_at_most(toy, home, limit):
    rule_set = rules_for((FACES, "f"), (VIEWS, "v"), (BILLS, "b"))
    names = [f"{n:02}" for n in range(50)]
    toy.WORLD.lists = {text: some(*names) for text in "fvb"}
    assert ingest_from(home, rule_set, limit=limit).ended.fetched == limit
    assert toy.WORLD.listed.count("00") <= 2 * 3


def test_a_limit_goes_on_reading_where_the_lists_of_a_label_hold_too_little(toy, home):
    rule_set = rules_for((FACES, "short"), (FACES, "none"), (VIEWS, "long"))
    toy.WORLD.lists = {"short": some("a0"), "none": [], "long": some(*(f"b{n}" for n in range(50)))}
    assert ingest_from(home, rule_set, limit=20).ended.fetched == 20
    assert len(toy.WORLD.listed) < 2 * 50


def test_where_only_all_lists_tell_what_an_item_is_a_limit_leaves_none_early(toy, home, monkeypatch):
    monkeypatch.setattr(toy, "LISTS_ADD_UP", True, raising=False)
    toy.WORLD.lists = {"faces": some(*(f"{n:03}" for n in range(100))), "views": some("099")}
    assert ingest_from(home, RULES, limit=2).ended.fetched == 2
    assert toy.WORLD.listed.count("099") == 2
    assert "099" in listed(home)  # the only one that is for the views


def test_what_fits_a_label_is_fetched_before_what_does_not(toy, home, monkeypatch):
    values = content()
    (label,) = [each for each in values["labels"] if each["name"] == "Faces"]
    label["image"] = {"all": [{"genre": ["Portrait"]}, {"year": {"min": 1900}}]}
    collected = {"collect": {"toy": [{"tags": FACES, "lists": [{"search": "faces"}]}]}}
    both = RuleSet.model_validate(values | collected)
    faces = [Found(f"{year}", f"{SITE}{year}", Facts(year=year)) for year in range(1890, 1910)]
    toy.WORLD.lists = {"faces": faces}
    monkeypatch.setattr(toy, "LISTS_ADD_UP", True, raising=False)
    ingest_from(home, both, limit=10)
    assert sorted(listed(home)) == [str(year) for year in range(1900, 1910)]
    ingest_from(home, both, limit=1)
    assert "1890" in listed(home)  # the rest is not lost


def test_a_long_list_is_written_before_it_ends(toy, home, monkeypatch):
    monkeypatch.setattr(lists, "ROWS_AT_ONCE", 10)
    toy.WORLD.lists = {"faces": [*some(*(f"{n:03}" for n in range(25))), MemoryError()]}
    with pytest.raises(MemoryError):
        ingest_from(home, ONE)
    assert found.count(home, "toy", "search: faces") == 20
    toy.WORLD.lists = {"faces": some(*(f"{n:03}" for n in range(25)))}
    assert ingest_from(home, ONE).ended.fetched == 25


def test_only_the_lists_of_a_label_are_read(toy, home):
    toy.WORLD.lists = {"faces": some("a"), "views": some("b")}
    ingest_from(home, RULES, labels=["Old views"])
    assert list(listed(home)) == ["b"]
    with pytest.raises(ConfigurationError, match="Facess"):
        ingest_from(home, RULES, labels=["Facess"])


def test_a_quota_ends_an_ingest_cleanly_and_nothing_is_lost(toy, home):
    toy.WORLD.lists = {"faces": some(*(f"{n:02}" for n in range(40)))}
    size = len(f"{SITE}00")
    means = replace(MEANS, each=in_threads(1))
    first = ingest_from(home, ONE, means, quota_bytes=10 * size)
    assert (first.ended.fetched, first.waiting) == (10, 30)
    assert first.ended.stopped == f"the quota of {10 * size} bytes is reached: {10 * size} bytes are stored"
    assert ingest_from(home, ONE, means, quota_bytes=10 * size).ended.fetched == 0
    assert ingest_from(home, ONE, means, quota_bytes=11 * size).ended.fetched == 1
    rest = ingest_from(home, ONE)
    assert (rest.ended.fetched, rest.waiting, rest.ended.stopped) == (29, 0, "")
    assert Counter(toy.WORLD.asked) == Counter(addresses([f"{n:02}" for n in range(40)]))


def test_a_disk_that_is_nearly_full_ends_an_ingest_cleanly(toy, home, monkeypatch):
    toy.WORLD.lists = {"faces": some("a")}
    monkeypatch.setattr(fetching, "SPARE_DISK_BYTES", 1 << 60)
    result = ingest_from(home, ONE)
    assert (result.ended.fetched, result.waiting) == (0, 1)
    assert "bytes of disk are free" in result.ended.stopped


def test_trouble_of_the_work_folder_is_the_fate_of_no_item(toy, home):
    def busy(address):
        raise HomeBusy("s3://bucket is busy")

    toy.WORLD.lists, toy.WORLD.media = {"faces": some("a")}, busy
    with pytest.raises(HomeBusy):
        ingest_from(home, ONE)
    toy.WORLD.media = str.encode
    assert ingest_from(home, ONE).ended.fetched == 1


def test_a_dry_run_counts_and_writes_nothing(toy, home):
    toy.WORLD.lists = {"faces": some("a"), "views": some("b")}
    ingest_from(home, RULES, labels=["Faces"])
    toy.WORLD.lists["faces"] += [*some("c"), *some("d", refusal=ItemError("duration")), TransientError("busy")]
    before = files_of(home.root)
    toy.WORLD.asked.clear()
    forecasts, failed = ingest.dry_run(home, ["toy"], RULES, MEANS)
    assert forecasts == [Forecast("toy", "Old views", 1, 0, 1, 0), Forecast("toy", "Faces", 3, 1, 1, 1)]
    assert [(each.query.text, each.failure.reason) for each in failed] == [("faces", "unreachable")]
    assert files_of(home.root) == before
    assert toy.WORLD.asked == []


def test_a_dry_run_makes_no_work_folder(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    ingest.dry_run(home, ["toy"], ONE, MEANS)
    assert not home.root.exists()


def test_a_retry_takes_what_is_parked_and_nothing_else(toy, home):
    toy.WORLD.lists = {"faces": [*some("a", "b", "c"), *some("d", refusal=ItemError("not_available"))]}
    gives(toy.WORLD, a=ItemError("rate_limited", "HTTP 429"), b=ItemError("gone"))
    first = ingest_from(home, ONE)
    assert first.ended.failed == {"rate_limited": 1, "gone": 1}
    assert listed(home)["a"]["reason"] == "rate_limited"
    gives(toy.WORLD)
    toy.WORLD.asked.clear()
    (result,) = ingest.retry(home, ["toy"], MEANS)
    assert (result.ended.fetched, toy.WORLD.asked) == (1, addresses("a"))
    row = listed(home)["a"]
    assert (row["reason"], row["sha256"]) == (None, toy.sha256_of(f"{SITE}a"))
    assert ingest.retry(home, ["toy"], MEANS)[0].ended.count == 0
    (result,) = ingest.retry(home, ["toy"], MEANS, reasons=["gone", "not_available"])
    assert (result.ended.fetched, toy.WORLD.asked) == (1, addresses("ab"))
    assert ingest_from(home, ONE).ended.count == 0


def test_a_retry_for_a_reason_that_is_none_says_so(toy, home):
    with pytest.raises(ConfigurationError, match="no fetch ends with busy, leak: expected of address_refused"):
        ingest.retry(home, ["toy"], MEANS, reasons=["leak", "busy", "gone"])


def test_an_error_that_a_source_raises_is_the_fate_of_what_it_had_not_answered(toy, home):
    names = [f"{n:02}" for n in range(48)]
    toy.BATCH_ITEMS = 3
    toy.WORLD.lists = {"faces": some(*names)}
    gives(toy.WORLD, **{"01": TransientError("closed for lunch"), "04": ItemError("gone")})
    result = ingest_from(home, ONE)
    assert result.ended.failed == {"unreachable": 2, "gone": 1}
    rows = listed(home)
    assert [rows[name]["reason"] for name in names[:6]] == [None, "unreachable", "unreachable", None, "gone", None]
    assert rows["02"]["detail"] == "closed for lunch"
    assert "unreachable" in PARKED


def test_a_bug_ends_the_run_and_what_was_fetched_stays(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b", "c")}
    gives(toy.WORLD, c=KeyError("a bug"))
    with pytest.raises(KeyError):
        ingest_from(home, ONE, replace(MEANS, each=in_threads(1)))
    ingested.convert_leftovers(home, ["toy"])  # as a build does
    assert list(listed(home)) == ["a", "b"]
    gives(toy.WORLD)
    assert ingest_from(home, ONE).ended.fetched == 1


def test_a_source_that_forgets_an_item_is_a_bug(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    toy.fetched = lambda items, tools: iter(())
    with pytest.raises(RuntimeError, match="toy never said what became of a"):
        ingest_from(home, ONE)


def test_a_list_that_breaks_off_keeps_what_it_gave_and_the_others_go_on(toy, home):
    toy.WORLD.lists = {
        "faces": [*some("a"), ItemError("changed_site", "no field `items`"), *some("never")],
        "views": [*some("b"), TransientError("HTTP 503")],
    }
    result = ingest_from(home, RULES)
    told = {name: (failure.reason, failure.detail) for name, failure in result.failures.items()}
    assert told == {
        "search: faces": ("changed_site", "no field `items`"),
        "search: views": ("unreachable", "HTTP 503"),
    }
    assert list(listed(home)) == ["a", "b"]


def test_two_ingests_of_one_source_are_kept_apart(toy, home):
    toy.WORLD.lists = {"faces": some("a")}
    refused: list[str] = []

    def media(address: str) -> bytes:
        with pytest.raises(ConfigurationError) as error:
            ingest_from(home, ONE)
        refused.append(str(error.value))
        return b"a"

    toy.WORLD.media = media
    ingest_from(home, ONE)
    assert refused == [f"{home.root}: another ingest of toy is running; wait for its end"]


def test_what_was_removed_is_not_asked_for(toy, home):
    toy.WORLD.lists = {"faces": [*some("a", "b"), *some("c", refusal=ItemError("duration"))]}
    for name in "ac":
        tombstones.write(home, Tombstone("toy", name, None, None, None, "they asked", "2026-11-22T12:00:00Z"))
    result = ingest_from(home, ONE)
    assert (result.ended.fetched, result.waiting, result.refused) == (1, 0, {})
    assert toy.WORLD.asked == addresses("b")
    toy.WORLD.lists["faces"] += some("d")
    assert ingest_from(home, ONE, limit=1).ended.fetched == 1


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["nowhere"], "no source is called 'nowhere'"),
        (["local"], "local lists this machine: `artune build --source local` collects it"),
        (["toy:A", "toy:B"], "toy is named with two locations"),
    ],
)
def test_a_source_that_cannot_be_ingested_says_why(toy, home, named, expected):
    with pytest.raises(ConfigurationError, match=expected):
        ingest.ingest(home, named, ONE, MEANS)
    assert not home.root.exists()


def test_what_a_source_needs_is_told_before_any_work(toy, home):
    toy.WORLD.needed = [
        Need("TOY_KEY", False, advice="get one"),
        Need("toys", False, False, "nicer"),
        Need("net", True),
    ]
    with pytest.raises(ConfigurationError, match="^toy needs TOY_KEY: get one$"):
        ingest_from(home, ONE)


def test_all_lists_that_cannot_be_are_told_at_once(toy, home):
    rule_set = rules_for((FACES, "faces"))
    bad = rule_set.collect["toy"][0].model_copy(update={"lists": ({"board": "x"}, {"pin": "y"})})
    rule_set = rule_set.model_copy(update={"collect": {"toy": (bad,)}})
    with pytest.raises(ConfigurationError) as error:
        ingest_from(home, rule_set)
    assert str(error.value).splitlines() == [
        "collect.yaml: toy: board: x: expected search: TEXT",
        "collect.yaml: toy: pin: y: expected search: TEXT",
    ]


def test_a_rule_set_that_asks_for_nothing_is_told(toy, home):
    with pytest.raises(ConfigurationError, match="tiny asks toy for nothing for Bills: expected lists"):
        ingest_from(home, RULES, labels=["Bills"])


def test_a_build_before_an_ingest_is_told_what_to_do(toy, home):
    with pytest.raises(ConfigurationError, match="nothing was ingested from toy yet: `artune ingest toy`"):
        collect.list_sources(home, ["toy:anywhere"])


def killed(home: Home) -> Path:
    """Leave a work folder as an ingest that is killed does, and return its journal."""
    with pytest.raises(KeyError):
        ingest_from(home, ONE, replace(MEANS, each=in_threads(1)))
    journals = (home.root / "fetching" / "toy").glob("*.jsonl")
    (journal,) = (path for path in journals if path.stat().st_size)
    return journal


def test_what_a_killed_ingest_left_is_taken_up(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    gives(toy.WORLD, b=KeyError("dies here"))
    with killed(home).open("a") as file:
        file.write('{"source": "toy", "source_id": "to')
    ingested.convert_leftovers(home, ["toy", "folder"])
    assert list(listed(home)) == ["a"]
    gives(toy.WORLD)
    ingest_from(home, ONE)
    assert toy.WORLD.asked == addresses("abb")


def test_a_blob_that_went_as_garbage_after_a_kill_is_fetched_again(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}
    gives(toy.WORLD, b=KeyError("dies here"))
    killed(home)
    home.blob(toy.sha256_of(f"{SITE}a")).unlink()
    gives(toy.WORLD)
    ingest_from(home, ONE)
    assert [home.blob(row["sha256"]).exists() for row in listed(home).values()] == [True, True]


def test_what_a_collection_of_garbage_forgets_is_fetched_again_and_the_rest_stays_whole(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b", state="1", about={"board": "x"})}
    toy.BATCH_ITEMS = 250
    ingest_from(home, ONE)
    before = rows_of(home)
    sha256 = pa.array([toy.sha256_of(f"{SITE}b")])
    history.remove(home, history.Garbage([], [home.blob(sha256[0].as_py())], sha256, [], []))
    assert rows_of(home) == before[:1]
    toy.WORLD.asked.clear()
    ingest_from(home, ONE)
    assert (toy.WORLD.asked, rows_of(home)) == (addresses("b"), before)


def test_what_no_table_can_hold_is_mended_wherever_it_comes_from(toy, home):
    bad = "\ud800\0"
    item = Found(f"a{bad}", SITE, Facts(title=f"<b>{bad}", tags=(("genre", bad),)), bad, {"board": bad})
    told = Facts(creator=bad, year=1 << 40)
    sha256, size_bytes = home.put_blob([b"a"], 10)
    gives(toy.WORLD)
    toy.WORLD.media = lambda address: Fetched("image", sha256, size_bytes, bad, bad, told, {"x": bad})
    toy.WORLD.lists = {"faces": [item]}
    ingest_from(home, ONE, limit=1)
    toy.WORLD.lists["faces"] += some("b")
    assert ingest_from(home, ONE, limit=1).ended.fetched == 1
    row = listed(home)["a? "]
    assert (row["title"], row["creator"], row["year"]) == ("<b>? ", "? ", None)


def test_batches_can_be_sent_to_another_process(toy, home):
    toy.WORLD.lists = {"faces": some("a", "b")}

    def sent(work, batches, stage):
        return [pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(batch))))) for batch in batches]

    result = ingest_from(home, ONE, replace(MEANS, each=sent), quota_bytes=1000)
    assert result.ended.fetched == 2


# Laws.

OUTCOMES = [b"bytes", b"other", ItemError("gone"), ItemError("timed_out"), TransientError("busy")]
NAMES = "abcdefgh"


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, list[Found | Exception]], dict[str, bytes | Exception]]:
    """Draw what two lists hold, and what every address gives."""
    lots = random.Random(draw(st.integers(0, 2**32)))
    lists: dict[str, list[Found | Exception]] = {}
    for text in ("faces", "views"):
        names = lots.sample(NAMES, lots.randrange(len(NAMES)))
        refusals = [ItemError("duration") if lots.random() < 0.2 else None for _ in names]
        states = [lots.choice(["", "1"]) for _ in names]
        titles = [lots.choice(["Lake", "Mill"]) for _ in names]
        lists[text] = [
            Found(name, f"{SITE}{name}", Facts(title=title), state, refusal=refusal)
            for name, title, state, refusal in zip(names, titles, states, refusals, strict=True)
        ]
        if lots.random() < 0.2:
            lists[text].insert(lots.randrange(len(names) + 1), TransientError("busy"))
    return lists, {name: lots.choice(OUTCOMES) for name in NAMES}


@settings(max_examples=10)
@given(st.lists(worlds(), min_size=1, max_size=2), st.sampled_from([None, 2]))
def test_every_found_item_ends_fetched_refused_or_waiting(seen, limit):
    with tempfile.TemporaryDirectory() as folder, toy_source() as toy:
        home, ids = Home(Path(folder)), set[str]()
        toy.BATCH_ITEMS = 2
        for lists, outcomes in seen:
            toy.WORLD.lists = lists
            gives(toy.WORLD, **outcomes)
            toy.WORLD.listed.clear()
            result = ingest_from(home, RULES, limit=limit)
            ids |= set(toy.WORLD.listed)
            rows = rows_of(home, "source_id", "revision", "sha256", "reason", "version")
            known = {row[0] for row in rows}
            assert result.found == len(ids)
            assert result.waiting >= len(ids - known)
            assert known <= ids
            assert all((sha256 is None) != (reason is None) for _, _, sha256, reason, _ in rows)
            assert len({row[:2] for row in rows}) == len({row[-1] for row in rows}) == len(rows)
            if known:
                fetched_once = {row[0] for row in rows if row[2]}
                assert {name for name, row in listed(home).items() if row["sha256"]} == fetched_once
                assert set(listed(home)) == known
            if limit is None and not result.failures:
                assert (result.waiting, known) == (0, ids)
        for _ in range(4):  # what moved and could not be had is said anew, and then asked for once more
            ingest_from(home, RULES)
        toy.WORLD.asked.clear()
        before = rows_of(home)
        ingest_from(home, RULES)
        assert (toy.WORLD.asked, rows_of(home)) == ([], before)


@settings(max_examples=15)
@given(worlds(), st.integers(0, 2**32))
def test_neither_the_order_of_lists_nor_of_threads_changes_a_row(world, seed):
    found_rows = []
    for attempt in range(2):
        with tempfile.TemporaryDirectory() as folder, toy_source() as toy:
            toy.BATCH_ITEMS = 1
            lists, outcomes = world
            toy.WORLD.lists = lists
            gives(toy.WORLD, **outcomes)
            lists_of = [(FACES, "faces"), (VIEWS, "views")]
            lots = random.Random(seed)

            def shuffled(work, batches, stage, lots=lots):
                order = lots.sample(range(len(batches)), len(batches))
                results = in_threads(3)(work, [batches[at] for at in order], stage)
                return [results[order.index(at)] for at in range(len(batches))]

            means = replace(MEANS, each=shuffled) if attempt else MEANS
            ingest_from(Home(Path(folder)), rules_for(*(reversed(lists_of) if attempt else lists_of)), means)
            found_rows.append(rows_of(Home(Path(folder))))
    assert found_rows[0] == found_rows[1]
