"""croissant.json: the data set in the words of Croissant (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).

`mlcroissant.Dataset(".../croissant.json").records("metadata")` reads the files that lie beside it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.card import CONFIGS, prose, suggested_header
from curation.card.described import columns
from curation.card.snippets import bibtex
from curation.card.tables import HOLDS, Subject
from curation.features import features_schema
from curation.memory import SPLITS
from curation.publishing import license_names
from curation.publishing.manifest import PublishedFile
from curation.releases import PublishedRules

NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
ENUMERATION = "https://schema.org/Enumeration"
PARQUET = "application/x-parquet"
ENCODINGS = {".parquet": PARQUET, ".json": "application/json"}

Node = Any  # of mlcroissant, whose nodes are untyped for callers


def write(subject: Subject, files: Mapping[str, PublishedFile], licenses: Sequence[str], out: Path) -> None:
    """Write the croissant.json of a publication; the same release at the same place gives the same bytes.

    Args:
        files: that are published beside it, by name.
        licenses: of the published media.

    Raises:
        mlcroissant.ValidationError: it would not be valid: a bug, so that nothing invalid is ever published.
    """
    out.write_text(_Description(subject).text(files, licenses), encoding="utf-8")


class _Description:
    """What Croissant says of a subject, as nodes of mlcroissant."""

    def __init__(self, subject: Subject) -> None:
        import mlcroissant  # takes seconds

        self.mlc = mlcroissant
        self.ctx = mlcroissant.Context(conforms_to=CONFORMS_TO[0])
        self.subject, self.place, self.rule_set = subject, subject.place, subject.rule_set

    def text(self, files: Mapping[str, PublishedFile], licenses: Sequence[str]) -> str:
        number = self.subject.release.number
        metadata = self.mlc.Metadata(
            ctx=self.ctx,
            conforms_to=CONFORMS_TO,
            name=self.rule_set.title,
            url=self.place.homepage,
            version=f"{number}.0.0",
            license=list(dict.fromkeys(license_names.link(license) or license for license in licenses)),
            keywords=suggested_header(self.subject)["tags"],
            cite_as=bibtex(self.place, number, self.rule_set),
            distribution=[*self._files(files), *map(self._file_set, self.subject.sizes)],
            record_sets=[*self._enumerations(), *map(self._record_set, self.subject.sizes)],
            **_told(self.rule_set),
        )
        text = json.dumps(metadata.to_json(), indent=1, ensure_ascii=False) + "\n"
        self.mlc.Metadata.from_json(
            self.mlc.Context(), json.loads(text)
        )  # validates what is written, not what was meant
        return text

    def _files(self, files: Mapping[str, PublishedFile]) -> Iterator[Node]:
        """Yield each file with its hash; on the Hub with an address that always gives just these bytes."""
        root = f"{self.place.homepage}/resolve/{self.place.revision}/" if self.place.is_on_hub else ""
        for name, file in sorted(files.items()):
            yield self.mlc.FileObject(
                ctx=self.ctx,
                id=name,
                name=name,
                content_url=root + name,
                content_size=f"{file.size_bytes} B",
                encoding_formats=[ENCODINGS.get(Path(name).suffix, "text/plain")],
                sha256=file.sha256,
            )

    def _file_set(self, config: str) -> Node:
        return self.mlc.FileSet(
            ctx=self.ctx,
            id=f"{config}-files",
            name=f"{config}-files",
            description=f"The files of {config}, beside this one.",
            encoding_formats=[PARQUET],
            includes=[f"{CONFIGS[config]}/*.parquet"],
        )

    def _enumerations(self) -> list[Node]:
        types = self.mlc.DataType
        present = [split for split in SPLITS if any(split in sizes for sizes in self.subject.sizes.values())]
        labels = [{"labels/number": number, "labels/name": name} for number, name in enumerate(self.rule_set.numbering)]
        splits = [{"splits/name": split} for split in present]
        return [
            self._enumeration("labels", {"labels/number": types.INTEGER, "labels/name": types.TEXT}, [], labels),
            self._enumeration("splits", {"splits/name": types.TEXT}, [types.SPLIT], splits),
        ]

    def _enumeration(
        self, name: str, fields: Mapping[str, Node], types: Sequence[Node], rows: Sequence[Mapping[str, object]]
    ) -> Node:
        return self.mlc.RecordSet(
            ctx=self.ctx,
            id=name,
            name=name,
            data_types=[ENUMERATION, *types],
            key=[next(iter(fields))],
            fields=[self._field(field, kind) for field, kind in fields.items()],
            data=list(rows),
        )

    def _record_set(self, config: str) -> Node:
        schema = features_schema(self.rule_set, config)
        fields = [self._column(config, column) for column in schema]
        if "split" not in schema.names:
            fields.insert(0, self._split(config))
        key = [f"{config}/pair_id", *([f"{config}/side"] if "side" in schema.names else [])]
        return self.mlc.RecordSet(
            ctx=self.ctx, id=config, name=config, description=HOLDS[config], key=key, fields=fields
        )

    def _split(self, config: str) -> Node:
        """Return the field that tells the split of a row by the name of its file."""
        extract = self.mlc.Extract(ctx=self.ctx, file_property="fullpath")
        pattern = f"{CONFIGS[config]}/({'|'.join(SPLITS)})-.*"
        transform = self.mlc.Transform(ctx=self.ctx, regex=pattern)
        return self._field(f"{config}/split", self.mlc.DataType.TEXT, self._source(config, extract, [transform]))

    def _column(self, config: str, column: pa.Field) -> Node:
        is_media = pa.types.is_struct(column.type)
        extract = self.mlc.Extract(ctx=self.ctx, column=column.name)
        transforms = [self.mlc.Transform(ctx=self.ctx, json_path="bytes")] if is_media else []
        field = self._field(f"{config}/{column.name}", self._type(column), self._source(config, extract, transforms))
        field.description = columns(config)[column.name]
        field.is_array = True if pa.types.is_list(column.type) else None
        return field

    def _source(self, config: str, extract: Node, transforms: Sequence[Node]) -> Node:
        return self.mlc.Source(ctx=self.ctx, file_set=f"{config}-files", extract=extract, transforms=list(transforms))

    def _field(self, name: str, kind: Node, source: Node | None = None) -> Node:
        source = source or self.mlc.Source()  # none: without the context, where it would be an error
        return self.mlc.Field(ctx=self.ctx, id=name, name=name, data_types=[kind], source=source)

    def _type(self, column: pa.Field) -> Node:
        types = self.mlc.DataType
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        if pa.types.is_struct(kind):
            return types.IMAGE_OBJECT if column.name == "image" else types.AUDIO_OBJECT
        if pa.types.is_timestamp(kind):
            return types.DATETIME
        if pa.types.is_integer(kind):
            return types.INTEGER
        return types.FLOAT if pa.types.is_floating(kind) else types.TEXT


def _told(rule_set: PublishedRules) -> dict[str, Any]:
    """Return what the card says in prose, by the names of Croissant and its vocabulary for responsible AI."""
    text, image, audio = prose(rule_set), rule_set.image, rule_set.audio
    return {
        "description": _paragraphs(text, "# ")[0],
        "data_collection": _paragraphs(text, "## How it was made")[0],
        "data_preprocessing_protocol": [
            f"Pictures: upright, sRGB, at most {image.max_side_px} px, JPEG.",
            f"Recordings: clips of {audio.clip_s:g} s, {audio.sample_rate_hz} Hz, {audio.channels} channels, WAV.",
        ],
        "data_annotation_protocol": [
            "Rules on tags decide labels (rule_set.json); each row names its rule and evidence."
        ],
        "machine_annotation_tools": [name for name, model in rule_set.models.root.items() if model.enabled],
        "data_limitations": [line[2:] for line in _paragraphs(text, "## Limits and ethics") if line.startswith("- ")],
        "data_release_maintenance_plan": "Each version stays; a work that is to be removed leaves the next one.",
    }


def _paragraphs(text: str, heading: str) -> list[str]:
    """Return the paragraphs and items of the first section whose heading begins so, each on one line."""
    section = re.split(r"\n#+ ", text.partition(f"\n{heading}")[2])[0].partition("\n")[2]
    told = re.split(r"\n\s*\n|\n(?=- )", re.sub(r"<!--.*?-->", "", section, flags=re.DOTALL))
    return [" ".join(part.split()) for part in told if part.strip()]
