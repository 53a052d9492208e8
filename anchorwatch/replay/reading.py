"""A scenario file to a scenario: strict, every mistake with file and line and the nearest right word, all at once."""

import fnmatch
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dns.name
import msgspec
import yaml

from alerts.config import AlertsConfig, Match, Route
from analyzer.findings.changes import Plan
from anchorwatch.configuration.documents import Document, decode_struct, read_document
from anchorwatch.configuration.loading import Config, FileSections, assemble
from anchorwatch.configuration.rules import RulesFile, check_match
from anchorwatch.replay.desk import Recorded
from anchorwatch.replay.language import (
    EXPECTATIONS,
    WORDS,
    KeySection,
    ReceiverSection,
    ScenarioFile,
    VantageSection,
    Word,
    ZoneSection,
)
from anchorwatch.replay.scenario import Expected, Scenario, Step, ZonePlan
from anchorwatch.replay.sense import check_sense
from anchorwatch.replay.setting import default_keys, texts, with_implied
from anchorwatch.replay.spelling import nearest
from anchorwatch.replay.times import parse_absolute, parse_instant, parse_span
from collector.config import CollectorConfig
from collector.inventory.sources import parse_source
from schemas.catalogue import CATALOGUE
from schemas.faults import ConfigError

INVENTORY = "inventory.yaml"
URLS = {"resolver": "udp://192.0.2.53", "authoritative": "authoritative:"}
TIMING = ("at", "every", "from", "until", "stagger")
PAGING = ("critical", "high")
MOST_STEPS = 1_000_000
LONG_S = 60 * 86_400.0
INSTANTS = ("by", "after", "closed_by", "open_until", "start", "until", "at")
RESERVED = (
    "inventory",
    "vantages",
    "receivers",
    "routes",
    "history",
    "bus",
    "http",
    "inventory_state",
    "trust_anchors",
)


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ConfigError: anything in it can't be used; all problems, each with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"]) from error
    return parse_scenario(text, str(path))


def parse_scenario(text: str, source: str) -> Scenario:
    """Return the scenario in a text.

    Raises:
        ConfigError: anything in it can't be used; all problems, each with file and line.
    """
    document = read_document(text, source)
    if not document.problems:
        file = decode_struct(document.value, ScenarioFile, "", document)
        if file is not None:
            scenario = _Reading(file, document).scenario()
            if scenario is not None:
                return scenario
    raise ConfigError(document.problems)


@dataclass
class _Reading:
    """One file under way."""

    file: ScenarioFile
    document: Document
    start: datetime = field(init=False)
    lasts_s: float = field(init=False)
    _zone_names: list[str] = field(init=False)

    def scenario(self) -> Scenario | None:
        document, file = self.document, self.file
        self.start = self._start()
        self.lasts_s = self._span(file.lasts, "lasts")
        zones = with_implied(tuple(self._zones()))
        self._zone_names = [plan.name.to_text() for plan in zones]
        vantages = self._vantages()
        config = self._config(vantages)
        inventory = tuple(self._inventory())
        steps = tuple(sorted(self._steps(), key=lambda step: (step.at, step.order)))
        expected = tuple(self._expected())
        cause_at, outage_at = (
            self._instant(getattr(file, key), key) if getattr(file, key) is not None else None
            for key in ("cause_at", "outage_at")
        )
        if document.problems or config is None:
            return None
        scenario = Scenario(
            name=file.scenario,
            title=file.title,
            path=document.source,
            start=self.start,
            lasts_s=self.lasts_s,
            seed=file.seed,
            loss=file.loss,
            zones=zones,
            vantages=vantages,
            trust_anchors=texts(file.trust_anchors),
            inventory=inventory,
            collector=config[0],
            alerts=config[1],
            plans=config[2],
            steps=steps,
            expected=expected,
            cause_at=cause_at,
            outage_at=outage_at,
        )
        check_sense(scenario, document)
        return scenario if not document.problems else None

    # times

    def _start(self) -> datetime:
        start = self.file.start
        try:
            return parse_absolute(start.isoformat() if isinstance(start, datetime) else str(start))
        except ValueError as error:
            self.document.problem("start", str(error))
            return parse_absolute("2026-01-05T00:00:00Z")

    def _span(self, text: object, path: str) -> float:
        try:
            return parse_span(text)
        except ValueError as error:
            self.document.problem(path, str(error))
            return 0.0

    def _instant(self, text: object, path: str, previous: float = 0.0) -> float:
        try:
            return parse_instant(text, self.start, previous)
        except ValueError as error:
            self.document.problem(path, str(error))
            return 0.0

    # what there is

    def _zones(self) -> Iterator[ZonePlan]:
        for text, value in self.file.zones.items():
            path = f"zones.{text}"
            section = decode_struct(value if value is not None else {}, ZoneSection, path, self.document)
            if section is None:
                continue
            keys: dict[str, KeySection] = {}
            for name, one in (section.keys or default_keys(section)).items():
                key = (
                    decode_struct(one, KeySection, f"{path}.keys.{name}", self.document)
                    if isinstance(one, dict)
                    else one
                )
                if key is not None:
                    keys[name] = key
            for number in range(1, section.copies + 1):
                numbered = _numbered(text, number)
                try:
                    zone = dns.name.from_text(numbered)
                except Exception:  # noqa: BLE001 - dnspython has a dozen kinds of refusal
                    self.document.problem(path, f"{numbered!r} is no name")
                    break
                servers = {
                    _numbered(name, number): tuple(_numbered(one, number) for one in texts(addresses))
                    for name, addresses in section.servers.items()
                }
                records = tuple(_numbered(record, number) for record in section.records)
                yield ZonePlan(zone, section, keys, servers, records)

    def _vantages(self) -> dict[str, VantageSection]:
        found: dict[str, VantageSection] = {}
        for name, value in (self.file.vantages or {"resolver": {}}).items():
            section = decode_struct(
                value if value is not None else {}, VantageSection, f"vantages.{name}", self.document
            )
            if section is not None:
                found[name] = section
        return found

    def _inventory(self) -> Iterator[Any]:
        if not self.file.inventory:
            self.document.problem("inventory", "nobody consumes anything: at least one identity is needed")
            return
        yield from expand_identities(self.file.inventory)
        for problem in inventory_problems(list(expand_identities(self.file.inventory))):
            self.document.problem("inventory", problem)

    def _authoritative(self, section: Any) -> Any:
        """Return how servers are asked: in a long scenario seldom, since nothing but time passes in most of it."""
        if section is None:
            section = {}
        if not isinstance(section, dict) or "sweep" in section:
            return section
        return {"sweep": "1h" if self.lasts_s <= LONG_S else "168h", **section}

    def _config(
        self, vantages: Mapping[str, VantageSection]
    ) -> tuple[CollectorConfig, AlertsConfig, tuple[Plan, ...]] | None:
        """Return what the stages need, read as ``anchorwatch.yaml`` is."""
        value = self.file.config
        for key in RESERVED:
            if key in value:
                self.document.problem(f"config.{key}", "it has a place of its own in a scenario, or none")
        prefix = "config."
        lines = {key.removeprefix(prefix): line for key, line in self.document.lines.items() if key.startswith(prefix)}
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            (base / INVENTORY).write_text("identities: []\n", encoding="utf-8")
            part = Document(self.document.source, lines=lines)
            poll = value.get("poll") or {}
            whole = {
                **{key: item for key, item in value.items() if key not in RESERVED},
                "inventory": [{"path": INVENTORY}],
                "vantages": [{"name": name, "resolver": URLS[one.kind]} for name, one in vantages.items()],
                **({"authoritative": self._authoritative(value.get("authoritative"))} if self.file.sweeps else {}),
                "poll": {"interval": str(self.file.interval), **(poll if isinstance(poll, dict) else {})},
            }
            sections = decode_struct(whole, FileSections, "", part)
            config = assemble(sections, base, part) if sections is not None else None
        self.document.problems += part.problems
        if config is None or part.problems:
            return None
        return config.collector, self._alerts(config), tuple(config.changes)

    def _alerts(self, config: Config) -> AlertsConfig:
        receivers, routes = [], []
        for name, value in (self.file.receivers or {"pager": {"severity": list(PAGING)}}).items():
            path = f"receivers.{name}"
            section = decode_struct(value if value is not None else {}, ReceiverSection, path, self.document)
            if section is None:
                continue
            match = msgspec.convert(msgspec.to_builtins(section), Match)
            check_match(match, path, self.document)
            receivers.append(Recorded(name=name))
            routes.append(Route(match=match, receiver=name))
        rules = config.alerts.rules
        if self.file.rules:
            read = decode_struct({"rules": list(self.file.rules)}, RulesFile, "", self.document)
            rules = read.rules if read is not None else ()
        return msgspec.structs.replace(
            config.alerts, receivers=tuple(receivers), routes=tuple(routes), rules=tuple(rules)
        )

    # what happens

    def _steps(self) -> Iterator[Step]:
        previous, order = 0.0, 0
        for number, value in enumerate(self.file.steps):
            path = f"steps[{number}]"
            if not isinstance(value, dict):
                self.document.problem(path, "a step is a mapping: 'at' (or 'every'), and what happens")
                continue
            instants = list(self._instants_of(value, path, previous))
            if not instants:
                continue
            previous = instants[0]
            words = [key for key in value if key not in TIMING]
            if not words:
                self.document.problem(path, "nothing happens in this step")
            line = self.document.lines.get(path, 0)
            for key in words:
                below = f"{path}.{key}"
                stagger_s = self._span(value["stagger"], f"{path}.stagger") if "stagger" in value else 0.0
                for nth, at in enumerate(instants, 1):
                    for word in self._word(key, value[key], below, nth):
                        for place, one in enumerate(self._each_zone(word, below)):
                            late_s = place * stagger_s
                            yield Step(at + late_s, order, key, one, self.document.lines.get(below, line))
                            order += 1
                    if order > MOST_STEPS:
                        self.document.problem(path, f"more than {MOST_STEPS} steps")
                        return
                    if self.document.problems and nth > 1:
                        break

    def _instants_of(self, value: dict[str, Any], path: str, previous: float) -> Iterator[float]:
        before = len(self.document.problems)
        if ("at" in value) == ("every" in value):
            self.document.problem(path, "a step has either 'at' or 'every'")
            return
        if "at" in value:
            for key in ("from", "until"):
                if key in value:
                    self.document.problem(f"{path}.{key}", "it goes with 'every'")
            at = self._instant(value["at"], f"{path}.at", previous)
            if len(self.document.problems) == before:
                yield at
            return
        every = self._span(value["every"], f"{path}.every")
        first = self._instant(value["from"], f"{path}.from", previous) if "from" in value else every
        until = self._instant(value["until"], f"{path}.until", first) if "until" in value else self.lasts_s
        if len(self.document.problems) > before:
            return
        if every <= 0:
            self.document.problem(f"{path}.every", "a span above 0 is expected")
            return
        count = 0
        while (at := first + count * every) < until:
            yield at
            count += 1

    def _word(self, key: str, value: Any, path: str, nth: int) -> Iterator[Any]:
        if key not in WORDS:
            self.document.problem(path, f"unknown word{nearest(key, [*WORDS, *TIMING])}; known: {', '.join(WORDS)}")
            return
        kind = WORDS[key]
        for one in value if isinstance(value, list) else [value]:
            filled = _filled(one, nth)
            if isinstance(filled, str | int | float) and not isinstance(filled, bool) and kind.__struct_fields__:
                filled = {msgspec.structs.fields(kind)[0].encode_name: filled}
            word = decode_struct(filled if filled is not None else {}, kind, path, self.document)
            if word is not None:
                yield word

    def _each_zone(self, word: Word, path: str) -> Iterator[Word]:
        """Yield a word for each zone that its pattern (``z*.example``) means, or as it is where it has none."""
        pattern = getattr(word, "zone", "")
        if "*" not in pattern or not isinstance(pattern, str):
            yield word
            return
        wanted = pattern if pattern.endswith(".") else f"{pattern}."
        found = [name for name in self._zone_names if fnmatch.fnmatchcase(name, wanted)]
        if not found:
            self.document.problem(path, f"no zone is like {pattern!r}")
        for name in found:
            yield msgspec.structs.replace(word, zone=name)

    # what must come of it

    def _expected(self) -> Iterator[Expected]:
        for number, value in enumerate(self.file.expect):
            path = f"expect[{number}]"
            if not isinstance(value, dict) or len(value) != 1:
                self.document.problem(path, f"one of {', '.join(EXPECTATIONS)} is expected, and its fields below it")
                continue
            ((key, fields),) = value.items()
            below = f"{path}.{key}"
            if key not in EXPECTATIONS:
                known = ", ".join(EXPECTATIONS)
                self.document.problem(below, f"unknown expectation{nearest(key, EXPECTATIONS)}; known: {known}")
                continue
            kind = EXPECTATIONS[key]
            if isinstance(fields, str | int | float) and not isinstance(fields, bool):
                fields = {msgspec.structs.fields(kind)[0].encode_name: fields}
            word = decode_struct(fields if fields is not None else {}, kind, below, self.document)
            if word is None:
                continue
            self._check_codes(word, below)
            times = {
                name: self._instant(text, f"{below}.{name}")
                for name in INSTANTS
                if (text := getattr(word, name, None)) is not None
            }
            yield Expected(key, word, self.document.lines.get(below, 0), times)

    def _check_codes(self, word: Any, path: str) -> None:
        for key in ("code", "ignoring", "reason"):
            for code in texts(getattr(word, key, ())):
                if code and code != "any" and code not in CATALOGUE:
                    hint = nearest(code, [str(one) for one in CATALOGUE])
                    self.document.problem(f"{path}.{key}", f"there is no finding {code!r}{hint}")


def expand_identities(rows: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the rows of an inventory; one with ``copies`` so many times, each with its number for ``{N}``."""
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("copies"), int):
            rest = {key: item for key, item in row.items() if key != "copies"}
            for number in range(1, row["copies"] + 1):
                yield _numbered_value(rest, number)
        else:
            yield row


def inventory_text(rows: list[Any]) -> str:
    """Return an inventory file of these rows."""
    return yaml.safe_dump({"identities": rows}, sort_keys=False, allow_unicode=True)


def inventory_problems(rows: list[Any]) -> list[str]:
    """Return what is wrong with the rows of an inventory."""
    from collector.config import InventorySource

    try:
        read = parse_source(InventorySource(path=Path(INVENTORY), format="yaml"), inventory_text(rows).encode())
    except ValueError as error:
        return [str(error)]
    return [str(problem) for problem in read.problems]


def _numbered(text: str, number: int) -> str:
    return text.replace("{N}", str(number))


def _numbered_value(value: Any, number: int) -> Any:
    if isinstance(value, str):
        return _numbered(value, number)
    if isinstance(value, dict):
        return {key: _numbered_value(item, number) for key, item in value.items()}
    return [_numbered_value(one, number) for one in value] if isinstance(value, list) else value


def _filled(value: Any, nth: int) -> Any:
    """Return a value with ``{n}`` and ``{p}`` as the number of this occurrence and of the one before."""
    if isinstance(value, str):
        return value.replace("{n}", str(nth)).replace("{p}", str(nth - 1))
    if isinstance(value, dict):
        return {key: _filled(item, nth) for key, item in value.items()}
    return [_filled(one, nth) for one in value] if isinstance(value, list) else value
