"""Whatever the Hub refuses or loses is told in words of ours, and the same command then ends as if nothing had been."""

import logging
import traceback
from collections import Counter

import pytest

from curation.errors import TransientError
from curation.publishing import hub as hubs
from rules.errors import ConfigurationError
from tests.curation.publishing.conftest import REPO_ID
from tests.curation.publishing.to_hub import publish
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub_site import Hub

MAIN, BRANCH, TAG = f"{REPO_ID}/commit/main", f"{REPO_ID}/commit/artune-v3", f"{REPO_ID}/tag/"
GOES_ON = "the same command goes on from there"
LOST = {"done": True}  # carried out, and the answer cut off
AT_ONCE = {"times": 6, "headers": {"Retry-After": "0"}}  # the client tries again by itself, six times in all

# method, path, status (None: the connection is cut), how
FAULTS = [
    ("GET", "/whoami-v2", 401, {}, ConfigurationError, r"does not know the token, .* `hf auth login`"),
    ("GET", "/whoami-v2", 429, {"headers": {"Retry-After": "7"}}, TransientError, rf"\(429\), for 7 s, .*{GOES_ON}"),
    ("GET", f"datasets/{REPO_ID}$", 503, {}, TransientError, rf"fails \(503\) .*{GOES_ON}"),
    ("GET", "/refs$", None, {}, TransientError, rf"cannot be reached, or cut the connection, .*{GOES_ON}"),
    ("POST", "/branch/", 403, {}, ConfigurationError, "does not let this token send data/train-00001-of-00004.parquet"),
    ("POST", "/branch/", None, LOST, TransientError, GOES_ON),
    ("POST", "/preupload/", 413, {}, ConfigurationError, "too large for the Hub"),
    ("POST", "/objects/batch", 403, {}, ConfigurationError, "an owner whose storage has room"),
    ("PUT", "^/lfs/", 403, {}, TransientError, rf"the storage of the Hub refused \(403\) .*{GOES_ON}"),
    ("PUT", "^/lfs/", 503, AT_ONCE, TransientError, r"fails \(503\) when asked to send data/train-00001"),
    ("POST", "/validate-yaml", 502, {}, TransientError, r"fails \(502\)"),
    ("POST", BRANCH, 422, {}, ConfigurationError, "does not accept what it was sent to commit to the branch artune-v3"),
    ("POST", BRANCH, None, LOST, TransientError, GOES_ON),
    ("POST", MAIN, 400, {}, ConfigurationError, "does not accept what it was sent to commit v3 to main"),
    ("POST", MAIN, 401, {}, ConfigurationError, "does not know the token"),
    ("POST", MAIN, 403, {}, ConfigurationError, "does not let this token commit v3 to main"),
    ("POST", MAIN, 404, {}, ConfigurationError, "nothing on the Hub to commit v3 to main"),
    ("POST", MAIN, 409, {}, ConfigurationError, "somebody else changed it meanwhile, .* run it again"),
    ("POST", MAIN, 412, {}, ConfigurationError, "somebody else changed it meanwhile, .* run it again"),
    ("POST", MAIN, 413, {}, ConfigurationError, "too large for the Hub, or for a proxy before it"),
    ("POST", MAIN, 429, {}, TransientError, r"asks for patience \(429\)"),
    ("POST", MAIN, 504, LOST, TransientError, r"fails \(504\)"),
    ("POST", MAIN, None, {}, TransientError, GOES_ON),
    ("POST", MAIN, None, LOST, TransientError, GOES_ON),
    ("POST", TAG, 409, {}, ConfigurationError, "somebody else changed it meanwhile"),
    ("POST", TAG, None, LOST, TransientError, GOES_ON),
    ("DELETE", "/branch/", 500, {}, TransientError, r"fails \(500\) when asked to delete the branch artune-v3-\w{12} "),
    ("DELETE", "/branch/", None, LOST, TransientError, GOES_ON),
]


@pytest.mark.parametrize(("method", "path", "status", "how", "error", "words"), FAULTS)
def test_a_refusal_is_told_and_a_rerun_ends_as_if_it_had_not_been(
    method, path, status, how, error, words, undisturbed, editions, hub: Hub, ida: User, repo: Repo, caplog
) -> None:
    before = repo.hashes("main")
    fault = hub.fail(method, path, status, **how)
    caplog.set_level(logging.DEBUG)
    with hub.watch() as traffic:
        with pytest.raises(error, match=words) as told:
            publish(editions.home, editions.dropped, REPO_ID)
        assert fault.hits == how.get("times", 1)
        assert REPO_ID in str(told.value)
        assert repo.hashes("main") in (before, undisturbed)

        hub.faults.clear()
        outcome = publish(editions.home, editions.dropped, REPO_ID)
    assert repo.hashes("v3") == repo.hashes("main") == undisturbed
    assert repo.tags == {"v1": repo.tags["v1"], "v3": outcome.commit}
    assert repo.branches == {"main": outcome.commit}
    assert hubs.check(editions.home, editions.dropped, REPO_ID) is not None
    assert len(repo.commits("main")) == 3  # that of the Hub itself, the first release, the third
    assert set(Counter(request.path for request in traffic.uploads).values()) <= {1}  # nothing is sent twice

    shown = "".join(traceback.format_exception(told.value))
    assert ida.token not in shown + caplog.text
    warned = "".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert "X-Signature" not in shown + warned
