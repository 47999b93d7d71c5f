"""What each published column says, in words: for the card and for croissant.json."""

from collections.abc import Mapping

SIDES = {"image": "picture", "music": "recording"}

_OF_A_SIDE = {
    "source": "where the {side} was collected",
    "source_id": "its name there",
    "url": "its page; of a local file, its path within the collected folder",
    "title": "its title",
    "creator": "who made it",
    "year": "the year of its making, the earliest of a range",
    "license": "its license, an SPDX identifier where there is one; `unknown` if nothing is said",
    "attribution": "whom to name, as the source asks",
    "sha256": "of the file as it was fetched",
    "group": "what belongs together with it (duplicates, one work, one recording) and lies in one split",
    "fetched_at": "when it was fetched; empty for local files",
}

PAIR_COLUMNS: Mapping[str, str] = {
    "pair_id": "hash of the sha256 of both files and the clip's start",
    "label": "class of the pair; a number stays with its name for life",
    "image": "JPEG in sRGB, upright, of bounded size",
    "audio": "WAV, PCM 16: one clip of the recording",
    "rule": "which rule gave the label",
    "evidence": "on what grounds",
    **{f"{key}_{name}": text.format(side=side) for key, side in SIDES.items() for name, text in _OF_A_SIDE.items()},
    "music_start_s": "where the clip begins in the recording, seconds",
    "music_duration_s": "its length, seconds",
    "music_genre": "sub-genre by which the clip counts",
    "music_features": "features of the music that rules found",
    "loudness_lufs": "integrated loudness of the clip, LUFS; empty where all is too quiet",
    "peak_dbfs": "sample peak of the clip, dBFS; empty for digital silence",
    "silence_share": "share of the clip that is silent, 0 to 1",
    "tempo_bpm": "estimated tempo, beats a minute",
    "key": "estimated key",
    "onset_rate_hz": "onsets a second",
}

REFERENCE_COLUMNS: Mapping[str, str] = {
    "pair_id": "the pair that it is a side of",
    "side": "image or music",
    "split": "split of the pair",
    "label": "class of the pair",
    "url": "page of the item; of a local file, its path within the collected folder",
    "address": "where the file itself was fetched; empty for local files",
    "start_s": "where the clip begins in the recording, seconds; empty for a picture",
    "duration_s": "its length, seconds",
    "sha256": "of the file as it was fetched",
    "fingerprint": "perceptual hash of a picture in hex; chromaprint of a clip in base64",
    "license": "license of the item",
    "checked_at": "when it was last seen there",
}


def columns(config: str) -> Mapping[str, str]:
    """Return what the columns of a config say."""
    return REFERENCE_COLUMNS if config == "references" else PAIR_COLUMNS
