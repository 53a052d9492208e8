"""What a value should look like, in a sentence with an example: for the errors of the configuration. Pure.

No sentence quotes a value that may be a secret.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from schemas.redaction import safe

_SIGNS = "letters, digits, dots, dashes and underscores"
MEANINGS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$": f"a text of {_SIGNS}, at most 63, such as corp-dns",
    r"^[A-Za-z0-9._-]{1,100}$": f"a text of {_SIGNS}, at most 100",
    r"^[A-Za-z0-9_.-]{0,100}$": f"a text of {_SIGNS}, at most 100",
}
"""What a pattern means, for people."""


def wanted_form(value: object, hint: Any) -> str:
    """Return what is expected in the place of ``value``, which does not fit the type ``hint``."""
    kind = inspect.type_info(hint)
    shows = isinstance(value, str | int | float) and not isinstance(value, bool) and not _is_text(kind)
    near = nearest(value, _choices(kind))
    return f"{_noun(kind)} is expected, not {safe(value) if shows else name_of(value)}{near}{_hint_on(value)}"


def wanted_list(value: object, item: Any, structs: Sequence[type[msgspec.Struct]]) -> str:
    """Return that a list is expected, with an example: of what it may hold, or with the value in it if that fits."""
    if structs:
        return f"a list is expected: [{example_of(structs[0])}], not {name_of(value)}"
    choices = _choices(inspect.type_info(item))
    is_shown = isinstance(value, str) and safe(value) == repr(value) and (not choices or value in choices)
    return f"a list is expected: [{value if is_shown else next(iter(choices), '…')}]{_hint_on(value)}"


def wanted_mapping(value: object, struct: type[msgspec.Struct]) -> str:
    """Return that a mapping is expected, with the keys that it can't do without."""
    return f"a mapping is expected: {example_of(struct)}, not {name_of(value)}"


def example_of(struct: type[msgspec.Struct]) -> str:
    """Return a mapping with the keys that a struct can't do without; where it has none, with its first."""
    tag = struct.__struct_config__.tag_field
    fields = msgspec.structs.fields(struct)
    keys = [*([tag] if tag else []), *(one.encode_name for one in fields if one.required)]
    return f"{{{', '.join(f'{key}: …' for key in keys or [fields[0].encode_name])}}}"


def name_of(value: object) -> str:
    """Return what a value is, for people."""
    names = {dict: "a mapping", list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def nearest(word: object, known: Sequence[str]) -> str:
    """Return ``; 'x' is meant?`` where a word is nearly one that is known, else nothing."""
    near = difflib.get_close_matches(word.lower(), known, 1, 0.7) if isinstance(word, str) else []
    return f"; {near[0]!r} is meant?" if near else ""


def _noun(kind: inspect.Type) -> str:
    extra: dict[str, Any] = {}
    if isinstance(kind, inspect.Metadata):
        extra, kind = kind.extra_json_schema or {}, kind.type
    if isinstance(kind, inspect.UnionType):
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return " or ".join(dict.fromkeys(map(_noun, kinds)))
    if choices := _choices(kind):
        return f"one of {', '.join(choices)}"
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.DateTimeType():
            return "a time with its zone, such as 2026-12-01T22:00:00Z,"
        case inspect.StrType(pattern=str(pattern)):
            return MEANINGS.get(pattern, f"a text of the form {pattern}")
        case inspect.StrType():
            examples = extra.get("examples")
            return f"a text such as {' or '.join(examples[:2])}" if examples else "a text"
        case _:
            return "a mapping" if isinstance(kind, inspect.DictType | inspect.StructType) else "a list"


def _choices(kind: inspect.Type) -> tuple[str, ...]:
    if isinstance(kind, inspect.UnionType):
        return tuple(choice for one in kind.types for choice in _choices(one))
    if isinstance(kind, inspect.LiteralType):
        return tuple(map(str, kind.values))
    return tuple(str(one.value) for one in kind.cls) if isinstance(kind, inspect.EnumType) else ()


def _is_text(kind: inspect.Type) -> bool:
    """Return whether any text would do: then it is the kind of the value that is wrong, not what it says."""
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    return isinstance(kind, inspect.StrType) and kind.pattern is None


def _range(kind: "inspect.IntType | inspect.FloatType") -> str:
    if kind.ge is None:
        return ""
    return f" of at least {kind.ge:g}" if kind.le is None else f" from {kind.ge:g} to {kind.le:g}"


def _hint_on(value: object) -> str:
    if not isinstance(value, bool):
        return ""
    return f" (YAML reads an unquoted {'yes' if value else 'no'} as a boolean: quote it if a text is meant)"
