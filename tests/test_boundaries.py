"""Who may import whom. Modules are pure unless listed in IO: adding a line there is the review."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = {"collector", "analyzer", "alerts"}
SHELL = "anchorwatch"
OURS = STAGES | {SHELL, "schemas"}

IO = {
    "schemas.export",  # writes schemas/json
    "collector.resolver",  # retries, deadlines
    "collector.transport",  # sockets
    "collector.vantage",  # asks through the resolver
    "collector.sources",  # reads inventory files, keeps time
    "collector.store",  # the last good rows on disk
    "collector.stage",  # the loop
    "analyzer.connection",  # opens the database
    "analyzer.history",  # the database
    "analyzer.overflow",  # the database, its lock
    "analyzer.migrations",  # the database
    "analyzer.server_faults",  # knows the errors of sockets and of the database's client
    "analyzer.stage",  # threads
    "alerts.ledger",  # the ledger's file
    "alerts.exchange",  # HTTP
    "alerts.overflow",  # the ledger's file
    "alerts.notifier",  # HTTP
    "alerts.sending",  # threads
    "alerts.webhook",  # HTTP
    "alerts.pagerduty",  # HTTP
    "alerts.local",  # console and commands
    "alerts.stage",  # threads, logging
}

PURE_IMPORTS = {
    *[
        "ast",
        "base64",
        "bisect",
        "collections",
        "csv",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fnmatch",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "io",
    ],
    *[
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "statistics",
        "pathlib",
        "re",
        "struct",
        "types",
        "typing",
        "urllib.parse",
    ],
    *["collections.abc", "msgspec", "cryptography", "idna", "yaml", "publicsuffixlist"],
    *["dns.exception", "dns.name", "dns.rdata", "dns.rdataclass", "dns.rdatatype"],
}
EFFECTS = {
    *[
        "now",
        "utcnow",
        "today",
        "open",
        "print",
        "input",
        "getLogger",
        "read_text",
        "write_text",
        "read_bytes",
        "write_bytes",
        "stat",
        "exists",
    ],
    *["is_file", "is_dir", "mkdir", "unlink", "iterdir", "getenv", "system", "run", "Popen", "__import__"],
}

MODULES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = {name_of(path) for path in MODULES}


def imports_of(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in NAMES} or {node.module or ""}
    return found


def is_allowed(name: str) -> bool:
    return any(name == allowed or name.startswith(allowed + ".") for allowed in PURE_IMPORTS)


def called_effects(tree: ast.AST) -> set[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {called for call in calls if (called := getattr(call.func, "attr", getattr(call.func, "id", ""))) in EFFECTS}


def trespasses(module: str, source: str) -> list[str]:
    """Return what a module does that its place forbids."""
    package = module.split(".")[0]
    tree = ast.parse(source)
    imported = imports_of(tree)
    ours = {name for name in imported if name.split(".")[0] in OURS}
    found = []
    if package == "schemas":
        found += [f"schemas import {name}" for name in sorted(ours) if not name.startswith("schemas")]
    elif package != SHELL:
        others = {name.split(".")[0] for name in ours} - {package, "schemas"}
        found += [f"stages meet in messages, not by importing {name}" for name in sorted(others)]
    if package == SHELL or module in IO:
        return found
    found += [f"pure module imports {name}" for name in sorted(imported - ours) if not is_allowed(name)]
    found += [f"pure module imports I/O {name}" for name in sorted(ours & IO)]
    found += [f"pure module calls {name}" for name in sorted(called_effects(tree))]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_inside_their_bounds(path: Path) -> None:
    assert trespasses(name_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_knows(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or not path.read_text().strip()


def test_listed_io_modules_exist() -> None:
    assert IO <= NAMES


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("collector.denial", "import socket"),
        ("collector.denial", "from datetime import datetime\ndatetime.now()"),
        ("collector.denial", "open('x')"),
        ("collector.denial", "from collector.resolver import Resolver"),
        ("collector.denial", "import logging"),
        ("collector.stage", "from analyzer.drift import detect_drift"),
        ("alerts.decide", "from analyzer.history import open_history"),
        ("schemas.wire", "from collector import names"),
        ("analyzer.drift", "import dns.asyncquery"),
        ("analyzer.drift", "from os import environ"),
    ],
)
def test_planted_trespasses_are_caught(module: str, source: str) -> None:
    assert trespasses(module, source)
