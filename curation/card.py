"""The card of a release: prose from dataset_card.md, tables from the release, a header that `datasets` reads."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.features import features_schema
from curation.memory import SPLITS
from curation.releases import PublishedRules

CONFIGS = {"default": "data", "metadata": "metadata", "references": "references"}
# Upper bounds of the Hub's size categories: https://huggingface.co/docs/hub/datasets-cards
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}
MAX_ATTRIBUTIONS = 200  # each row has its own; the card names the most frequent


def write_card(release: Path, rule_set: PublishedRules, out: Path, number: int) -> None:
    """Write the README.md of a release from its metadata files."""
    pairs = _read_pairs(release / "metadata", rule_set)
    sections = {
        "labels": _labels(pairs, rule_set),
        "splits": _splits(pairs, rule_set),
        "made": _made(pairs, rule_set, number),
        "licenses": _shares(pairs, "license", "License"),
        "attribution": _attribution(pairs),
        "citation": _citation(rule_set, number),
    }
    facts = {
        "title": rule_set.title,
        "location": "DIR",
        "max_side_px": rule_set.image.max_side_px,
        "clip_s": f"{rule_set.audio.clip_s:g}",
        "sample_rate_hz": rule_set.audio.sample_rate_hz,
    }
    text = prose().format(**facts)
    for name, table in sections.items():
        text = _between_markers(text, name, table)
    out.write_text(f"---\n{_header(pairs, rule_set, release)}\n---\n\n{text}", encoding="utf-8")


def summary(release: Path, rule_set: PublishedRules) -> str:
    """Return a release's tables of labels and rejections as Markdown."""
    pairs = _read_pairs(release / "metadata", rule_set)
    rejected = pq.read_table(release / "rejections.parquet", columns=["unit", "stage", "reason"])
    counts = rejected.group_by(["unit", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist()
    order = sorted(counts, key=lambda row: (row["unit"], row["stage"], row["reason"]))
    left_out = _table(["Unit", "Stage", "Reason", "Rows"], [row.values() for row in order])
    return f"{_labels(pairs, rule_set)}\n\n{_splits(pairs, rule_set)}\n\n## Left out\n\n{left_out}\n"


def prose() -> str:
    """Return dataset_card.md, from the checkout or from the installed package."""
    installed = Path(__file__).with_name("dataset_card.md")
    checkout = Path(__file__).parent.parent / "dataset_card.md"
    return (installed if installed.exists() else checkout).read_text(encoding="utf-8")


def escaped(text: str | None) -> str:
    """Return text from outside as Markdown that shows just that text, on one line."""
    plain = " ".join((text or "").split())
    marked = re.sub(r"([\\`*_{}\[\]<>|~&$]|^[#+-])", r"\\\1", plain)
    return re.sub(r"(?i)(?<=:)//|(?<=www)\.|(?<=.)@", r"\\\g<0>", marked)  # a bare address would become a link


def _read_pairs(folder: Path, rule_set: PublishedRules) -> pa.Table:
    parts = []
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path)
        split = pa.array([path.name.split("-")[0]] * len(rows))
        names = pa.array(rule_set.numbering).take(rows["label"].combine_chunks())
        at = rows.schema.get_field_index("label")
        parts.append(rows.set_column(at, "label", names).append_column("split", split).replace_schema_metadata())
    return pa.concat_tables(parts)


def _header(pairs: pa.Table, rule_set: PublishedRules, release: Path) -> str:
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    sizes = Counter(pairs["split"].to_pylist())
    present = [split for split in SPLITS if sizes[split]]  # a pattern that matches no file breaks every config
    data = DatasetCardData(
        pretty_name=rule_set.title,
        license="other",
        license_name="per-row",
        license_link="#licenses-and-attribution",
        task_categories=["text-to-image", "image-to-text", "audio-classification", "image-classification"],
        tags=["music", "art", "audio-to-image", "artune"],
        size_categories=[_size(len(pairs))],
        configs=[_config(config, present) for config in CONFIGS],
    )
    infos = DatasetInfosDict()
    for config, folder in CONFIGS.items():
        each_pair = 2 if config == "references" else 1
        splits = SplitDict()
        for split in present:
            size_bytes = sum(path.stat().st_size for path in (release / folder).glob(f"{split}-*.parquet"))
            splits.add(SplitInfo(split, num_bytes=size_bytes, num_examples=each_pair * sizes[split]))
        features = Features.from_arrow_schema(features_schema(rule_set, config))
        infos[config] = DatasetInfo(features=features, splits=splits, config_name=config)
    infos.to_dataset_card_data(data)
    return str(data.to_yaml())


def _config(name: str, splits: list[str]) -> dict[str, Any]:
    files = [{"split": split, "path": f"{CONFIGS[name]}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, "data_files": files} | ({"default": True} if name == "default" else {})


def _size(rows: int) -> str:
    return next((name for limit, name in SIZES.items() if rows < limit), "n>10M")


def _between_markers(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- artune:begin {name} -->", f"<!-- artune:end {name} -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"dataset_card.md has no markers for {name}")
    return f"{head}{begin}\n{table}\n{end}{tail}"


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return "\n".join(lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows])


def _labels(pairs: pa.Table, rule_set: PublishedRules) -> str:
    counts = Counter(zip(pairs["label"].to_pylist(), pairs["split"].to_pylist(), strict=True))
    rows = []
    for label in rule_set.labels:
        by_split = [counts[label.name, split] for split in SPLITS]
        rows.append([escaped(label.name), sum(by_split), *by_split, label.size])
    total = [len(pairs), *(sum(counts[name, split] for name in rule_set.label_names) for split in SPLITS)]
    goal = sum(label.size for label in rule_set.labels)
    return _table(["Label", "Pairs", *SPLITS, "Goal"], [*rows, ["**all**", *total, goal]])


def _splits(pairs: pa.Table, rule_set: PublishedRules) -> str:
    sizes = Counter(pairs["split"].to_pylist())
    wanted = rule_set.splits.model_dump()
    parts = [
        f"{split} {sizes[split]:,} ({sizes[split] / len(pairs):.1%}, wanted {wanted[split]:.0%})" for split in SPLITS
    ]
    empty = [split for split in SPLITS if not sizes[split]]
    without = f" There are no rows for {' and '.join(empty)}." if empty else ""
    return f"Splits: {', '.join(parts)}; as near as whole groups allow.{without}"


def _made(pairs: pa.Table, rule_set: PublishedRules, number: int) -> str:
    counts = {side: Counter(pairs[f"{side}_source"].to_pylist()) for side in ("image", "music")}
    names = sorted(counts["image"] | counts["music"])
    sources = _table(
        ["Source", "Pictures", "Clips"], [[escaped(n), counts["image"][n], counts["music"][n]] for n in names]
    )
    recordings = len(set(pairs["music_sha256"].to_pylist()))
    return (
        f"Release {number}, rule set `{rule_set.name}` (digest `{rule_set.digest[:16]}`), seed {rule_set.seed}: "
        f"{len(pairs):,} pairs from {recordings:,} recordings.\n\n{sources}"
    )


def _shares(pairs: pa.Table, column: str, title: str) -> str:
    sides = [Counter(pairs[f"{side}_{column}"].to_pylist()) for side in ("image", "music")]
    both = sides[0] + sides[1]
    names = sorted(both, key=lambda name: (-both[name], name))
    return _table([title, "Pictures", "Clips"], [[escaped(name), *(side[name] for side in sides)] for name in names])


def _attribution(pairs: pa.Table) -> str:
    counts: Counter[str] = Counter()
    for side in ("image", "music"):
        counts.update(text for text in pairs[f"{side}_attribution"].to_pylist() if text)
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [f"- {escaped(text)} ({count})" for text, count in most[:MAX_ATTRIBUTIONS]]
    if len(most) > MAX_ATTRIBUTIONS:
        lines.append(f"- and {len(most) - MAX_ATTRIBUTIONS:,} more, in the rows")
    return "\n".join(lines) or "No row names anybody."


def _citation(rule_set: PublishedRules, number: int) -> str:
    lines = [
        f"@misc{{artune_{rule_set.name}_{number},",
        f"  title = {{{rule_set.title}, release {number}}},",
        f"  note  = {{artune, rule set {rule_set.name} {rule_set.digest[:16]}, seed {rule_set.seed}}}",
        "}",
    ]
    return "\n".join(["```bibtex", *lines, "```"])
