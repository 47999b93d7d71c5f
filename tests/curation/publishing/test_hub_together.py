"""Somebody else works on the repository at the same time: nothing of theirs is overwritten, and they are told of."""

from contextlib import suppress

import pytest

from curation.errors import TransientError
from curation.publishing import hub as hubs
from rules.errors import ConfigurationError
from tests.curation.publishing.conftest import REPO_ID, Editions
from tests.curation.publishing.to_hub import publish
from tests.hub.repos import Repo
from tests.hub_site import Hub

MAIN = f"{REPO_ID}/commit/main"
MEANWHILE = "somebody else changed it meanwhile, when asked to commit v3 to main"
REMARK = b"\n## From a reader\n\nHear pair 7.\n"


def test_two_versions_at_once_become_one_and_the_other_is_told(editions: Editions, hub: Hub, repo: Repo) -> None:
    hub.at("POST", MAIN, lambda _: publish(editions.home, editions.opened, REPO_ID))
    with pytest.raises(ConfigurationError, match=MEANWHILE):
        publish(editions.home, editions.dropped, REPO_ID)
    assert repo.head == repo.tags["v2"]
    assert hubs.check(editions.home, editions.opened, REPO_ID) is not None

    publish(editions.home, editions.dropped, REPO_ID)
    assert [commit.id for commit in repo.commits()][:3] == [repo.tags[version] for version in ("v3", "v2", "v1")]


def test_the_same_version_twice_at_once_is_published_once(
    editions: Editions, hub: Hub, repo: Repo, undisturbed: dict[str, str]
) -> None:
    hub.at("POST", MAIN, lambda _: publish(editions.home, editions.dropped, REPO_ID))
    with pytest.raises(ConfigurationError, match=MEANWHILE):
        publish(editions.home, editions.dropped, REPO_ID)
    assert not publish(editions.home, editions.dropped, REPO_ID).is_new
    assert repo.hashes("v3") == repo.hashes("main") == undisturbed
    assert repo.branches == {"main": repo.tags["v3"]}


@pytest.mark.parametrize("request_", [("GET", "/refs$"), ("POST", "/paths-info/"), ("POST", "/preupload/")])
def test_another_who_ends_first_leaves_nothing_to_do(
    request_: tuple[str, str], editions: Editions, hub: Hub, repo: Repo, undisturbed: dict[str, str]
) -> None:
    """The branch is gone and main has moved, whatever this one was doing."""
    hub.at(*request_, lambda _: publish(editions.home, editions.dropped, REPO_ID), skip=1)
    with suppress(ConfigurationError):  # told to run the same command again, or there was time to see it
        publish(editions.home, editions.dropped, REPO_ID)
    assert not publish(editions.home, editions.dropped, REPO_ID).is_new
    assert repo.hashes("v3") == repo.hashes("main") == undisturbed
    assert repo.branches == {"main": repo.tags["v3"]}


def test_a_card_edited_in_the_last_moment_is_not_overwritten(editions: Editions, hub: Hub, repo: Repo) -> None:
    hub.at("POST", MAIN, lambda _: repo.add_commit({"README.md": repo.read("README.md") + REMARK}))
    with pytest.raises(ConfigurationError, match=MEANWHILE):
        publish(editions.home, editions.dropped, REPO_ID)
    assert repo.hashes("main")["artune.json"] == repo.hashes("v1")["artune.json"]
    assert publish(editions.home, editions.dropped, REPO_ID).hand_edited
    assert REMARK in repo.read("README.md", "v3")


def test_a_card_edited_between_two_attempts_is_kept_and_what_was_sent_is_used(
    editions: Editions, hub: Hub, repo: Repo
) -> None:
    hub.fail("POST", MAIN)
    with pytest.raises(TransientError):
        publish(editions.home, editions.dropped, REPO_ID)
    repo.add_commit({"README.md": repo.read("README.md") + REMARK, "more.txt": b"more"})
    with hub.watch() as traffic:
        outcome = publish(editions.home, editions.dropped, REPO_ID)
    assert not traffic.of("PUT")
    assert set(outcome.sent_files) <= {"README.md", "artune.json"}
    assert outcome.left_alone == ["more.txt"]
    assert REMARK in repo.read("README.md", "v3")
    assert repo.read("more.txt", "v3") == b"more"


def test_an_edit_after_a_lost_answer_does_not_keep_the_tag_away(editions: Editions, hub: Hub, repo: Repo) -> None:
    hub.fail("POST", MAIN, done=True)
    with pytest.raises(TransientError):
        publish(editions.home, editions.dropped, REPO_ID)
    edited = repo.add_commit({"README.md": repo.read("README.md") + REMARK})
    with hub.watch() as traffic:
        outcome = publish(editions.home, editions.dropped, REPO_ID)
    assert (outcome.is_new, outcome.commit) == (True, edited)
    assert not traffic.of("POST", "/commit/")
    assert repo.tags["v3"] == repo.head == edited


def test_rows_that_came_after_a_lost_answer_keep_the_tag_away(editions: Editions, hub: Hub, repo: Repo) -> None:
    hub.fail("POST", "/tag/")
    with pytest.raises(TransientError):
        publish(editions.home, editions.dropped, REPO_ID)
    repo.add_commit({"data/train-more.parquet": b"0"})
    with pytest.raises(ConfigurationError, match="would read as rows"):
        publish(editions.home, editions.dropped, REPO_ID)
    assert set(repo.tags) == {"v1"}


def test_what_an_earlier_version_gathered_and_never_published_goes(editions: Editions, hub: Hub, repo: Repo) -> None:
    """It may hold media that a removal or another license keeps out of all that comes after."""
    hub.fail("POST", MAIN)
    with pytest.raises(TransientError):
        publish(editions.home, editions.opened, REPO_ID)
    for name in ("artune-v9-0123456789ab", "artune-v2-notes", "mine"):  # of a later version, and of others
        repo.branch(name, "main")
    publish(editions.home, editions.dropped, REPO_ID)
    assert set(repo.branches) == {"main", "artune-v9-0123456789ab", "artune-v2-notes", "mine"}


def test_a_step_that_is_tried_again_finds_what_it_did(
    editions: Editions, hub: Hub, repo: Repo, undisturbed: dict[str, str]
) -> None:
    """As Prefect does it: the step alone, with what it was given first."""
    lost = [hub.fail(method, path, done=True) for method, path in [("POST", MAIN), ("POST", "/tag/"), ("DELETE", "")]]

    def three_times(work, batches, stage):
        for fault in lost if stage == "publish" else []:
            with pytest.raises(TransientError):
                work(batches[0])
            assert fault.hits == 1
        return [work(batch) for batch in batches]

    outcome = hubs.publish(editions.home, editions.dropped, REPO_ID, three_times, private=False)
    assert repo.hashes("v3") == undisturbed
    assert repo.branches == {"main": outcome.commit}
    assert len(repo.commits()) == 3


@pytest.mark.parametrize(
    ("pattern", "named"), [("*.parquet", "data/train-00001-of-00004.parquet"), ("*.json", ".json")]
)
def test_a_gitignore_that_drops_files_is_told_before_main_gets_anything(
    pattern: str, named: str, editions: Editions, hub: Hub, repo: Repo, undisturbed: dict[str, str]
) -> None:
    head = repo.add_commit({".gitignore": f"*.tmp\n{pattern}\n".encode()})
    with pytest.raises(ConfigurationError, match=rf"the Hub leaves out .*{named}.*no \.gitignore"):
        publish(editions.home, editions.dropped, REPO_ID)
    assert repo.head == head
    repo.add_commit({".gitignore": None})
    publish(editions.home, editions.dropped, REPO_ID)
    assert repo.hashes("v3") == undisturbed


def test_a_branch_that_somebody_changed_is_not_used(
    editions: Editions, hub: Hub, repo: Repo, undisturbed: dict[str, str]
) -> None:
    hub.fail("POST", MAIN)
    with pytest.raises(TransientError):
        publish(editions.home, editions.dropped, REPO_ID)
    (branch,) = set(repo.branches) - {"main"}
    repo.add_commit({"data/train-00001-of-00004.parquet": b"not Parquet", "NOTICE": b"nobody"}, branch=branch)
    publish(editions.home, editions.dropped, REPO_ID)
    assert repo.hashes("v3") == undisturbed
