"""The card of a trained model: prose from model_card.md, tables from its run, a header that the Hub reads."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.card.header import NO_PAGE, Page, divided, merged
from curation.card.markers import Parts, Slot, filled, names, parts, without_tables
from curation.markdown import escaped, shortened, table
from rules.errors import ConfigurationError
from training.recipe import Recipe

EVALUATION = "evaluation"  # the slot that evaluation fills; training only carries it along
MAX_LABELS = 50  # that are named
_PROSE = Path(__file__).with_name("model_card.md")
_OWNER_NAME = re.compile(r"\w[\w.-]*/[\w.-]+", re.ASCII)

# As the cards of these repositories on the Hub say; of others it cannot be known here.
LICENSES = {
    "CompVis/stable-diffusion-v1-4": "creativeml-openrail-m",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "creativeml-openrail-m",
    "stabilityai/stable-diffusion-2": "openrail++",
    "stabilityai/stable-diffusion-2-base": "openrail++",
    "stabilityai/stable-diffusion-2-1": "openrail++",
    "stabilityai/stable-diffusion-2-1-base": "openrail++",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a card tells of.

    Attributes:
        told: run.json.
        rows: metrics.jsonl.
        location: owner/name on the Hub; None of a run's own folder.
        pictures: names of files beside the card, by what they show.
        endpoint: address of the Hub.
    """

    recipe: Recipe
    told: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    location: str | None
    pictures: Mapping[str, str]
    endpoint: str = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Renewed:
    """A card.

    Attributes:
        hand_edited: it has words of a person.
    """

    text: str
    hand_edited: bool


def renewed(subject: Subject, there: bytes | None, where: str, evaluation: str | None = None) -> Renewed:
    """Return the card of a subject, with what a person wrote into the one that is there.

    Args:
        there: a README.md.
        where: it is, for messages.
        evaluation: what evaluation has told; without it, what stands there already.

    Raises:
        ConfigurationError: it is not UTF-8, its header or its markers are broken, or artune did not write it.
    """
    fresh = parts(f"\n{_PROSE.read_text(encoding='utf-8')}", _PROSE.name)
    page, found = _divided(there, where) if there is not None else (NO_PAGE, ())
    body = found if without_tables(found).strip() else fresh
    tables = _tables(subject) | ({EVALUATION: evaluation} if evaluation is not None else {})
    own, suggested = _own_header(subject), _suggested_header(subject)
    is_known = bool(names(found))  # what a header of artune's lacks, a person took out
    others = {key: value for key, value in page.values.items() if key not in own}
    return Renewed(
        text=merged(page, own, {} if is_known and page.header is not None else suggested) + filled(body, tables),
        hand_edited=without_tables(body).strip() != without_tables(fresh).strip()
        or (page.header is not None and others != suggested),
    )


def evaluation_of(card: bytes, where: str) -> str | None:
    """Return what evaluation has told in a card; None if nothing. Raises as `renewed`."""
    fresh = _slot(parts(_PROSE.read_text(encoding="utf-8"), _PROSE.name))
    found = _slot(_divided(card, where)[1])
    return None if found in (None, fresh) else str(found).removesuffix("\n")


def _slot(found: Parts) -> str | None:
    return next((part.content for part in found if isinstance(part, Slot) and part.name == EVALUATION), None)


def _divided(content: bytes, where: str) -> tuple[Page, Parts]:
    page = divided(content, where)
    found = parts(page.body, where, page.first_line)
    if page.body.strip() and not names(found):
        raise ConfigurationError(
            f"{where}: expected a card of artune, or none: this one has text, and no line <!-- artune:begin results "
            f"--> that tells where tables go. Put the pairs of such lines of {_PROSE.name} where you want them, or "
            "delete the text below its header"
        )
    return page, found


def is_hub_name(text: str | None) -> bool:
    """Say whether weights are named as those of a repository on the Hub."""
    return text is not None and _OWNER_NAME.fullmatch(text) is not None


def data_on_hub(told: Mapping[str, Any]) -> str | None:
    """Return the repository of the data set; None of a folder or another address."""
    repo_id = (told["data"]["where"] or "").partition("@")[0]
    return repo_id if told["data"]["commit"] and is_hub_name(repo_id) else None


def _own_header(subject: Subject) -> dict[str, Any]:
    """Return what the header says anew each time: what the Hub links by."""
    base, data = subject.recipe.base.weights, data_on_hub(subject.told)
    relation = "adapter" if subject.recipe.train.unet == "frozen" else "finetune"
    return {
        "library_name": "artune",
        **({"base_model": base, "base_model_relation": relation} if is_hub_name(base) else {}),
        **({"datasets": [data]} if data else {}),
    }


def _suggested_header(subject: Subject) -> dict[str, Any]:
    """Return what the header says unless a person changes it: the license is that of the base model."""
    base = subject.recipe.base.weights
    tags = {"tags": ["music", "art", "audio-to-image", "audiotoken", "artune"]}
    if base in LICENSES:
        return {"license": LICENSES[base], **tags}
    if is_hub_name(base):
        named = {"license_name": "of-the-base-model", "license_link": f"{subject.endpoint}/{base}"}
        return {"license": "other", **named, **tags}
    return tags


def _tables(subject: Subject) -> dict[str, str]:
    return {
        "title": f"# {_title(subject)}",
        "load": _load(subject),
        "data": _data(subject),
        "training": _training(subject),
        "recipe": _recipe(subject.recipe),
        "results": _results(subject),
    }


def _title(subject: Subject) -> str:
    if subject.location:
        return escaped(subject.location.partition("/")[2])
    return f"{escaped(subject.told['recipe_name'])}, a run of artune"


def _load(subject: Subject) -> str:
    """Return the code that loads and uses a model; a test runs it as it stands."""
    where = json.dumps(subject.location or ".")
    lines = [
        "from pathlib import Path",
        "",
        "from training.reading import media",
        "from training.runs.pretrained import load",
        "",
        f"model = load({where})" + ("" if subject.location else "  # the folder of this file"),
        'song, length = media.song(Path("song.mp3"), model.sample_rate_hz, model.recipe.duration_s)',
        "tokens = model.embed([media.samples(song[:length])])  # (1, width): the audio token",
        "images = model.generate(tokens, n=4, seed=1)[0]",
        'images[0].save("image.png")',
    ]
    recipe = subject.recipe
    apart = [weights for weights in (recipe.base.weights, recipe.encoder.weights) if weights]
    needed = (
        f"The weights that were not trained are not in it and are read from where `recipe.yaml` says: "
        f"{' and '.join(map(escaped, apart))}. If they lie elsewhere: `load({where}, base=FOLDER, encoder=FILE)`."
    )
    command = f"artune generate {subject.location or '.'} song.mp3 --n 4 --seed 1"
    code = "\n".join(["```python", *lines, "```"])
    return f"With artune installed:\n\n{code}\n\nor `{command}`." + (f"\n\n{needed}" if apart else "")


def _data(subject: Subject) -> str:
    told, data = subject.told, subject.told["data"]
    repo_id = data_on_hub(told)
    if repo_id:
        name = f"[{escaped(repo_id)}]({subject.endpoint}/datasets/{repo_id}/tree/{data['commit']})"
    else:
        name = escaped(data["described"].get("data_set") or data["where"] or "a folder")
    labels = [shortened(label) for label in data["label_names"]]
    more = f" and {len(labels) - MAX_LABELS} more" if len(labels) > MAX_LABELS else ""
    rows = [
        ("Data set", name),
        ("Version", escaped(data["version"]) or "none"),
        *([("Commit", data["commit"])] if repo_id else []),
        ("SHA-256 of its manifest", data["digest"] or "none"),
        (f"{len(labels)} labels", f"{', '.join(labels[:MAX_LABELS])}{more}"),
        ("Pairs left out", f"{told['skipped']:,}, whose media cannot be read" if told["skipped"] else "none"),
    ]
    return table(["", ""], rows)


def _training(subject: Subject) -> str:
    recipe, told = subject.recipe, subject.told
    model = told["model"] or {}
    unet = {"full": ["the U-Net"], "lora": [f"matrices of rank {recipe.train.lora.rank} in the U-Net"], "frozen": []}
    trained = ["the embedder", *(["the encoder"] if recipe.train.encoder else []), *unet[recipe.train.unet]]
    sessions = told["sessions"]
    machines = dict.fromkeys(_machine(session) for session in sessions)
    code = dict.fromkeys(_code(session["artune"]) for session in sessions)
    versions = dict.fromkeys(f"torch {session['versions'].get('torch')}" for session in sessions)
    energy = told["energy_kwh"]
    rows = [
        ("Base model", _weights(recipe.base.weights, subject.endpoint)),
        ("Encoder", f"{escaped(recipe.encoder.name)}, {_weights(recipe.encoder.weights, subject.endpoint)}"),
        ("Trained", ", ".join(trained)),
        ("Parameters trained", _count(model.get("trained_parameters"))),
        ("Parameters in all", _count(model.get("parameters"))),
        ("Machine", "; ".join(machines) or "none yet"),
        ("Time", _time(told["wall_s"]) + (f", begun {len(sessions)} times" if len(sessions) > 1 else "")),
        ("Energy", "not measured" if energy is None else f"about {energy:,.3g} kWh, as codecarbon estimates"),
        ("Made by", f"artune {'; '.join(code)}; {', '.join(versions)}" if sessions else "artune"),
    ]
    return table(["", ""], rows)


def _time(wall_s: float) -> str:
    for limit_s, unit_s, unit in ((60, 1, "s"), (3600, 60, "min")):
        if wall_s < limit_s:
            return f"{wall_s / unit_s:.3g} {unit}"
    return f"{wall_s / 3600:,.1f} h"


def _count(number: int | None) -> str:
    return "none yet" if number is None else f"{number:,}"


def _weights(weights: str | None, endpoint: str) -> str:
    if weights is None:
        return "random weights, drawn by the seed"
    return f"[{escaped(weights)}]({endpoint}/{weights})" if is_hub_name(weights) else escaped(weights)


def _machine(session: Mapping[str, Any]) -> str:
    hardware, count = session["hardware"], session["processes"]
    gpus = [f"{escaped(gpu['name'])}, {gpu['memory_bytes'] / 2**30:.0f} GiB" for gpu in hardware["gpus"]]
    cpu = f"{escaped(hardware['cpu'])}, {hardware['cpu_cores']} cores, {hardware['memory_bytes'] / 2**30:.0f} GiB"
    processes = f"{count} processes on " if count > 1 else ""
    return f"{processes}{' and '.join([*gpus, cpu])}"


def _code(artune: Mapping[str, Any]) -> str:
    commit = f" at {artune['commit'][:12]}" if artune["commit"] else ""
    return f"{artune['version'] or 'of unknown version'}{commit}{', with changes' if artune['is_dirty'] else ''}"


def _recipe(recipe: Recipe) -> str:
    """Return all values of a recipe but the settings of random networks, which are long and only for trials."""
    rows = [(escaped(key), shortened(_value(value))) for key, value in _flat(recipe.model_dump(mode="json"))]
    return f"All values, as in `recipe.yaml`:\n\n{table(['Value', ''], rows)}"


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and key != "random":
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", "settings" if isinstance(inner, Mapping) else inner


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else "none" if value is None else str(value)


def _results(subject: Subject) -> str:
    """Return the losses of the epochs, and the pictures."""
    told, best = subject.told, subject.told["best"]
    epochs = [row for row in subject.rows if row["kind"] == "epoch"]
    done = f"{len(epochs)} of {subject.recipe.epochs} epochs were done, {_count(_steps(told))} steps"
    finished = "" if told["finished_at"] else "**Unfinished.** "
    chosen = f" The model is that of step {best['step']:,}, in epoch {best['epoch']}." if best else ""
    rows = [(row["epoch"], _loss(row.get("train_loss")), _loss(row.get("validation_loss"))) for row in epochs]
    lines = [f"{finished}{done}.{chosen}", "", table(["Epoch", "Training loss", "Validation loss"], rows)]
    note = (
        "The training loss is the mean of an epoch with all its parts; the validation loss is that of the noise alone, "
        "with the same noise and time steps at every pass."
    )
    pictures = [f"![{what}]({name})" for what, name in subject.pictures.items()]
    return "\n".join([*lines, "", note, *(f"\n{picture}" for picture in pictures)])


def _steps(told: Mapping[str, Any]) -> int:
    return told["last"]["step"] if told["last"] else 0


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
