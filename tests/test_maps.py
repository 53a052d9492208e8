"""The map in each room's docstring: it names every file that is there, and none that is not."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("collector", "analyzer", "alerts")
ROOMS = sorted(path.parent for stage in STAGES for path in (ROOT / stage).rglob("__init__.py"))
OPENING = "Where to look"
ROW = re.compile(r" {4}(\S.*?)(?: {2,}\S.*)?")


def named_in(text: str) -> list[str]:
    """Return the names in the first column of a map: of files, and of rooms with a slash."""
    _, opening, rest = text.partition(f"{OPENING}\n")
    assert opening, f"there is no {OPENING!r}"
    lines = rest.split("\n\n")[0].rstrip("\n").split("\n")
    rows = [ROW.fullmatch(line) for line in lines]
    assert all(rows), [line for line, row in zip(lines, rows, strict=True) if row is None]
    return [name for row in rows if row for name in re.split(r",? +", row.group(1))]


def there(room: Path) -> set[str]:
    files = {path.stem for path in room.glob("*.py")} - {"__init__"}
    return files | {f"{path.parent.name}/" for path in room.glob("*/__init__.py")}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_rooms_map_names_exactly_what_is_in_it(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""

    named = named_in(text)

    assert sorted(named) == sorted(set(named)), "each once"
    assert set(named) == there(room)


def test_a_map_is_read_as_it_is_written() -> None:
    rows = "    one         the first\n    two, three  others; over one: four\n    a/ b/   rooms\n    five\n"
    text = f"What.\n\nWhere to look\n{rows}\nWords\n    six  no file\n"

    assert named_in(text) == ["one", "two", "three", "a/", "b/", "five"]
