"""Waiting for what other processes bring about."""

import time
from collections.abc import Callable

MAX_LOOKS = 6_000
LOOK_S = 0.02


def until(is_so: Callable[[], object]) -> None:
    """Look again and again, a bounded number of times."""
    for _ in range(MAX_LOOKS):
        if is_so():
            return
        time.sleep(LOOK_S)
    raise AssertionError(f"still not so after {MAX_LOOKS} looks")
