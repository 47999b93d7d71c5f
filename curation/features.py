"""The published columns as `datasets` knows them: features travel in the schema of every Parquet file."""

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from curation.releases import PublishedRules
from curation.schemas import PAIRS, REFERENCES


def features_schema(rule_set: PublishedRules, config: str) -> pa.Schema:
    """Return the Arrow schema of a config (default, metadata, references), with its features as metadata."""
    return _schema(rule_set.numbering, rule_set.audio.sample_rate_hz, config)


@cache
def _schema(label_names: tuple[str, ...], sample_rate_hz: int, config: str) -> pa.Schema:
    from datasets import Audio, ClassLabel, Features, Image  # takes a second to import

    plain = Features.from_arrow_schema(REFERENCES if config == "references" else PAIRS)
    plain["label"] = ClassLabel(names=list(label_names))
    if config == "default":
        media = {"image": Image(), "audio": Audio(sampling_rate=sample_rate_hz)}
        # First in the file: by its first bytes the Hub finds what it holds of it, and media stay as they are.
        plain = Features({**media, **plain})
    return plain.arrow_schema


def indexed_labels(rows: pa.Table, rule_set: PublishedRules) -> pa.Table:
    """Replace the names of labels by their indices and give the table its features.

    Args:
        rows: schema PAIRS or REFERENCES.
    """
    config = "references" if "side" in rows.column_names else "metadata"
    schema = features_schema(rule_set, config)
    index = pc.index_in(rows["label"], value_set=pa.array(rule_set.numbering)).cast(pa.int64())
    return rows.set_column(rows.schema.get_field_index("label"), "label", index).cast(schema)
