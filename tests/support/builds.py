"""The build that comes after this one, as far as others can tell: its messages say more, and so does its database."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "collector", "analyzer", "alerts", "anchorwatch")
FIELD = '    novelty: str = "of the next build"\n'
MIGRATION = "ALTER TABLE observations ADD COLUMN IF NOT EXISTS novelty String;\n"


def next_build(folder: Path) -> Path:
    """Copy our code into a folder, with one more field in each message and one more migration; return the folder."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    messages = folder / "schemas" / "messages.py"
    text, changed = re.subn(r"(class \w+\(Message, .*tag=.*\):\n)", rf"\1{FIELD}", messages.read_text(encoding="utf-8"))
    assert changed > 5, "the messages look otherwise now"
    messages.write_text(text, encoding="utf-8")
    (folder / "schemas" / "sql" / "9000_novelty.sql").write_text(MIGRATION, encoding="utf-8")
    return folder
