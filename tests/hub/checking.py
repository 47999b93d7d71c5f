"""What a Hub looks at before it takes a file: how it is to be stored, and whether a card's header is in order."""

import codecs
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import yaml

MAX_GIT_BYTES = 10 << 20  # of a file that lies in git itself

_LFS = "filter=lfs diff=lfs merge=lfs -text"
_PATTERNS = """
*.7z *.arrow *.avro *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.lz4 *.mds *.mlmodel *.model *.msgpack *.npy
*.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite
*.tgz *.wasm *.xz *.zip *.zst *tfevents* *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff
*.jpg *.jpeg *.webp *.mp4 *.webm
"""
GITATTRIBUTES = "".join(f"{pattern} {_LFS}\n" for pattern in _PATTERNS.split())  # of a new repository

_LICENSES = re.compile(
    "apache-2.0|mit|(creativeml-)?openrail(-m|\\+\\+)?|bsd(-[23]-clause)?|cc|cc0-1.0|cc-by(-nc)?(-sa|-nd)?-(2.0|2.5|3.0|4.0)|pddl"
    "|cdla-(sharing|permissive)-[12].0|odbl|odc-by|gpl(-[23].0)?|agpl-3.0|lgpl(-[23].[01])?|etalab-2.0|unlicense"
    "|unknown|other"
)
_SIZES = [
    *["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"],
    *["1B<n<10B", "10B<n<100B", "100B<n<1T", "n>1T"],
]


def is_binary(sample: bytes, *, is_whole: bool) -> bool:
    """Tell by a file or by its beginning, which may cut a character in two."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        return True
    return b"\0" in sample


def in_lfs(path: str, gitattributes: str) -> bool:
    return any(
        "filter=lfs" in line and _matches(path, line.split()[0])
        for line in gitattributes.splitlines()
        if line.strip() and not line.startswith("#")
    )


def tracked(gitattributes: str, paths: Iterable[str]) -> str:
    """Give the .gitattributes by which these files lie in LFS; a Hub adds to it by itself."""
    missing = [path for path in paths if not in_lfs(path, gitattributes)]
    return gitattributes + "".join(f"{path.replace(' ', '[[:space:]]')} {_LFS}\n" for path in missing)


def ignored(path: str, gitignore: str) -> bool:
    """Tell whether the last line that says something about a file tells git to ignore it."""
    verdict = False
    for line in gitignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        negated, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        parents = [str(parent) for parent in PurePosixPath(path).parents]
        if any(_matches(each, pattern.rstrip("/")) for each in ([] if pattern.endswith("/") else [path]) + parents):
            verdict = not negated
    return verdict


def _matches(path: str, pattern: str) -> bool:
    """Match as git does: a pattern without a slash is one for a name in any folder."""
    if "/" not in pattern:
        return fnmatchcase(PurePosixPath(path).name, pattern.replace("[[:space:]]", " "))
    return fnmatchcase(path, pattern.lstrip("/").replace("**/", "*").replace("[[:space:]]", " "))


def header_of(card: str) -> str | None:
    """Give the YAML between the dashes at the beginning of a card, if there is one."""
    found = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", card, re.DOTALL | re.MULTILINE)
    return found and found[1]


def card_data(card: str) -> Mapping[str, object]:
    """Give what a card's header says; one that is not in order says nothing."""
    errors, _ = check_card(card)
    header = header_of(card)
    return {} if errors or header is None else yaml.safe_load(header) or {}


def check_card(card: str, kind: str = "dataset") -> tuple[list[str], list[str]]:
    """Give a Hub's errors and warnings about the header of a card."""
    header = header_of(card)
    if header is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        said = yaml.safe_load(header)
    except yaml.YAMLError as error:
        return [f"YAML Metadata Error: {error}"], []
    if not said:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(said, dict):
        return ['"metadata" must be an object'], []
    if kind == "model":
        return [*_errors(said), *_model_errors(said)], []
    return [*_errors(said), *_config_errors(said.get("configs", []))], list(_warnings(said))


def _errors(said: Mapping[str, object]) -> Iterable[str]:
    licenses = said.get("license", [])
    for license_ in licenses if isinstance(licenses, list) else [licenses]:
        if not isinstance(license_, str) or not _LICENSES.fullmatch(license_):
            yield f'"license" must be one of [apache-2.0, mit, ...], not {license_!r}'
    for name in ("tags", "task_categories", "task_ids", "language", "size_categories"):
        value = said.get(name, [])
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(tag, str) for tag in value)):
            yield f'"{name}" must be an array of strings'
    if not isinstance(said.get("pretty_name", ""), str):
        yield '"pretty_name" must be a string'


def _model_errors(said: Mapping[str, object]) -> Iterable[str]:
    for name in ("base_model", "datasets"):
        value = said.get(name, [])
        ids = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", one, re.ASCII) for one in ids):
            yield f'"{name}" must be ids of the Hub, without revisions'
    for name in ("library_name", "pipeline_tag"):
        if not isinstance(said.get(name, ""), str):
            yield f'"{name}" must be a string'
    if said.get("base_model_relation", "adapter") not in ("adapter", "finetune", "merge", "quantized"):
        yield '"base_model_relation" must be one of [adapter, finetune, merge, quantized]'


def _config_errors(configs: object) -> Iterable[str]:
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        yield '"configs" must be an array of objects'
        return
    names = [config.get("config_name") for config in configs]
    for index, config in enumerate(configs):
        if not isinstance(names[index], str):
            yield f'"configs[{index}].config_name" is required'
        elif names.count(names[index]) > 1:
            yield f'"configs[{index}].config_name" {names[index]} is there twice'
        files = config.get("data_files", [])
        for each in files if isinstance(files, list) else [files]:
            if isinstance(each, dict) and not {"split", "path"} <= set(each):
                yield f'"configs[{index}].data_files" must have "split" and "path"'


def _warnings(said: Mapping[str, object]) -> Iterable[str]:
    sizes = said.get("size_categories", [])
    for size in sizes if isinstance(sizes, list) else [sizes]:
        if size not in _SIZES:
            yield f'"size_categories" {size!r} is not one of {", ".join(_SIZES)}'
