import asyncio
import logging
import threading
import time

import pytest

from curation.errors import ItemError
from curation.web import Surroundings
from curation.web.hosts import FAILURES_TO_OPEN, Hosts, Trouble
from tests.sites import Haste

FAST = {"a.test": 10_000.0}


def surrounded(haste: Haste) -> Hosts:
    hosts = Hosts(frozenset(), Surroundings(haste.now, haste.sleep))
    hosts.set_rates(FAST)
    return hosts


def failing(host, count=FAILURES_TO_OPEN):
    for address in range(count):
        host.failed(Trouble("server_error", "HTTP 503"), address)


async def is_admitted(host) -> bool:
    try:
        async with host.turn():
            return True
    except ItemError as error:
        if error.reason != "host_paused":
            raise
        return False


def test_a_host_that_fails_again_and_again_is_left_alone_and_the_message_says_for_how_long(haste, caplog):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host, FAILURES_TO_OPEN - 1)
        assert await is_admitted(host)
        with caplog.at_level(logging.WARNING):
            failing(host)
        with pytest.raises(
            ItemError, match=r"host_paused: a.test keeps failing .HTTP 503.: it is asked again after 60 s"
        ):
            await host.admit()

    asyncio.run(scene())
    assert "not before 20" in caplog.text
    assert haste.slept == []


def test_one_address_that_always_fails_says_nothing_of_its_host(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        for _ in range(20):
            host.failed(Trouble("server_error", "HTTP 500"), "/broken")
        assert await is_admitted(host)

    asyncio.run(scene())


def test_an_answer_in_between_starts_the_count_anew(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host, FAILURES_TO_OPEN - 1)
        host.succeeded()
        failing(host, FAILURES_TO_OPEN - 1)
        assert await is_admitted(host)

    asyncio.run(scene())


def test_after_the_pause_one_trial_goes_ahead_and_opens_the_way_for_all_who_wait(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host)
        haste.ahead_s += 60
        trial = await host.admit()
        assert trial
        waiting = [asyncio.create_task(is_admitted(host)) for _ in range(5)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        host.succeeded()
        assert await asyncio.gather(*waiting) == [True] * 5
        host.leave(trial)

    asyncio.run(scene())


def test_a_trial_that_fails_doubles_the_pause_and_sends_away_all_who_wait(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host)
        for pause_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
            haste.ahead_s += pause_s - 1
            assert not await is_admitted(host)
            haste.ahead_s += 1
            trial = await host.admit()
            assert trial
            waiting = asyncio.create_task(is_admitted(host))
            await asyncio.sleep(0)
            host.failed(Trouble("server_error", "HTTP 503"), "/trial")
            host.leave(trial)
            assert not await waiting

    asyncio.run(scene())


def test_whoever_waits_for_a_trial_without_end_is_sent_away(haste, monkeypatch):
    monkeypatch.setattr("curation.web.hosts.LONGEST_WAIT_S", 0.05)

    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host)
        haste.ahead_s += 60
        trial = await host.admit()
        assert not await is_admitted(host)
        host.leave(trial)
        assert await is_admitted(host)

    asyncio.run(scene())


def test_who_holds_the_trial_and_asks_for_more_is_sent_away_and_stops_nobody(site, web, haste, monkeypatch):
    monkeypatch.setattr("curation.web.hosts.LONGEST_WAIT_S", 0.05)
    web.permit(f"{site.url}/a")
    for _ in range(FAILURES_TO_OPEN):
        web.told(site.host, 500)
    with pytest.raises(ItemError, match="host_paused"), web.turn(site.host):
        pass
    haste.ahead_s += 25 * 60 * 60  # longer than the pause, and than rules are believed
    with pytest.raises(ItemError, match="host_paused"), web.turn(site.host):
        web.permit(f"{site.url}/a")
    web.permit(f"{site.url}/b")


def test_what_was_under_way_when_the_breaker_opened_does_not_prolong_the_pause(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host, 3 * FAILURES_TO_OPEN)
        haste.ahead_s += 60
        assert await is_admitted(host)

    asyncio.run(scene())


def test_a_trial_that_was_given_up_leaves_the_next_one_to_another(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        failing(host)
        haste.ahead_s += 60
        given_up = await host.admit()
        host.leave(given_up)
        trial = await host.admit()
        assert trial
        assert trial is not given_up

    asyncio.run(scene())


def test_a_short_quiet_is_waited_for_and_a_long_one_is_not(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        host.failed(Trouble("rate_limited", "HTTP 429", 20), "/a")
        assert await is_admitted(host)
        assert haste.slept == [pytest.approx(20, abs=1)]
        host.failed(Trouble("rate_limited", "HTTP 429", 3600), "/a")
        with pytest.raises(ItemError, match="host_paused: a.test asked for 3600 s of quiet"):
            await host.admit()
        haste.ahead_s += 3600
        assert await is_admitted(host)

    asyncio.run(scene())


def test_a_shorter_quiet_does_not_end_a_longer_one(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        host.failed(Trouble("rate_limited", "HTTP 429", 3600), "/a")
        host.failed(Trouble("rate_limited", "HTTP 429", 1), "/b")
        haste.ahead_s += 2
        assert not await is_admitted(host)

    asyncio.run(scene())


def test_one_hosts_pause_is_no_others(haste):
    async def scene():
        hosts = surrounded(haste)
        failing(hosts.get("a.test"))
        assert not await is_admitted(hosts.get("A.test"))
        assert await is_admitted(hosts.get("b.test"))

    asyncio.run(scene())


def test_what_another_client_was_told_counts(haste):
    async def scene():
        host = surrounded(haste).get("a.test")
        for status in (None, 503, 429, 500, None):
            host.told(status, None)
        assert not await is_admitted(host)
        haste.ahead_s += 60
        host.told(404, None)
        assert await is_admitted(host)
        host.told(429, 3600.0)
        assert not await is_admitted(host)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [
        ("www.wikiart.org", 1.0),
        ("uploads3.wikiart.org", 5.0),
        ("wikiart.org", 5.0),
        ("notwikiart.org", 2.0),
        ("127.0.0.1:8000", 7.0),
        ("127.0.0.1:8001", 3.0),
        ("elsewhere.org", 2.0),
    ],
)
def test_a_host_has_the_rate_that_names_it_most_closely(name, rate_hz):
    hosts = Hosts(frozenset(), Surroundings())
    hosts.set_rates({"www.wikiart.org": 1.0, ".wikiart.org": 5.0, "127.0.0.1": 7.0, "127.0.0.1:8001": 3.0})
    assert hosts.rate_hz(name) == rate_hz


def test_of_two_rates_the_lower_holds_and_a_crawl_delay_is_obeyed():
    hosts = Hosts(frozenset({"own.test"}), Surroundings())
    hosts.set_rates({"a.test": 5.0})
    hosts.set_rates({"a.test": 4.0})
    hosts.set_rates({"a.test": 6.0})
    assert hosts.rate_hz("a.test") == 4.0
    hosts.slow_down("a.test", 10)
    hosts.slow_down("a.test", 2)
    assert hosts.rate_hz("a.test") == 0.1
    assert hosts.rate_hz("own.test") > 1000


def test_hosts_below_one_suffix_share_their_tokens():
    async def scene():
        hosts = Hosts(frozenset(), Surroundings())
        hosts.set_rates({".a.test": 20.0})  # two at once
        began = time.monotonic()
        for turn in range(6):
            assert await is_admitted(hosts.get(f"u{turn}.a.test"))
        return time.monotonic() - began

    assert asyncio.run(scene()) > 0.19


def test_all_threads_of_a_process_share_a_hosts_tokens(site):
    web = site.web()
    web.set_rates({"a.test": 40.0})  # four at once, then one each 25 ms

    def ask():
        for _ in range(4):
            with web.turn("a.test"):
                pass

    threads = [threading.Thread(target=ask) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 0.29


def test_a_turn_that_ends_in_an_error_is_over(web, haste):
    web.set_rates(FAST)
    for _ in range(FAILURES_TO_OPEN):
        web.told("a.test", None)
    with pytest.raises(ItemError, match="host_paused"), web.turn("a.test"):
        pass
    haste.ahead_s += 60
    with pytest.raises(ZeroDivisionError), web.turn("a.test"):
        raise ZeroDivisionError
    with web.turn("a.test"):
        web.told("a.test", 200)
    with web.turn("a.test"):
        pass
