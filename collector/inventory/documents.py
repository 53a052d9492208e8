"""Inventory files to placed rows: YAML, CSV, JSON, and plain lists of hosts, as people export them.

YAML is read with the line of every identity and endpoint, and duplicate keys are refused: the last one would win
silently. No message quotes what may hold a secret.

Source: RFC 4180 (CSV), YAML 1.1 "merge" (https://yaml.org/type/merge.html).
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import yaml

from collector.inventory.hosts import parse_host, split_cell
from collector.inventory.rows import Placed, Unusable, meant_field
from schemas.redaction import safe, without_quoted

COLUMNS = ("id", "kind", "owner", "environment", "criticality", "endpoints")
SHARED_COLUMNS = ("types", "expect", "port", "purpose", "answers", "unsigned_alias_ok")
DELIMITERS = (",", ";", "\t", "|")
BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
LONGEST_ALIAS_CHAIN = 100_000
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def decode_text(content: bytes, source: str) -> str:
    """Return a file's text: UTF-8, or UTF-16 or UTF-32 with a byte order mark, which is dropped.

    Raises:
        ValueError: it is in no such encoding; the sentence has the place.
    """
    mark, encoding = next(((bom, name) for bom, name in BOMS if content.startswith(bom)), (b"", "utf-8"))
    if not mark and content[:64].count(0) * 3 > len(content[:64]) > 1:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{source}:{line}: not {encoding.upper()} at octet {error.start + len(mark)}: "
            "save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')"
        ) from None
    return text.removeprefix("\ufeff")


def read_rows(text: str, format_name: str, source: str) -> Iterable[Placed]:
    """Return the identities of one document as placed mappings; those of CSV one by one, as there may be many.

    Raises:
        ValueError: the document as a whole can't be read, also while they are taken; the sentence has the place.
    """
    try:
        return FORMATS[format_name](text, source)
    except RecursionError as error:
        raise ValueError(f"{source}: nested deeper than any inventory") from error


def guess_format(text: str) -> str:
    """Return the format of a text that has no file name: ``yaml``, ``json``, ``csv`` or ``txt``."""
    first = next((line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#"), "")
    if first.startswith(("{", "[")):
        return "json"
    if first.startswith(("identities:", "- ", "---", "%YAML")):
        return "yaml"
    words = {word.strip(' "').lower() for word in re.split(r"[,;\t|]", first)}
    return "csv" if "id" in words or first.lower().startswith("sep=") else "txt"


def _read_yaml(text: str, source: str) -> list[Placed]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        problem = without_quoted(str(getattr(error, "problem", None) or "it can't be read"))
        raise ValueError(f"{place}: not YAML: {problem}") from None
    if node is None:
        raise ValueError(f"{source}: the file is empty; an inventory has 'identities:', a list")
    return _YamlReader(source).identities_of(node)


class _YamlReader:
    """Reads composed nodes; counts them, since aliases of aliases grow without end."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._left = 0
        self._total = 0

    def identities_of(self, node: yaml.Node) -> list[Placed]:
        if isinstance(node, yaml.SequenceNode):
            return self._rows(node)
        top = self._fields(node) if isinstance(node, yaml.MappingNode) else {}
        others = [key for key in top if key != "identities" and not key.startswith((".", "x-"))]
        listed = top.get("identities")
        if others or not isinstance(listed, yaml.SequenceNode | yaml.ScalarNode):
            raise ValueError(
                f"{self._place(node)}: an inventory has one key, 'identities', and it is a list "
                "(keys that begin with 'x-' may hold anchors)"
            )
        if isinstance(listed, yaml.ScalarNode):
            if listed.tag == "tag:yaml.org,2002:null":
                return []
            raise ValueError(f"{self._place(listed)}: an inventory has one key, 'identities', and it is a list")
        return self._rows(listed)

    def _rows(self, node: yaml.SequenceNode) -> list[Placed]:
        return [self._row(item) for item in node.value]

    def _row(self, item: yaml.Node) -> Placed:
        self._left = LONGEST_ALIAS_CHAIN
        place = self._place(item)
        if isinstance(item, yaml.ScalarNode):
            return Placed(_host_row(self._value(item)), place)
        if not isinstance(item, yaml.MappingNode):
            return Placed(self._value(item), place)
        fields = self._fields(item)
        value: dict[str, Any] = {key: self._value(child) for key, child in fields.items() if key != "endpoints"}
        endpoints = fields.get("endpoints")
        if isinstance(endpoints, yaml.SequenceNode):
            value["endpoints"] = [Placed(self._value(child), self._place(child)) for child in endpoints.value]
        elif endpoints is not None:
            value["endpoints"] = _endpoints_in(self._value(endpoints), place)
        return Placed(value, place)

    def _place(self, node: yaml.Node) -> str:
        return f"{self._source}:{node.start_mark.line + 1}"

    def _fields(self, node: yaml.Node, depth: int = 0) -> dict[str, yaml.Node]:
        """Return the fields of a mapping; a merge key gives those that the mapping does not have itself."""
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"{self._place(node)}: a mapping is expected here")
        if depth > 50:
            raise ValueError(f"{self._place(node)}: merge keys lead in a circle")
        fields: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for key, child in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for one in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    merged = {**self._fields(one, depth + 1), **merged}
                continue
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in fields:
                raise ValueError(f"{self._place(key)}: the key {safe(name)} is there twice")
            fields[name] = child
        return {**merged, **fields}

    def _value(self, node: yaml.Node) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"{self._place(node)}: the aliases of one identity unfold to more than any inventory has")
        if isinstance(node, yaml.MappingNode):
            return {key: self._value(child) for key, child in self._fields(node).items()}
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child) for child in node.value]
        try:
            return yaml.SafeLoader("").construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            problem = without_quoted(str(getattr(error, "problem", None) or "no value of its type"))
            raise ValueError(f"{self._place(node)}: can't be read: {problem}") from None


def _endpoints_in(value: Any, place: str) -> Any:
    """Return a lone text as the list of its entries; what is no text stays, to be refused with its place."""
    if not isinstance(value, str):
        return value
    return _entries(value, {}, place)


def _host_row(value: Any) -> Any:
    """Return an identity for a host in a plain list: it is called as its host is; what is no text stays."""
    if not isinstance(value, str):
        return value
    try:
        host = parse_host(value)
    except ValueError as error:
        return Unusable(str(error))
    return {"id": host, "endpoints": [value]}


def _read_json(text: str, source: str) -> list[Placed]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise ValueError(f"{source}: the key {safe(key)} is there twice")
            found[key] = value
        return found

    if not text.strip():
        raise ValueError(f"{source}: the file is empty; an inventory has 'identities', a list")
    try:
        document = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source}:{error.lineno}: not JSON: {error.msg}") from None
    rows = document or None if isinstance(document, list) else None
    if isinstance(document, dict) and len(document) == 1:
        rows = document.get("identities")
    if not isinstance(rows, list):
        raise ValueError(f"{source}: an inventory has one key, 'identities', and it is a list")
    return [_json_row(row, f"{source}: identities[{number}]") for number, row in enumerate(rows)]


def _json_row(row: Any, place: str) -> Placed:
    if isinstance(row, str):
        return Placed(_host_row(row), place)
    if isinstance(row, dict) and isinstance(row.get("endpoints"), str):
        row = {**row, "endpoints": _endpoints_in(row["endpoints"], place)}
    return Placed(row, place)


def _read_txt(text: str, source: str) -> list[Placed]:
    """Read one host a line; ``#`` begins a comment at the start of a line or after a space."""
    rows, seen = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        host = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not host:
            continue
        row = _host_row(host) if len(host.split()) == 1 else Unusable("one host a line is expected")
        key = row.get("id") if isinstance(row, dict) else None
        if key is None or key not in seen:
            rows.append(Placed(row, f"{source}:{number}"))
            seen.add(key)
    return rows


def _read_csv(text: str, source: str) -> Iterator[Placed]:
    first_line, lines = 1, text
    if re.match(r"sep=.\r?\n", text, re.IGNORECASE):
        first_line, lines = 2, text.split("\n", 1)[1]
    delimiter = text[4] if first_line == 2 else _delimiter_of(lines)
    reader = csv.reader(io.StringIO(lines, newline=""), strict=True, delimiter=delimiter)
    try:
        header = next((row for row in reader if any(cell.strip() for cell in row)), [])
        place = f"{source}:{reader.line_num + first_line - 1 or first_line}"
        columns = _columns(header, place)
        for row in reader:
            if any(cell.strip() for cell in row):
                place = f"{source}:{reader.line_num + first_line - 1}"
                yield Placed(_csv_row(columns, row, place), place)
    except csv.Error as error:
        raise ValueError(f"{source}:{reader.line_num + first_line - 1}: not CSV: {error}") from None


def _delimiter_of(text: str) -> str:
    """Return what separates the columns: of the candidates the one that finds the most columns we know."""
    header = next((line for line in text.splitlines() if line.strip(" ,;\t|")), "")

    def found(delimiter: str) -> int:
        words = {_column_name(cell) for cell in header.split(delimiter)}
        return len(words & {*COLUMNS, *SHARED_COLUMNS})

    return max(DELIMITERS, key=found)


def _column_name(cell: str) -> str:
    name = cell.strip().strip('"').strip()
    known = re.sub(r"[\s-]+", "_", name.lower())
    return known if known in (*COLUMNS, *SHARED_COLUMNS) else name


def _columns(header: Sequence[str], place: str) -> list[str]:
    """Return the columns' names; empty ones are skipped later, others than ours become labels.

    Raises:
        ValueError: no id or endpoints, a column that is there twice, or one that nearly has a name of ours.
    """
    columns = [_column_name(cell) for cell in header]
    for name in columns:
        meant = meant_field(name, (*COLUMNS, *SHARED_COLUMNS)) if name not in (*COLUMNS, *SHARED_COLUMNS) else ""
        if meant and not (meant == "endpoints" and "endpoints" in columns):
            raise ValueError(f"{place}: the column {safe(name)} is unknown; {meant!r} is meant?")
        if name and columns.count(name) > 1:
            raise ValueError(f"{place}: the column {safe(name)} is there twice")
    if "id" not in columns or "endpoints" not in columns:
        raise ValueError(
            f"{place}: the columns are {', '.join(COLUMNS)} and perhaps {', '.join(SHARED_COLUMNS)}, of which id and "
            f"endpoints must be there; here: {', '.join(map(safe, columns)) or 'none'}"
        )
    return columns


def _csv_row(columns: Sequence[str], cells: Sequence[str], place: str) -> dict[str, Any] | Unusable:
    texts = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    if any(cell.strip() for cell in cells[len(columns) :]):
        return Unusable("the row has more fields than columns: quote a field that has the separator in it", texts["id"])
    value: dict[str, Any] = {
        key: text for key, text in texts.items() if key and text and key not in ("endpoints", *SHARED_COLUMNS)
    }
    try:
        shared = dict(_shared(texts))
    except ValueError as error:
        return Unusable(str(error), texts.get("id", ""))
    value["endpoints"] = _entries(texts.get("endpoints", ""), shared, f"{place}: column endpoints")
    return value


def _shared(texts: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that all endpoints of a row have."""
    for key in SHARED_COLUMNS:
        text = texts.get(key, "")
        if not text:
            continue
        if key in ("types", "answers"):
            yield key, re.split(r"[\s,]+", text)
        elif key == "port":
            if not (text.isascii() and text.isdigit()):
                raise ValueError("column port: a number from 1 to 65535 is expected")
            yield key, int(text[:6])
        elif key == "unsigned_alias_ok":
            if text.lower() not in _TRUTH:
                raise ValueError("column unsigned_alias_ok: true or false is expected")
            yield key, _TRUTH[text.lower()]
        else:
            yield key, text.lower() if key == "expect" else text


def _entries(cell: str, shared: dict[str, Any], place: str) -> list[Placed]:
    try:
        return [Placed({"host": host, **shared}, place) for host in split_cell(cell)]
    except ValueError as error:
        return [Placed(Unusable(str(error)), place)]


FORMATS: dict[str, Callable[[str, str], Iterable[Placed]]] = {
    "yaml": _read_yaml,
    "json": _read_json,
    "csv": _read_csv,
    "txt": _read_txt,
}
SUFFIXES = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "txt",
    ".list": "txt",
}
