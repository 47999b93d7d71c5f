"""The Arrow schema of every table, in the order in which an item meets them."""

import pyarrow as pa

TAG = pa.struct([("kind", pa.string()), ("value", pa.string())])

# found/<source>/<list>.parquet: one file for each list of a web source, one row for each item that ever stood in it.
# The list's own name and tags stand in the file's metadata.
FOUND = pa.schema(
    [
        ("source_id", pa.string()),
        ("address", pa.string()),  # of the media
        ("state", pa.string()),  # changes when the media at the address changed
        ("url", pa.string()),  # of the page that a person opens
        ("title", pa.string()),
        ("creator", pa.string()),
        ("year", pa.int32()),
        ("license", pa.string()),
        ("attribution", pa.string()),
        ("tags", pa.list_(TAG)),  # of the item; the list's own come when all lists are put together
        ("about", pa.string()),  # JSON with sorted keys: provenance beside the facts
        ("reason", pa.string()),  # why it cannot be fetched
        ("detail", pa.string()),
        ("is_listed", pa.bool_()),  # it stood there still when the list was last read to its end, or was seen since
    ]
)

# items/<source>/<batch>.parquet: what was found, fetched or refused. `version` tells one state of a listed item from
# the next; it is no part of a release.
ITEMS = pa.schema(
    [
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("modality", pa.string()),  # image, music; null where the content was never seen
        ("url", pa.string()),
        ("title", pa.string()),
        ("creator", pa.string()),
        ("year", pa.int32()),  # the earliest of a range
        ("license", pa.string()),
        ("attribution", pa.string()),
        ("tags", pa.list_(TAG)),  # as the source says them
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),  # of the blob as fetched; null where it was refused
        ("fetched_at", pa.timestamp("ms", tz="UTC")),  # null for local files
        ("version", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# The same of a web source: a row for each thing that ever happened to an item. What only the next ingest needs stands
# beside the columns that a build reads.
INGESTED = pa.schema(
    [
        *ITEMS,
        ("revision", pa.int32()),  # 1, 2, 3 of each item
        ("address", pa.string()),  # that was asked; null where the list refused it
        ("state", pa.string()),  # of the media at the address, as the list said it then
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("told", pa.string()),  # JSON: facts and provenance that only the fetch told; they stand in the facts too
        ("about", pa.string()),  # JSON: provenance beside the facts
    ]
)

# derived/images-<key>/<batch>.parquet: one row for a blob, measured after orientation and conversion to sRGB.
IMAGES = pa.schema(
    [
        ("sha256", pa.string()),
        ("width_px", pa.int32()),  # upright, as fetched
        ("height_px", pa.int32()),
        ("pixels_sha256", pa.string()),
        ("phash", pa.uint64()),
        ("mirror_phash", pa.uint64()),  # of the picture seen in a mirror
        ("thumbnail", pa.binary(256)),  # 16 x 16 gray values
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

WINDOW = pa.struct(
    [
        ("start_sample", pa.int64()),  # at the rule set's sample rate
        ("loudness_lufs", pa.float64()),  # null where nothing is above the gate
        ("peak_dbfs", pa.float64()),  # null for digital silence
        ("silence_share", pa.float64()),
        ("clipped_share", pa.float64()),
        ("tempo_bpm", pa.float64()),
        ("key", pa.string()),
        ("onset_rate_hz", pa.float64()),
    ]
)

MEASURES = ("loudness_lufs", "peak_dbfs", "silence_share", "tempo_bpm", "key", "onset_rate_hz")  # that are published

# derived/recordings-<key>/<batch>.parquet: one row for a blob; its windows are every clip that could be cut.
RECORDINGS = pa.schema(
    [
        ("sha256", pa.string()),
        ("duration_s", pa.float64()),
        ("fingerprint", pa.binary()),  # chromaprint, little-endian uint32, about 8 a second
        ("windows", pa.list_(WINDOW)),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# derived/tags-<key>/<batch>.parquet: one row for a blob. Scores stand before calibration, so that a temperature or a
# least confidence is changed without asking the model again.
TAGGED = pa.schema(
    [
        ("sha256", pa.string()),
        ("scores", pa.list_(pa.float32())),  # of each answer, in the order of the rule set
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# derived/heard-<key>/<batch>.parquet: one row for a blob, by which a published clip is told in it.
HEARD = pa.schema(
    [
        ("sha256", pa.string()),
        ("frames", pa.int64()),  # at the rule set's sample rate
        ("fingerprint", pa.binary()),  # as in RECORDINGS
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# What others than its source say of an item; `source` begins with one of rules.engine.ORIGINS.
DERIVED_TAG = pa.struct(
    [("kind", pa.string()), ("value", pa.string()), ("source", pa.string()), ("confidence", pa.float64())]
)

# Most of what is measured: links are found by it, and nothing else is decided by it.
BULK = ("fingerprint", "thumbnail")

# releases/<n>/rejections.parquet
REJECTIONS = pa.schema(
    [
        ("unit", pa.string()),  # image, recording, clip; item where the content was never seen
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("sha256", pa.string()),
        ("start_sample", pa.int64()),  # of a clip
        ("title", pa.string()),
        ("detail", pa.string()),
        ("kept_source_id", pa.string()),  # of a duplicate: the item that stays
    ]
)

# releases/<n>/assignment.parquet: a row for every image and clip of this release and, without pair_id, for every one
# that an earlier release held: a group's split is for life, and this table is the whole memory of it.
ASSIGNMENT = pa.schema(
    [
        ("side", pa.string()),  # image, music
        ("sha256", pa.string()),
        ("start_sample", pa.int64()),  # null for an image
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("work", pa.string()),  # creator and title, simplified; null where one of them is unknown
        ("group", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("sub_genre", pa.string()),
        ("rule", pa.string()),
        ("evidence", pa.string()),
        ("pair_id", pa.string()),
        ("release", pa.int32()),  # the first release that held it
    ]
)

_SIDE = [
    ("source", pa.string()),
    ("source_id", pa.string()),
    ("url", pa.string()),
    ("title", pa.string()),
    ("creator", pa.string()),
    ("year", pa.int32()),
    ("license", pa.string()),
    ("attribution", pa.string()),
    ("sha256", pa.string()),
    ("group", pa.string()),
    ("fetched_at", pa.timestamp("ms", tz="UTC")),
]

# metadata/<split>-*.parquet, and behind image and audio the columns of data/<split>-*.parquet.
# label is a name here; the shard writer gives it the index of the rule set's list.
PAIRS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("label", pa.string()),
        ("rule", pa.string()),
        ("evidence", pa.string()),
        *[(f"image_{name}", kind) for name, kind in _SIDE],
        *[(f"music_{name}", kind) for name, kind in _SIDE],
        ("music_start_s", pa.float64()),
        ("music_duration_s", pa.float64()),
        ("music_genre", pa.string()),
        ("music_features", pa.list_(pa.string())),
        ("loudness_lufs", pa.float64()),
        ("peak_dbfs", pa.float64()),
        ("silence_share", pa.float64()),
        ("tempo_bpm", pa.float64()),
        ("key", pa.string()),
        ("onset_rate_hz", pa.float64()),
    ]
)

# references/<split>-*.parquet: enough to fetch a side again and to say exact, same content, or gone.
REFERENCES = pa.schema(
    [
        ("pair_id", pa.string()),
        ("side", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("url", pa.string()),
        ("address", pa.string()),  # where its media were fetched; null for local files
        ("start_s", pa.float64()),  # null for an image
        ("duration_s", pa.float64()),
        ("sha256", pa.string()),
        ("fingerprint", pa.string()),  # image: perceptual hash in hex; music: chromaprint of the span in base64
        ("license", pa.string()),
        ("checked_at", pa.timestamp("ms", tz="UTC")),
    ]
)

# releases/<n>/yield.parquet of a release that was rehydrated: two rows for every published pair, the image's first.
YIELD = pa.schema(
    [
        ("pair_id", pa.string()),
        ("side", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("sha256", pa.string()),  # that was published
        ("start_s", pa.float64()),  # null for an image
        ("outcome", pa.string()),  # embedded, exact, same_content, changed, gone, not_fetched
        ("found_sha256", pa.string()),  # of what was found; null of what is embedded
        ("reason", pa.string()),  # why the side cannot be used
        ("detail", pa.string()),
        ("is_kept", pa.bool_()),  # the pair is in the release
    ]
)

# releases/<n>/candidates.parquet: items that no rule takes, and what one rule lacked; and items that several take.
CANDIDATES = pa.schema(
    [
        ("side", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("sha256", pa.string()),
        ("title", pa.string()),
        ("kind", pa.string()),  # ambiguous, near_miss
        ("labels", pa.list_(pa.string())),
        ("detail", pa.string()),
    ]
)
