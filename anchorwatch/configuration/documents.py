"""Strict YAML: every mistake named with file, line and path, all at once.

Duplicate keys are refused (YAML lets the last win), unknown keys are refused, and each value is checked by itself, so
that one bad value does not hide the next. No message quotes what may hold a secret.
"""

import re
import types
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from anchorwatch.configuration.forms import nearest, wanted_form, wanted_list, wanted_mapping
from schemas.redaction import HIDDEN, safe, without_quoted

T = TypeVar("T", bound=msgspec.Struct)
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass
class Document:
    """A YAML document as plain values, the line of each path, and what is wrong so far."""

    source: str
    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def problem(self, path: str, sentence: str) -> None:
        """Note what is wrong at a path such as ``poll.interval``."""
        line = self.lines.get(path)
        parent = path
        while line is None and parent:
            parent = parent.rpartition(".")[0] if "." in parent else ""
            line = self.lines.get(parent)
        place = f"{self.source}:{line}" if line else self.source
        self.problems.append(f"{place}: {path + ': ' if path else ''}{sentence}")


def read_document(text: str, source: str) -> Document:
    """Parse YAML into a document; syntax errors and duplicate keys are problems of it."""
    document = Document(source)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document.value = _plain(node, "", document) if node is not None else {}
    except RecursionError:
        document.problems.append(f"{source}: nested deeper than any configuration")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        problem = without_quoted(str(getattr(error, "problem", None) or "it can't be read"))
        document.problems.append(f"{place}: not YAML: {problem}")
    return document


def _plain(node: yaml.Node, path: str, document: Document) -> Any:
    document.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, f"{path}[{number}]", document) for number, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        try:
            return yaml.SafeLoader("").construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            problem = without_quoted(str(getattr(error, "problem", None) or "no value of its type"))
            document.problem(path, f"can't be read: {problem}")
            return None
    value: dict[str, Any] = {}
    for key_node, child in node.value:
        key = str(key_node.value)
        below = _below(path, key)
        if key in value:
            document.lines[below] = key_node.start_mark.line + 1
            document.problem(below, "the key is there twice")
        value[key] = _plain(child, below, document)
        document.lines[below] = key_node.start_mark.line + 1
    return value


def _below(path: str, key: str) -> str:
    """Return the path of a key; one that is no plain word may be a secret at a wrong place, and is not shown."""
    shown = key if _KEY.fullmatch(key) else HIDDEN
    return f"{path}.{shown}" if path else shown


def decode_struct(value: Any, struct: type[T], path: str, document: Document) -> T | None:
    """Return ``value`` as a struct; every key that does not fit becomes a problem, and None comes back."""
    before = len(document.problems)
    if not isinstance(value, dict):
        document.problem(path, wanted_mapping(value, struct))
        return None
    hints = get_type_hints(struct, include_extras=True)
    fields = {one.encode_name: (one.name, hints[one.name], one.required) for one in msgspec.structs.fields(struct)}
    found: dict[str, Any] = {}
    for key, item in value.items():
        below = _below(path, key)
        if key not in fields:
            known = [*_tag_fields(struct), *fields]
            document.problem(below, f"unknown key{nearest(key, known)}; known here: {', '.join(known)}")
            continue
        name, hint, _ = fields[key]
        found[name] = _decode(item, hint, below, document)
    for key, (name, _, required) in fields.items():
        if required and name not in found:
            document.problem(path, f"the key {key!r} is missing")
    return struct(**found) if len(document.problems) == before else None


def _decode(value: Any, hint: Any, path: str, document: Document) -> Any:
    """Return a value as its type wants it; each part that does not fit is a problem of its own."""
    if value is None and _takes_nothing(hint):
        return None
    structs = _structs_in(hint)
    if structs:
        return _decode_one_of(value, structs, path, document)
    item = _item_of(hint, tuple)
    if item is not None:
        return _decode_list(value, item, path, document)
    item = _item_of(hint, dict)
    if item is not None and isinstance(value, dict):
        return {key: _decode(one, item, _below(path, key), document) for key, one in value.items()}
    try:
        return msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError:
        document.problem(path, wanted_form(value, hint))
        return None


def _decode_list(value: Any, item: Any, path: str, document: Document) -> Any:
    if not isinstance(value, list):
        document.problem(path, wanted_list(value, item, _structs_in(item)))
        return None
    return tuple(_decode(one, item, f"{path}[{number}]", document) for number, one in enumerate(value))


def _decode_one_of(value: Any, structs: list[type[msgspec.Struct]], path: str, document: Document) -> Any:
    """Return ``value`` as the one struct there is, or as the one whose tag it has."""
    field_name = structs[0].__struct_config__.tag_field
    if field_name is None or not isinstance(value, dict):
        return decode_struct(value, structs[0], path, document)
    by_tag = {str(struct.__struct_config__.tag): struct for struct in structs}
    known = ", ".join(by_tag)
    if field_name not in value:
        document.problem(path, f"the key {field_name!r} is missing; one of {known} is expected")
        return None
    tag = value[field_name]
    if not isinstance(tag, str) or tag not in by_tag:
        document.problem(_below(path, field_name), f"{safe(tag)} is none of {known}{nearest(tag, list(by_tag))}")
        return None
    rest = {key: item for key, item in value.items() if key != field_name}
    return decode_struct(rest, by_tag[tag], path, document)


def _tag_fields(struct: type[msgspec.Struct]) -> list[str]:
    return [field_name] if (field_name := struct.__struct_config__.tag_field) else []


def _structs_in(hint: Any) -> list[type[msgspec.Struct]]:
    return [one for one in _options(hint) if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _takes_nothing(hint: Any) -> bool:
    return type(None) in _options(hint)


def _item_of(hint: Any, container: type) -> Any:
    """Return the type of what is in a list or the values of a mapping, None where something else may stand there."""
    found = [one for one in _options(hint) if one is not type(None)]
    if len(found) != 1 or get_origin(found[0]) is not container:
        return None
    inside = get_args(found[0])
    if container is dict:
        return inside[1]
    return inside[0] if inside[1:] == (Ellipsis,) else None
