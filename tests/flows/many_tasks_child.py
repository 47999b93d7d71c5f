"""A flow of many small batches on this machine's threads: `python many_tasks_child.py NUMBER WORKERS`."""

import sys

from prefect import flow

from flows.tasks import in_prefect, threads


class Silent:
    """Stands where bars would be drawn."""

    def begin(self, stage: str, batches: int) -> None: ...

    def done(self, stage: str) -> None: ...


def square(number: int) -> int:
    return number * number


@flow(name="many", task_runner=threads(int(sys.argv[2])))
def many(number: int) -> int:
    return sum(in_prefect(Silent())(square, list(range(number)), "square"))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.stdout.write(str(many(int(sys.argv[1]))))
