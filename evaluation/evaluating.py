"""The whole chain of an evaluation: from a run, images of another system, or a data set alone, to a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evaluation import metrics, networks
from evaluation.data_quality import assessing
from evaluation.data_quality.assessing import Sides
from evaluation.extraction import loading, spaces
from evaluation.extraction.extracting import Extraction
from evaluation.extraction.spaces import Loaded, Splits
from evaluation.features import Extractor
from evaluation.likeness import memorization
from evaluation.likeness.looking import Looking
from evaluation.report import Shown, write_report
from evaluation.report.media import OfSplits
from evaluation.request import Request
from evaluation.result import Data, LabelCount, Memorization, NetworkFacts, Result, Subject, shareable
from evaluation.sample import Items, Sample
from evaluation.statistics.measuring import Measured, measure
from evaluation.subjects import reference_rows, taking
from evaluation.subjects.items import Pictured, Told, of_rows
from evaluation.subjects.taking import Asked
from evaluation.telling import best, storing, summary
from evaluation.telling.best import Claim
from training.data import Revision, Split, open_revision
from training.fitting.devices import one_thread
from training.runs import provenance, run_card, run_folder
from training.runs.run_folder import METRICS, RUN, lines

TRAIN, PAIRING = "train", "pairing"
SPACES = (PAIRING, "inception", "clip", "likeness")
CACHE = "evaluation/cache"
REPORT = "write the report"  # a stage


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was found.

    Attributes:
        folder: of its files.
        where: by which `training.data.open_revision` finds the data again; a path here, which no file tells.
        claim: whether the run is now the best one; None where the evaluation does not lie in the folder of a run.
    """

    result: Result
    folder: Path
    where: str
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class _Bench:
    """On what and by what something is evaluated.

    Attributes:
        splits: that have pairs, by name; split: the one of the items.
        networks: by role, in memory; facts: of each.
        prompts: for each label, if the network of images reads.
    """

    revision: Revision
    splits: Mapping[str, Split]
    split: Split
    extraction: Extraction
    networks: Mapping[str, Extractor]
    facts: Mapping[str, NetworkFacts]
    prompts: Sequence[str] | None
    seed: int

    @property
    def train(self) -> Split:
        return self.splits[TRAIN]

    def loaded(self, role: str) -> Loaded:
        """Return the networks of a space."""
        if role != PAIRING:
            return Loaded(self.networks[role], (self.facts[role],))
        roles = f"{PAIRING}.image", f"{PAIRING}.music"
        image, music = (self.networks[name] for name in roles)
        return Loaded(image, tuple(self.facts[name] for name in roles), music, self.prompts)


def evaluate(request: Request, told: Told) -> Evaluated:
    """Draw, or take what was drawn; measure it; write figures and report.

    Args:
        told: is told the stage, how much of it is done, and of how much.

    Raises:
        ConfigurationError: a person has to mend something; the message says what.
        TransientError: the Hub or another place was busy: the same call goes on with what is there.
    """
    request.check()
    chosen = networks.load(request.networks, request.changes)
    revision = open_revision(request.data)
    splits = taking.splits_of(revision)
    split = taking.split_of(splits, TRAIN if request.is_of_data else request.split, revision)
    out = (request.out or taking.folder_of(request.run, request.images, revision)).expanduser().absolute()
    with one_thread(torch.device("cuda" if torch.cuda.is_available() else "cpu")):
        loaded = loading.load_all(chosen)  # before hours of drawing, should one be missing
        reads = "texts" in loading.kinds(networks.of_role(chosen, f"{PAIRING}.image"))
        bench = _Bench(
            revision,
            splits,
            split,
            Extraction(request.cache or out / CACHE, told),
            loaded,
            {role: loading.facts(chosen, role, extractor) for role, extractor in loaded.items()},
            tuple(map(spaces.prompt, revision.label_names)) if reads else None,
            request.seed,
        )
        with storing.held(out):
            found = _of_data(bench, told) if request.is_of_data else _of_images(bench, request, out, told)
            _write(bench, found, out, told)
            return Evaluated(found.result, out, revision.where, _claimed(request, found.result, out))


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found.

    Attributes:
        pictured: None of a data set alone, as what was measured.
    """

    result: Result
    pictured: Pictured | None = None
    measured: Measured | None = None


def _of_data(bench: _Bench, told: Told) -> _Found:
    others = [split for name, split in bench.splits.items() if name != TRAIN]
    sides: Sides = {
        "image": (bench.networks["likeness"], bench.facts["likeness"]),
        "music": (bench.networks["sound"], bench.facts["sound"]),
    }
    quality = assessing.assess(bench.extraction, bench.train, others, sides, bench.seed, told)
    roles = ("likeness", "sound")
    return _Found(
        _result(bench, roles, taking.of_data(bench.revision), None, None).model_copy(update={"quality": quality})
    )


def _of_images(bench: _Bench, request: Request, out: Path, told: Told) -> _Found:
    asked = Asked(bench.split, request.n, request.seed, out, told)
    if request.images is not None:
        subject, drawn = taking.of_images(request.images, asked)
    else:
        subject, drawn = taking.of_run(str(request.run), request.base, request.encoder, asked)
    pictured = spaces.usable(bench.extraction, drawn, bench.split, bench.loaded(PAIRING), bench.seed)
    references = reference_rows.choose(pictured.items, bench.split, bench.train, bench.seed)
    splits = Splits(bench.split, bench.train, references, bench.seed)
    found = {name: spaces.of_space(bench.extraction, pictured, splits, bench.loaded(name)) for name in SPACES}
    sample = Sample(pictured.items, len(bench.revision.label_names), found, bench.seed)
    every = {name: metrics.get(name) for name in metrics.names()}
    measured = measure(sample, every, small_fid=request.small_fid, told=told)
    roles = tuple(fact.role for space in found.values() for fact in space.networks)
    update = {"figures": measured.figures, "memorization": _memorization(bench, pictured)}
    result = _result(bench, roles, subject, pictured, request.n)  # after all that may leave out something
    return _Found(result.model_copy(update=update), pictured, measured)


def _memorization(bench: _Bench, pictured: Pictured) -> Memorization | None:
    """Return how like training images the images are; None where these are all of one group."""
    looking = Looking(bench.extraction, bench.networks["likeness"], "image", bench.train, [bench.split])
    if not looking.has_several_groups:
        return None
    real = looking.some(bench.split, memorization.REAL_ITEMS, bench.seed)
    return memorization.find(looking.generated(pictured, bench.split), real, looking.train())


def _result(
    bench: _Bench, roles: Sequence[str], subject: Subject, pictured: Pictured | None, asked: int | None
) -> Result:
    """Return a result without figures."""
    items = of_rows(bench.split, np.arange(len(bench.split))) if pictured is None else pictured.items
    return Result(
        layout=1,
        artune=provenance.code(),
        versions=provenance.libraries(),
        subject=subject,
        data=_data(bench, items, asked),
        seed=bench.seed,
        networks=[bench.facts[role] for role in roles],
        figures=[],
        left_out=list(dict.fromkeys([*(pictured.left_out if pictured else ()), *bench.extraction.left_out])),
    )


def _data(bench: _Bench, items: Items, asked: int | None) -> Data:
    revision, split = bench.revision, bench.split
    labels, counts = np.unique(items.labels, return_counts=True)
    return Data(
        where=shareable(revision.where),
        version=revision.version,
        commit=revision.commit,
        data_set=revision.data_set,
        digest=revision.digest,
        label_names=list(revision.label_names),
        split=split.name,
        n=len(items),
        asked=asked,
        available=len(split),
        recordings=int(items.recordings.max()) + 1,
        n_real=len(spaces.real_rows(split, bench.seed)),
        labels=[LabelCount(label=label, n=n) for label, n in zip(labels.tolist(), counts.tolist(), strict=True)],
        items_digest=items.digest,
        was_trained_on=split.name == TRAIN,
    )


def _claimed(request: Request, result: Result, out: Path) -> Claim | None:
    """Let a run tell of its evaluation: in its card, and as the best of its data set, if it is that."""
    if request.run is None or not (out / RUN).is_file() or out != Path(request.run).expanduser().absolute():
        return None  # it was written elsewhere, and is a trial
    run_card.tell_evaluation(out, summary.card(result))
    return best.claim(out)


def _write(bench: _Bench, found: _Found, out: Path, told: Told) -> None:
    """Write the page, then the figures by which the evaluation exists."""
    pictured, measured = found.pictured, found.measured
    files = dict(zip(pictured.items.pair_ids, pictured.files, strict=True)) if pictured else {}
    shown = Shown(
        items=pictured.items if pictured else None,
        drawn=lambda pair_id: files[pair_id].read_bytes(),
        media=OfSplits(list(bench.splits.values())),
        metrics=lines(out / METRICS),
        history=storing.history(out, found.result) if found.result.subject.kind == "run" else (),
    )
    told(REPORT, 0, 1)  # of many labels it takes a while: what is shown is fetched and made small
    with run_folder.writing(out, "evaluate again"):
        write_report(found.result, shown, out)
    told(REPORT, 1, 1)
    storing.write(
        found.result,
        measured.replicates if measured else (),
        measured.resampling if measured else "",
        pictured.items if pictured else None,
        out,
    )
