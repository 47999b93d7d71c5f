"""What libraries raise becomes what an operator can act on; a bug stays what it is."""

import json
import logging

import httpx2
import pytest
from huggingface_hub import HfApi, get_session

from curation.errors import TransientError
from curation.publishing.hub_errors import TIMEOUT, asking
from rules.errors import ConfigurationError

SIGNED = "https://storage.example/abc?X-Amz-Signature=0123&X-Amz-Credential=me"
XET = "Request error: HTTP status client error ({}), domain: http://hub/api/datasets/ida/x/xet-write-token/main"


def wrapped(cause: Exception) -> RuntimeError:
    """Return what huggingface_hub makes of a failed upload."""
    error = RuntimeError("Error while uploading 'a' to the Hub.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "told", "words"),
    [
        (ConnectionError(XET.format("401 Unauthorized")), ConfigurationError, r"does not know the token.*status 401"),
        (PermissionError(XET.format("403 Forbidden")), ConfigurationError, r"does not let this token.*status 403"),
        (ConnectionError(f"Network error: {SIGNED}"), TransientError, "https://storage.example/abc"),
        (TimeoutError("timed out"), TransientError, "cannot be reached"),
        (RuntimeError("Xet failed"), TransientError, r"storage of the Hub failed to send a \(Xet failed\)"),
        (wrapped(httpx2.ReadTimeout("slow")), TransientError, "cannot be reached"),
        (wrapped(json.JSONDecodeError("no", "<html>", 0)), TransientError, "its answer is no JSON"),
        (httpx2.UnsupportedProtocol("ftp"), ConfigurationError, "HF_ENDPOINT"),
        (ValueError("LFS batch API returned errors:\nno room"), ConfigurationError, "no room"),
        (ValueError("Invalid metadata in README.md.\n- license"), ConfigurationError, "- license"),
        (RuntimeError("for hf_abcDEF123"), TransientError, r"for hf_\.\.\."),
    ],
)
def test_errors_of_libraries_are_told(error: Exception, told: type[Exception], words: str) -> None:
    with pytest.raises(told, match=words) as found, asking("ida/x", "send a"):
        raise error
    assert str(found.value).startswith("ida/x: ")
    assert "Signature" not in str(found.value)


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(2, "gone"), NotImplementedError("a bug")])
def test_a_bug_is_none_of_them(error: Exception) -> None:
    with pytest.raises(type(error)) as found, asking("ida/x", "send a"):
        raise error
    assert found.value is error


def test_nobody_answers() -> None:
    with pytest.raises(TransientError, match="cannot be reached"), asking("ida/x", "look"):
        HfApi(endpoint="http://127.0.0.1:1", token="hf_a").whoami()


def test_a_connection_that_died_does_not_hold_a_run_for_good() -> None:
    with asking("ida/x", "look"):
        assert get_session().timeout == TIMEOUT


def test_warnings_of_the_client_hold_no_signed_address(caplog: pytest.LogCaptureFixture) -> None:
    with asking("ida/x", "look"):
        logging.getLogger("huggingface_hub.utils._http").warning(
            "HTTP Error %d thrown while requesting %s", 503, SIGNED
        )
    assert caplog.messages == ["HTTP Error 503 thrown while requesting https://storage.example/abc"]
