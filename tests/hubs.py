"""What tests put on a Hub."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import CommitOperationAdd, HfApi

from tests.hub.repos import Repo

CARD = b"""---
license: apache-2.0
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
---
# A data set
"""


def add(path: str, content: bytes | Path) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def commit(api: HfApi, repo: Repo, *operations: object, **how: str) -> str:
    """Commit and give the id."""
    return api.create_commit(repo.id, operations, commit_message="a change", repo_type="dataset", **how).oid


def parquet(rows: int, first: int = 0) -> bytes:
    """Give a file with an `id` and a `label` for each row, ten to a row group."""
    numbers = range(first, first + rows)
    table = pa.table({"id": [str(number) for number in numbers], "label": [number % 3 for number in numbers]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=10)
    return sink.getvalue().to_pybytes()
