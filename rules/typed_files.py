"""YAML files of decisions, those of artune or somebody's own: found by name, typed, any value set for one run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from rules.errors import ConfigurationError
from rules.reading import Mistake, Node, parse, read
from rules.spelling import closest
from rules.validating import did_you_mean, translated

ModelT = TypeVar("ModelT", bound=BaseModel)
CHANGE = "--set "  # how a value is set for one run


def _meant(written: Any) -> Any:  # noqa: ANN401 - any value of YAML
    """Return settings of a library with its truth values and those numbers that `rules.reading` leaves as texts."""
    if isinstance(written, dict):
        return {key: _meant(value) for key, value in written.items()}
    if isinstance(written, list):
        return [_meant(value) for value in written]
    if written in ("true", "false"):
        return written == "true"
    if isinstance(written, str) and re.fullmatch(r"[-+]?\d+(\.\d+)?e[-+]?\d+|[-+]?\d+\.\d{19,}", written):
        return float(written)
    return written


Settings = Annotated[Mapping[str, Any], BeforeValidator(_meant)]  # what a library's own configuration class takes


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of one kind.

    Attributes:
        kind: what one of them is, for who named it: "recipe".
        folder: those that come with artune.
        example: of values that are set for one run.
    """

    kind: str
    folder: Path
    example: str

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.yaml"))

    def load(self, model: type[ModelT], name_or_path: str, changes: Sequence[str] = ()) -> ModelT:
        """Read a file.

        Args:
            model: what it must be.
            name_or_path: one of `names()`, or a file.
            changes: values for this run, as `optimizer.learning_rate=1e-4`; a value is YAML.

        Raises:
            ConfigurationError: one line `file:line: value: expected ...` for every mistake.
        """
        root, mistakes = read(self._path(name_or_path))
        if root is None or mistakes:
            raise ConfigurationError("\n".join(map(str, sorted(set(mistakes)))))
        for change in changes:
            _change(root, change, self.example)
        try:
            return model.model_validate(root.plain())
        except ValidationError as error:
            around = Node(None, root.file, 1)
            found = {translated(model, root, details, around) for details in error.errors(include_url=False)}
            raise ConfigurationError("\n".join(map(_told, sorted(found)))) from None

    def _path(self, name_or_path: str) -> Path:
        if name_or_path in self.names():
            return self.folder / f"{name_or_path}.yaml"
        path, known = Path(name_or_path), ", ".join(self.names())
        if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
            if not path.exists():
                raise ConfigurationError(f"{self.kind} {name_or_path}: no such file; artune brings {known}")
            return path
        hint = did_you_mean(closest(name_or_path, self.names()))
        raise ConfigurationError(f"{self.kind} {name_or_path!r}: expected one of {known}, or a YAML file{hint}")


def _told(mistake: Mistake) -> str:
    """Return a mistake as a line; what is wrong with a change of this run stands in no file."""
    return str(mistake).replace(":1: ", ": ", 1) if mistake.file.startswith(CHANGE) else str(mistake)


def _change(root: Node, change: str, example: str) -> None:
    """Set one value."""
    place, equals, written = change.partition("=")
    keys, where = [key.strip() for key in place.split(".")], CHANGE + change
    if not equals or not all(keys):
        raise ConfigurationError(f"{where}: expected KEY=VALUE, as {example}")
    read_value, mistakes = parse(f"value: {written}", where)
    if read_value is None or mistakes or list(read_value.entries()) != ["value"]:
        raise ConfigurationError(f"{where}: expected a value as in YAML: a number, a word, a [list]")
    node = root
    for depth, key in enumerate(keys):
        if node.value is None:
            node.value = {}
        if not isinstance(node.value, dict):
            raise ConfigurationError(f"{where}: {'.'.join(keys[:depth])} has no parts")
        node = node.value.setdefault(key, Node(None, where, 1))
    node.value, node.file, node.line = read_value["value"].value, where, 1
