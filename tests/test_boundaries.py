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
    "schemas.deadline",  # sockets, a timer
    "collector.resolvers.resolver",  # retries, deadlines
    "collector.resolvers.carrier",  # tasks, the loop's readers
    "collector.resolvers.ports",  # sockets
    "collector.resolvers.transport",  # sockets
    "collector.resolvers.streams",  # tasks, connections
    "collector.resolvers.connection",  # what the loop calls
    "collector.resolvers.lines",  # sockets
    "collector.resolvers.https",  # sockets
    "collector.resolvers.authentication",  # reads authorities, TLS
    "collector.resolvers.vantage",  # tasks
    "collector.authorities.servers",  # sockets, the pace
    "collector.inventory.sources",  # keeps time, logging
    "collector.inventory.supplies.files",  # reads inventory files
    "collector.inventory.supplies.polled",  # threads
    "collector.inventory.supplies.exchange",  # HTTP
    "collector.inventory.supplies.web",  # HTTP, reads headers
    "collector.inventory.supplies.cluster",  # HTTP, reads a token
    "collector.inventory.store",  # the last good rows on disk
    "collector.anchor_file",  # reads the trust anchors
    "collector.stage",  # the clock
    "collector.poller",  # the loop, tasks
    "collector.following",  # a thread that reads the inventory
    "analyzer.history.connection",  # opens the database
    "analyzer.history.clickhouse",  # the database
    "analyzer.history.overflow",  # the database, its lock
    "analyzer.history.migrations",  # the database
    "analyzer.history.server_faults",  # knows the errors of sockets and of the database's client
    "analyzer.stage",  # threads
    "alerts.ledger.sqlite",  # the ledger's file
    "alerts.receivers.exchange",  # HTTP
    "alerts.ledger.overflow",  # the ledger's file
    "alerts.receivers.posting",  # HTTP
    "alerts.delivery.sending",  # threads
    "alerts.receivers.webhook",  # HTTP
    "alerts.receivers.pagerduty",  # HTTP
    "alerts.receivers.console",  # standard output
    "alerts.receivers.command",  # processes
    "alerts.receivers.alertmanager",  # HTTP
    "alerts.receivers.apprise",  # Apprise
    "alerts.receivers.file",  # the file
    "alerts.receivers.jsm",  # HTTP
    "alerts.receivers.mail",  # SMTP
    "alerts.receivers.slack",  # HTTP
    "alerts.receivers.syslog",  # sockets
    "alerts.receivers.teams",  # HTTP
    "alerts.receivers.types",  # knows every receiver
    "alerts.journal",  # the ledger, logging
    "alerts.stage",  # threads, logging
}

# Which rooms of a stage may look into which others of it; a stage's own modules may look into all.
ROOMS = {
    "collector.dnssec": set(),
    "collector.resolvers": {"collector.dnssec"},
    "collector.authorities": {"collector.dnssec", "collector.resolvers"},
    "collector.inventory": {"collector.dnssec"},
    "collector.polling": {"collector.authorities", "collector.dnssec", "collector.resolvers"},
    "analyzer.zones": set(),
    "analyzer.endpoints": {"analyzer.zones"},
    "analyzer.findings": {"analyzer.zones", "analyzer.endpoints"},
    "analyzer.history": set(),
    "alerts.decision": set(),
    "alerts.runbooks": set(),
    "alerts.delivery": {"alerts.decision", "alerts.runbooks"},
    "alerts.receivers": {"alerts.decision", "alerts.delivery"},
    "alerts.ledger": {"alerts.decision", "alerts.delivery"},
}

# The shell may import anything, but not in circles: who reads a configuration knows nothing of who runs by it.
SHELL_ROOMS = {
    "anchorwatch.configuration": {"anchorwatch.cli", "anchorwatch.lab", "anchorwatch.pipeline"},
    "anchorwatch.kafka": {"anchorwatch.cli", "anchorwatch.lab"},
    "anchorwatch.pipeline": {"anchorwatch.cli", "anchorwatch.kafka", "anchorwatch.lab"},
    "anchorwatch.web": {"anchorwatch.cli", "anchorwatch.kafka", "anchorwatch.lab"},
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
        "weakref",
    ],
    *["collections.abc", "msgspec", "cryptography", "idna", "yaml", "publicsuffixlist", "re2"],
    *["h2", "h11"],  # HTTP as octets in and out
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


def room_of(module: str) -> str | None:
    return next((room for room in ROOMS if module == room or module.startswith(room + ".")), None)


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
    if (home := room_of(module)) is not None:
        rooms = {room for name in ours if (room := room_of(name)) is not None and room.startswith(package)}
        found += [f"{home} does not look into {room}" for room in sorted(rooms - ROOMS[home] - {home})]
    closed = SHELL_ROOMS.get(".".join(module.split(".")[:2]), set())
    found += [f"{module} does not look into {name}" for name in sorted(ours) if ".".join(name.split(".")[:2]) in closed]
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


@pytest.mark.parametrize("room", ["analyzer", *(room for room in sorted(ROOMS) if room.startswith("analyzer."))])
def test_the_map_of_a_room_shows_each_of_its_modules(room: str) -> None:
    folder = ROOT / room.replace(".", "/")
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    shown = {line.split()[0] for line in text.partition("Where to look")[2].splitlines() if line.strip()}

    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} <= shown


def test_every_room_of_a_stage_says_what_it_may_look_into() -> None:
    rooms = {
        name_of(path.parent / "__init__.py")
        for path in MODULES
        if path.parent.parent.parent == ROOT and path.parent.parent.name in STAGES
    }

    assert rooms == set(ROOMS)


def test_listed_io_modules_exist() -> None:
    assert IO <= NAMES


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("collector.dnssec.nsec", "import socket"),
        ("collector.dnssec.nsec", "from datetime import datetime\ndatetime.now()"),
        ("collector.dnssec.nsec", "open('x')"),
        ("collector.dnssec.nsec", "from collector.resolvers.resolver import Resolver"),
        ("collector.dnssec.nsec", "import logging"),
        ("collector.dnssec.chain", "from collector.polling import memory"),
        ("collector.resolvers.claims", "from collector.polling.memory import Memory"),
        ("collector.polling.watch", "from collector.resolvers.resolver import Resolver"),
        ("collector.polling.watch", "import asyncio"),
        ("analyzer.zones.expiry", "from analyzer.endpoints import conditions"),
        ("collector.stage", "from analyzer.endpoints.drift import detect_drift"),
        ("alerts.decision.decide", "from analyzer.history.clickhouse import open_history"),
        ("schemas.wire", "from collector import names"),
        ("anchorwatch.configuration.bus", "from anchorwatch.pipeline.pump import Pump"),
        ("analyzer.endpoints.drift", "import dns.asyncquery"),
        ("analyzer.endpoints.drift", "from os import environ"),
    ],
)
def test_planted_trespasses_are_caught(module: str, source: str) -> None:
    assert trespasses(module, source)
