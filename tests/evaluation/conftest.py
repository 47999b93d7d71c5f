"""What many tests of evaluation read: the tiny release and the one thread for torch of the tests of training."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from tests.training.conftest import _one_thread, _tiny, reads, tiny_home, tiny_release

__all__ = ["_one_thread", "_tiny", "reads", "tiny_home", "tiny_release"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_blas() -> Iterator[None]:
    """Let NumPy compute in one thread, too: on a machine at work several wait for each other."""
    with threadpool_limits(1):
        yield
