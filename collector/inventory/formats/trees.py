"""YAML and JSON of any shape as plain values in which each mapping knows its line. Pure.

YAML comes as manifests do, several documents in one text; they are read one by one, so that a broken one leaves the
others as they are. The parser's events are put together here, without recursion: the fast composer of PyYAML overflows
the stack of the process at a few thousand brackets, and that of Python is ten times slower.

Source: YAML 1.1 §4.3 (documents), §7.1 (aliases), https://yaml.org/type/merge.html; RFC 8259 §4 (names are unique).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from schemas.redaction import safe, without_quoted

DEEPEST = 100
MOST_UNFOLDED = 100_000
"""So many values may stand behind all aliases of a document, each as often as it is meant."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_START = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
# What is not closed ends with the text: else each quote or star in it would be tried to the end of all.
_QUOTED = r'"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z)'
_STRING = re.compile(rf"{_QUOTED}|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_QUOTED})|,(?=\s*[}}\]])", re.DOTALL)


class Node(dict[str, Any]):
    """A mapping of a document; ``line`` is where it begins, 0 where that is not known."""

    line: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """One document: its value, or why it has none.

    place: the file and its line. document: the name of the file within its source, empty where it is the only one.
    """

    value: Any
    place: str
    file: str
    document: str = ""
    problem: str = ""

    def place_of(self, node: object, otherwise: str = "") -> str:
        """Return where a mapping stands: its line, or the path ``otherwise`` to it."""
        if isinstance(node, Node) and node.line:
            return f"{self.file}:{node.line}"
        return f"{self.file}: {otherwise}" if otherwise else self.place


def read_trees(text: str, file: str, document: str = "") -> Iterator[Tree]:
    """Yield the documents of a text, JSON or YAML; one that can't be read is a tree with its problem."""
    if text.lstrip()[:1] in ("{", "["):
        yield read_json(text, file, document)
        return
    for line, piece in _pieces(text):
        place = f"{file}:{line}"
        try:
            for value, at in _compose(piece, file, line - 1):
                yield Tree(value, f"{file}:{at}", file, document)
        except ValueError as problem:
            yield Tree(None, place, file, document, str(problem))


def read_json(text: str, file: str, document: str = "", *, comments: bool = False) -> Tree:
    """Return a JSON document; with ``comments`` as editors allow it, with comments and a comma before an end."""
    try:
        return Tree(_load(text), file, file, document)
    except json.JSONDecodeError as error:
        problem = f"{file}:{error.lineno}: not JSON: {error.msg}"
    except RecursionError:
        problem = f"{file}: nested deeper than any inventory"
    except ValueError as error:
        problem = f"{file}: {error}"
    if comments:
        bare = _STRING.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
        bare = _TRAILING_COMMA.sub(lambda found: found[1] or "", bare)
        if bare != text:
            again = read_json(bare, file, document)
            return again if not again.problem else Tree(None, file, file, document, problem)
    return Tree(None, file, file, document, problem)


def _load(text: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> Node:
        found = Node(items)
        if len(found) < len(items):
            twice = next(name for name, count in Counter(key for key, _ in items).items() if count > 1)
            raise ValueError(f"the key {safe(twice)} is there twice")
        return found

    return json.loads(text, object_pairs_hook=pairs)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield each document of a stream with the number of its first line, without those that say nothing."""
    line, start = 1, 0
    ends = [found.start() for found in _START.finditer(text)] + [len(text)]
    for end in ends:
        piece = text[start:end]
        body = piece[3:] if piece.startswith("---") else piece
        if not _says_nothing(body):
            yield line, piece
        line, start = line + piece.count("\n"), end


def _says_nothing(body: str) -> bool:
    """Return whether a document has blank lines, comments and directives alone."""
    return all(not line.strip() or line.lstrip(" \t")[0] == "#" or line[0] == "%" for line in body.split("\n"))


@dataclass(slots=True)
class _Open:
    """A mapping or list under way; ``key`` is the key that a value belongs to, ``merged`` what merge keys brought.

    ``weight`` counts the values in it, those behind aliases as often as they are meant.
    """

    node: Any
    anchor: str | None
    weight: int = 1
    key: str | None = None
    wants_key: bool = True
    merged: dict[str, Any] | None = None


def _compose(text: str, file: str, lines_before: int) -> Iterator[tuple[Any, int]]:
    """Yield the values of a YAML text and their lines.

    Raises:
        ValueError: it can't be read; the sentence has the place and quotes nothing that may be secret.
    """
    stack: list[_Open] = []
    anchors: dict[str, tuple[Any, int]] = {}
    unfolded = 0
    top: list[tuple[Any, int]] = []

    def line_of(mark: Any) -> int:
        return int(mark.line) + 1 + lines_before

    def place(mark: Any) -> str:
        return f"{file}:{line_of(mark)}"

    def put(value: Any, mark: Any, *, is_text: bool, weight: int = 1) -> None:
        if not stack:
            top.append((value, line_of(mark)))
            return
        holder = stack[-1]
        holder.weight += weight
        if isinstance(holder.node, list):
            holder.node.append(value)
        elif holder.wants_key:
            if not is_text:
                raise ValueError(f"{place(mark)}: a key is a text")
            holder.key, holder.wants_key = str(value), False
        else:
            _enter(holder, value, place(mark))

    try:
        for event in yaml.parse(text, Loader=_LOADER):
            match event:
                case yaml.ScalarEvent():
                    is_key = bool(stack) and isinstance(stack[-1].node, Node) and stack[-1].wants_key
                    value = event.value if is_key else _scalar(event)
                    if event.anchor:
                        anchors[event.anchor] = value, 1
                    put(value, event.start_mark, is_text=True)
                case yaml.AliasEvent():
                    if event.anchor not in anchors:
                        raise ValueError(f"{place(event.start_mark)}: an alias of what is not there")
                    value, weight = anchors[event.anchor]
                    unfolded += weight
                    if unfolded > MOST_UNFOLDED:
                        raise ValueError(
                            f"{place(event.start_mark)}: its aliases stand for more than {MOST_UNFOLDED:,} values"
                        )
                    put(value, event.start_mark, is_text=isinstance(value, str), weight=weight)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    if len(stack) >= DEEPEST:
                        raise ValueError(f"{place(event.start_mark)}: nested deeper than any inventory")
                    if stack and isinstance(stack[-1].node, Node) and stack[-1].wants_key:
                        raise ValueError(f"{place(event.start_mark)}: a key is a text")
                    node: Any = Node() if isinstance(event, yaml.MappingStartEvent) else []
                    if isinstance(node, Node):
                        node.line = line_of(event.start_mark)
                    stack.append(_Open(node, event.anchor))
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    closed = stack.pop()
                    for key, merged in (closed.merged or {}).items():
                        closed.node.setdefault(key, merged)
                    if closed.anchor:
                        anchors[closed.anchor] = closed.node, closed.weight
                    put(closed.node, event.start_mark, is_text=False, weight=closed.weight)
                case yaml.DocumentStartEvent():
                    anchors.clear()
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        problem = without_quoted(str(getattr(error, "problem", None) or "it can't be read"))
        raise ValueError(f"{place(at) if at else file}: not YAML: {problem}") from None
    for value, line in top:
        yield value, value.line if isinstance(value, Node) and value.line else line


def _enter(holder: _Open, value: Any, place: str) -> None:
    """Put a value below the key that waits for it."""
    key, holder.wants_key = holder.key or "", True
    if key == "<<":
        merged = holder.merged or {}
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, Node):
                raise ValueError(f"{place}: a merge key takes mappings")
            merged = {**one, **merged}
        holder.merged = merged
        return
    if key in holder.node:
        raise ValueError(f"{place}: the key {safe(key)} is there twice")
    holder.node[key] = value


def _scalar(event: Any) -> Any:
    """Return what a scalar means as far as inventories need it: text, None, truth or a whole number."""
    text: str = event.value
    if event.style not in (None, "") or not event.implicit[0]:
        return text
    if text in _NULLS:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return _TRUTH.get(text.lower(), text)
