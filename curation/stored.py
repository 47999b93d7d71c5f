"""Many files of a work folder at once, on a disk or on object storage: read, looked for and removed."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.store import Home, in_order, whole


def read_files(
    paths: Sequence[Path], schema: pa.Schema, columns: Sequence[str], only: pc.Expression | None = None
) -> pa.Table:
    """Return columns of the rows of some small Parquet files, in their order."""
    names = list(columns)
    if not paths:
        return schema.empty_table().select(names)
    if isinstance(paths[0], Path):
        return pq.read_table(list(paths), columns=names, schema=schema, filters=only)

    def read(path: Path) -> pa.Table:
        return pq.read_table(whole(path), columns=names, schema=schema, filters=only)

    return pa.concat_tables(in_order(read, paths))


def are_there(paths: Sequence[Path]) -> list[bool]:
    """Say of each file whether it is there."""
    return in_order(lambda path: path.exists(), paths)


def remove(home: Home, paths: Sequence[Path]) -> None:
    """Remove files of a work folder, and on a disk the folders around them that nothing is in any more."""
    if home.is_remote:
        from curation import object_storage

        for start in range(0, len(paths), object_storage.DELETED_AT_ONCE):
            home.check_leases()
            object_storage.delete(paths[start : start + object_storage.DELETED_AT_ONCE])
        return
    for path in paths:
        path.unlink(missing_ok=True)
        _remove_empty(path.parent, home.root)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
