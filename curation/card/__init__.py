"""The card of a release: prose from dataset_card.md, tables from the release, a header that `datasets` reads."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.card.counts import Pairs, counted, most_credited
from curation.card.header import NO_PAGE, merged
from curation.card.markers import filled, parts
from curation.card.snippets import LOCAL
from curation.card.tables import MAX_ATTRIBUTIONS, Size, Subject, labels, shares, tables
from curation.errors import REASONS
from curation.features import features_schema
from curation.markdown import escaped, table
from curation.memory import SPLITS
from curation.releases import PublishedRules, Release
from curation.store import in_order, opened, whole

CONFIGS = {"default": "data", "metadata": "metadata", "references": "references"}
# Upper bounds of the Hub's size categories: https://huggingface.co/docs/hub/datasets-cards
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


def write_card(release: Release, rule_set: PublishedRules, out: Path, scratch: Path) -> None:
    """Write the README.md of a release in a work folder from its files.

    Args:
        scratch: a folder for what does not fit into memory while it is counted.
    """
    pairs = Pairs(release.folder, rule_set.numbering)
    subject = Subject(
        release=release,
        rule_set=rule_set,
        place=LOCAL,
        sizes=_sizes(release.folder),
        counts=counted(pairs),
        credited=most_credited(pairs, MAX_ATTRIBUTIONS, scratch),
    )
    header = merged(NO_PAGE, own_header(subject), suggested_header(subject))
    body = filled(parts(prose(rule_set), "dataset_card.md"), tables(subject, CONFIGS))
    out.write_text(f"{header}\n{body}", encoding="utf-8")


def _sizes(folder: Path) -> dict[str, dict[str, Size]]:
    paths = {
        config: {split: sorted((folder / name).glob(f"{split}-*.parquet")) for split in SPLITS}
        for config, name in CONFIGS.items()
    }
    return {config: {split: _size(of) for split, of in splits.items() if of} for config, splits in paths.items()}


def _size(paths: Sequence[Path]) -> Size:
    rows = in_order(lambda path: pq.read_metadata(opened(path)).num_rows, paths)
    return Size(sum(rows), sum(in_order(lambda path: path.stat().st_size, paths)), len(paths))


def prose(rule_set: PublishedRules) -> str:
    """Return dataset_card.md, from the checkout or from the installed package, for a data set."""
    installed = Path(__file__).with_name("dataset_card.md")
    checkout = Path(__file__).parents[2] / "dataset_card.md"
    text = (installed if installed.exists() else checkout).read_text(encoding="utf-8")
    return text.replace("{title}", escaped(rule_set.title))


def summary(release: Path, rule_set: PublishedRules) -> str:
    """Return a release's tables of labels and of rejections, by stage, as Markdown."""
    counts = counted(Pairs(release, rule_set.numbering))
    rejected = pq.read_table(whole(release / "rejections.parquet"), columns=["unit", "stage", "reason"])
    found = rejected.group_by(["unit", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist()
    stages = list(dict.fromkeys(stage for stage, _ in REASONS.values()))
    order = sorted(found, key=lambda row: (stages.index(row["stage"]), row["unit"], row["reason"]))
    cells = [(*row.values(), escaped(REASONS[row["reason"]][1])) for row in order]
    left_out = table(["Unit", "Stage", "Reason", "Rows", "Meaning"], cells)
    return f"{labels(counts, rule_set)}\n\n{shares(counts, rule_set)}\n\n## Left out\n\n{left_out}\n"


def own_header(subject: Subject) -> dict[str, Any]:
    """Return what the header says anew of each release: by it `datasets` finds the rows and checks their number."""
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo  # takes a second to import
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    infos = DatasetInfosDict()
    for config, sizes in subject.sizes.items():
        splits = SplitDict()
        for split, size in sizes.items():
            splits.add(SplitInfo(split, num_bytes=size.size_bytes, num_examples=size.rows))
        total = sum(size.size_bytes for size in sizes.values())
        features = Features.from_arrow_schema(_schema(subject, config))
        infos[config] = DatasetInfo(
            features=features, splits=splits, config_name=config, download_size=total, dataset_size=total
        )
    data = DatasetCardData()
    infos.to_dataset_card_data(data)
    rows = sum(size.rows for size in subject.sizes["default"].values())
    return {
        "pretty_name": subject.rule_set.title,
        "size_categories": [next((name for limit, name in SIZES.items() if rows < limit), "n>10M")],
        "configs": [_config(config, sizes) for config, sizes in subject.sizes.items()],
        "dataset_info": data.get("dataset_info"),
    }


def _schema(subject: Subject, config: str) -> pa.Schema:
    """Return the schema of a config's files, which an earlier artune may have written; without any, that of today."""
    paths = sorted((subject.release.folder / CONFIGS[config]).glob("*.parquet"))
    return pq.read_schema(opened(paths[0])) if paths else features_schema(subject.rule_set, config)


def _config(name: str, splits: Iterable[str]) -> dict[str, Any]:
    # A pattern that matches no file breaks every config, so only splits with rows are named.
    files = [{"split": split, "path": f"{CONFIGS[name]}/{split}-*.parquet"} for split in splits]
    return {"config_name": name, "data_files": files} | ({"default": True} if name == "default" else {})


def suggested_header(subject: Subject) -> dict[str, Any]:
    """Return what the header says unless a person changes it."""
    place = subject.place
    link = {"license_link": f"{place.homepage}#licenses-and-attribution"} if place.is_on_hub else {}
    return {
        "license": "other",
        "license_name": "per-row",
        **link,
        "task_categories": ["text-to-image", "image-to-text", "audio-classification", "image-classification"],
        "tags": ["music", "art", "audio-to-image", "artune"],
    }
