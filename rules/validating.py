"""What pydantic finds wrong in a file that a person wrote, told with its line."""

from collections.abc import Iterable
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, RootModel
from pydantic_core import ErrorDetails

from rules.reading import Mistake, Node
from rules.spelling import closest

# pydantic's words for what a curator may not know by that name
_PLAINER = {
    "bool_parsing": "true or false",
    "dict_type": "a mapping (lines of `key: value`)",
    "float_type": "a number",
    "int_type": "a whole number",
    "mapping_type": "a mapping (lines of `key: value`)",
    "model_type": "a mapping (lines of `key: value`)",
    "string_pattern_mismatch": "small letters, digits, - and _",
    "string_type": "a text (in quotes if it looks like a number)",
    "too_short": "at least one entry",
    "tuple_type": "a list",
}


def translated(model: type[BaseModel], root: Node, details: ErrorDetails, around: Node) -> Mistake:
    """Return pydantic's finding in the words of whoever wrote the file, at its line.

    Args:
        model: that refused what is written.
        root: what is written.
        details: one finding.
        around: where it is told if it stands nowhere, like a key that is missing.
    """
    loc, kind = details["loc"], details["type"]
    node = _find(root, loc)
    if node is root:
        node = around
    key = next((part for part in reversed(loc) if isinstance(part, str) and part != "[key]"), "")
    if kind == "missing":
        return node.mistake(f"no {key}", f"the key {key}")
    if kind == "extra_forbidden":
        return node.mistake(key, known_keys(key, _keys_at(model, loc[:-1])))
    expected = details["msg"].removeprefix("Input should be ").removeprefix("String should have ")
    if kind == "value_error":
        expected = str(details["ctx"]["error"])
    elif kind.startswith(("greater_than", "less_than")):
        expected = f"a number {expected}"
    return node.mistake(_shown(loc, key, details["input"]), _PLAINER.get(kind, expected))


def _shown(loc: tuple[int | str, ...], key: str, value: object) -> str:
    """Return a wrong value as it may be found in the file: with its key where it has one of its own."""
    if loc[-1:] == ("[key]",) or (isinstance(value, dict) and value) or isinstance(value, BaseModel):
        return key
    text = {list: "a list", dict: "an empty mapping", type(None): "nothing"}.get(type(value), str(value))
    if value == []:
        text = "an empty list"
    return f"{key}: {text}" if loc[-1:] == (key,) else text


def _find(root: Node, loc: tuple[int | str, ...]) -> Node:
    """Return the node at the place, or the nearest around it."""
    node = root
    for part in loc:
        elements, entries = node.elements(), node.entries()
        if isinstance(part, int) and part < len(elements):
            node = elements[part]
        elif isinstance(part, str) and part in entries:
            node = entries[part]
    return node


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> Iterable[str]:
    """Return the keys that the model knows at a place."""
    annotation: Any = model
    for part in loc:
        if _is_model(annotation):
            annotation.model_rebuild()  # it was built as a part of the rule set only
            annotation = annotation.model_fields[str(part)].annotation
        else:  # tuple[X, ...] or Mapping[Name, X]
            annotation = [argument for argument in get_args(annotation) if argument is not ...][-1]
        if isinstance(annotation, UnionType):  # X | None
            annotation = get_args(annotation)[0]
        if _is_model(annotation) and issubclass(annotation, RootModel):
            annotation = annotation.model_fields["root"].annotation
    return annotation.model_fields if _is_model(annotation) else ()


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def known_keys(key: str, known: Iterable[str]) -> str:
    return f"one of the keys {', '.join(known)}{did_you_mean(closest(key, known))}"


def did_you_mean(suggestions: list[str]) -> str:
    return f"; did you mean {' or '.join(suggestions)}?" if suggestions else ""
