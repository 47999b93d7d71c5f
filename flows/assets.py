"""What the flows make, as Prefect's assets: a release, its publication, a training, an evaluation, and what each is of.

A key names the same thing over all its versions; what a version is stands in the metadata of its materialization.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.assets import Asset, AssetProperties, add_asset_metadata
from prefect.cache_policies import NO_CACHE
from prefect.tasks import MaterializingTask

from curation.publishing import places
from curation.publishing.outcome import Outcome
from curation.publishing.records import Record
from curation.releases import Release, label_counts, rule_set_of
from curation.store import Home, digest
from evaluation.request import Request
from evaluation.result import PAGE
from flows import artifacts
from flows.evaluation import Finished

MAX_KEY_CHARS = 500  # Prefect's own limit is 512


def key(*parts: str) -> str:
    """Return a key: an address, or words below artune://, without what Prefect refuses in keys."""
    text = "/".join(parts)
    text = text if "://" in text else f"artune://{text}"
    scheme, _, rest = text.partition("://")
    plain = re.sub(r"[^A-Za-z0-9_.:@+=,~/-]+", "_", rest)
    if plain != rest or len(text) > MAX_KEY_CHARS:  # two that differ only there stay two
        plain = f"{plain[: MAX_KEY_CHARS - 40]}~{digest(text)[:12]}"
    return f"{scheme}://{plain}"


def of_home(home: Home, *names: str) -> str:
    """Return the key of something in a work folder."""
    root = str(home.root)
    return key(root if "://" in root else f"file://{root}", *names)


def of_place(where: str) -> str:
    """Return the key of what is published at a place, whatever its version: `where` of its event, or with a version."""
    bare = re.sub(r"/v\d+$", "", where) if "://" in where or where.startswith("/") else where.partition("@")[0]
    if places.is_hub(bare):
        return key(f"hf://datasets/{bare}")
    return key(bare if "://" in bare else f"file://{bare}")


def of_data(where: str) -> str:
    """Return the key of what a training or an evaluation read: a release of a work folder, or a publication."""
    folder = Path(where)
    if "://" not in where and folder.parent.name == "releases" and (folder / "rule_set.json").exists():
        home = Home(folder.parent.parent)
        return of_home(home, "releases", rule_set_of(Release(0, folder, {})).name)
    return of_place(where)


def release(home: Home, made: Release) -> None:
    """Tell that a release was made of the items of its work folder."""
    manifest = made.manifest
    data_set = manifest["rule_set"]["name"]
    counts = label_counts(made, rule_set_of(made))
    asset = Asset(
        key=of_home(home, "releases", data_set),
        properties=AssetProperties(
            name=f"{data_set}: releases",
            description="Releases of a data set in a work folder.",
            url=artifacts.address(home, made, artifacts.REPORT),
        ),
    )
    metadata = {
        "release": made.number,
        "parent": manifest["parent"],
        "rows": sum(manifest["pairs"].values()),
        "labels": {name: sum(count.values()) for name, count in counts.items()},
        "splits": manifest["pairs"],
        "items": manifest["items"],
        "rejections": manifest["rejections"],
        "rule_set": manifest["rule_set"],
        "digest": manifest["inputs"],
        "folder": str(made.folder),
        "report": artifacts.address(home, made, artifacts.REPORT),
    }
    _materialize("record release", asset, metadata, [of_home(home, "items")])


def publication(home: Home, record: Record, outcome: Outcome) -> None:
    """Tell that a release was published."""
    asset = Asset(
        key=of_place(record.where),
        properties=AssetProperties(name=record.where, description=f"What is published of {record.data_set}."),
    )
    manifest = outcome.manifest
    metadata = {
        "revision": record.version,
        "commit": record.commit,
        "release": record.release,
        "rows": {config: sum(splits.values()) for config, splits in manifest.pairs.items()},
        "splits": {config: dict(splits) for config, splits in manifest.pairs.items()},
        "pairs": {
            "with media": outcome.embedded,
            "references only": outcome.referenced,
            "not published": outcome.excluded,
        },
        "rule_set": {"name": record.data_set, "digest": manifest.rules_digest},
        "digest": manifest.inputs,
        "location": outcome.location,
        "endpoint": record.endpoint,
    }
    _materialize("record publication", asset, metadata, [of_home(home, "releases", record.data_set)])


def training(done: Mapping[str, Any]) -> None:
    """Tell that a model was trained on a revision.

    Args:
        done: what `training.runs.run.Run.summary` gives.
    """
    asset = Asset(
        key=of_training(done["recipe"], done["where"]),
        properties=AssetProperties(name=f"{done['recipe']} trained on {done['where'].partition('@')[0]}"),
    )
    metadata = {
        "run": done["folder"],
        "recipe": done["recipe"],
        "recipe_digest": done["recipe_digest"],
        "data": done["data"],
        "commit": done["commit"],
        "epochs": done["epochs_done"],
        "best": done["best"],
        "digest": done["model_sha256"],
        "report": f"{done['folder']}/losses.png",
    }
    _materialize("record training", asset, metadata, [of_data(done["where"])])


def of_training(recipe: str, where: str) -> str:
    """Return the key of the models that a recipe gives on a data set, whatever its revision."""
    return key("trainings", Path(recipe).stem, _below(of_data(where)))


def evaluation(done: Finished, request: Request) -> None:
    """Tell that a model, images or a data set were evaluated."""
    result = done.result
    subject, data = result.subject, of_data(done.where)
    upstream, name = [data], data if subject.kind == "data" else subject.name
    if subject.kind == "run":
        name = of_training(subject.recipe or subject.name, done.where)
        upstream.append(name)
    asset = Asset(
        key=key("evaluations", subject.kind, _below(name)),
        properties=AssetProperties(name=f"Evaluation of {subject.name}"),
    )
    metadata = {
        "folder": str(done.folder),
        "report": str(done.folder / PAGE),
        "run": request.run,
        "model_sha256": subject.model_sha256,
        "where": done.where,
        "commit": result.data.commit,
        "revision": result.data.version,
        "digest": result.data.digest,
        "split": result.data.split,
        "rows": result.data.n,
        "seed": result.seed,
        "networks": request.networks,
        "has_stand_ins": any(network.is_stand_in for network in result.networks),
        "figures": {one.name: one.estimate and one.estimate.value for one in result.figures},
        "is_best": done.claim and done.claim.is_best,
    }
    _materialize("record evaluation", asset, metadata, upstream)


def _below(text: str) -> str:
    """Return a key as a part of another one."""
    return text.partition("://")[2].strip("/") or text


def _materialize(name: str, asset: Asset, metadata: Mapping[str, Any], upstream: Sequence[str]) -> None:
    """Emit what Prefect tells of an asset that is made: by a task, as it knows no other way."""

    def record() -> None:
        add_asset_metadata(asset, dict(metadata))

    task = MaterializingTask(
        record,
        name=name,
        task_run_name=name,
        assets=[asset],
        materialized_by="artune",
        asset_deps=list(upstream),
        cache_policy=NO_CACHE,
    )
    task()
