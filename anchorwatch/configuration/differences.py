"""What is different between two configurations, and what of it can change while the watch runs. Pure.

No value is shown that may be a secret.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from alerts.config import AlertsConfig
from anchorwatch.configuration.loading import Config, FileSections
from schemas.redaction import safe

LONGEST = 120


class Part(StrEnum):
    """A part of the process that can be made anew by itself."""

    COLLECTOR = "collector"
    ALERTS = "alerts"
    CHANGES = "changes"
    HEARTBEAT = "heartbeat"


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """What a new configuration comes to: what of it can be had at once, and what not.

    config: what the process runs by from now on: the new one, but for what needs a restart.
    parts: what has to be made anew for that.
    said: a line for each difference, such as ``poll.interval: '60s', before '30s'``.
    waiting: the keys that need a restart.
    in_use: what is written of it, as ``sections_of`` has it, with the former values of what waits.
    """

    config: Config
    parts: frozenset[Part]
    said: tuple[str, ...]
    waiting: tuple[str, ...]
    in_use: dict[str, Any]


def sections_of(sections: FileSections) -> dict[str, Any]:
    """Return what is written in a file, with the defaults of the rest, as plain values."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(sections))
    return found


def compare(
    running: Config, wanted: Config, before: Mapping[str, Any], after: dict[str, Any], *, live: frozenset[Part]
) -> Reload:
    """Return what follows from a configuration that was read again.

    ``before`` and ``after`` are the sections that are in use and those of the file; ``live`` is what this process can
    make anew.
    """
    said = dict(_differences(before, after, ""))
    config, parts, waiting = running, set(), []
    for rule in _RULES:
        if not rule.differs(running, wanted):
            continue
        named = [path for path in said if path.startswith(rule.keys)]
        if not named:
            said[rule.keys[0]] = "a file that it names has changed"
            named = [rule.keys[0]]
        if rule.part is not None and rule.part in live:
            parts.add(rule.part)
            config = rule.take(config, wanted)
        else:
            waiting += named
    config = msgspec.structs.replace(config, warnings=wanted.warnings if Part.ALERTS in live else config.warnings)
    lines = tuple(f"{path}: {what}" for path, what in said.items())
    waits = tuple(dict.fromkeys(waiting))
    in_use = _with_former(after, before, waits)
    return Reload(config=config, parts=frozenset(parts), said=lines, waiting=waits, in_use=in_use)


def _with_former(after: dict[str, Any], before: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return the sections with the former values at these paths; of a list as a whole."""
    merged = msgspec.json.decode(msgspec.json.encode(after))
    for path in paths:
        keys = path.partition("[")[0].split(".")
        place: Any = merged
        former: Any = before
        for key in keys[:-1]:
            if not isinstance(place.get(key), dict) or not isinstance(former.get(key), Mapping):
                keys = keys[: keys.index(key) + 1]
                break
            place, former = place[key], former[key]
        if keys[-1] in former:
            place[keys[-1]] = former[keys[-1]]
        else:
            place.pop(keys[-1], None)
    return dict(merged)


class _Rule(NamedTuple):
    """One part of the configuration: its keys, whether it differs, who has to be made anew, and how it is taken over.

    Where ``part`` is None only a restart helps.
    """

    keys: tuple[str, ...]
    differs: Callable[[Config, Config], bool]
    part: Part | None = None
    take: Callable[[Config, Config], Config] = lambda config, _: config


def _differs_in(*names: str) -> Callable[[Config, Config], bool]:
    return lambda old, new: any(getattr(old, name) != getattr(new, name) for name in names)


def _taking(*names: str) -> Callable[[Config, Config], Config]:
    return lambda config, wanted: msgspec.structs.replace(config, **{name: getattr(wanted, name) for name in names})


def _with_ledger_of(config: Config, wanted: Config) -> AlertsConfig:
    """Return the alerts' part that is wanted, with the ledger that is open."""
    return msgspec.structs.replace(wanted.alerts, ledger=config.alerts.ledger)


_COLLECTOR = ("inventory", "vantages", "authoritative", "trust_anchors", "poll", "collectors", "policy")
_RULES = (
    _Rule(
        (*_COLLECTOR, "unsigned_zones", "outbound"),
        _differs_in("collector", "collectors"),
        Part.COLLECTOR,
        _taking("collector", "collectors"),
    ),
    _Rule(
        ("receivers", "routes", "route", "alerts", "maintenance", "outbound", "http.public_url"),
        lambda old, new: old.egress != new.egress or old.alerts != _with_ledger_of(old, new),
        Part.ALERTS,
        lambda config, wanted: msgspec.structs.replace(
            config, alerts=_with_ledger_of(config, wanted), egress=wanted.egress
        ),
    ),
    _Rule(
        ("changes", "poll.interval"),
        lambda old, new: old.changes != new.changes or old.collector.interval_s != new.collector.interval_s,
        Part.CHANGES,
        _taking("changes"),
    ),
    _Rule(
        ("heartbeat", "outbound"),
        lambda old, new: old.heartbeat != new.heartbeat or (new.heartbeat is not None and old.egress != new.egress),
        Part.HEARTBEAT,
        _taking("heartbeat"),
    ),
    _Rule(("alerts.ledger", "history.url"), lambda old, new: old.alerts.ledger != new.alerts.ledger),
    _Rule(("history", "outbound"), _differs_in("history")),
    _Rule(("http",), _differs_in("http")),
    _Rule(("bus",), _differs_in("bus")),
    _Rule(("log",), _differs_in("log")),
)


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and sentence of each difference; what has a name is compared with what had it."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            below = f"{path}.{key}" if path else str(key)
            if key not in old:
                yield below, f"{_shown(new[key])}, before nothing"
            elif key not in new:
                yield below, f"nothing, before {_shown(old[key])}"
            else:
                yield from _differences(old[key], new[key], below)
        return
    named = _by_name(old), _by_name(new)
    if named[0] is not None and named[1] is not None:
        for name in dict.fromkeys([*named[0], *named[1]]):
            below = f"{path}[{safe(name)}]"
            if name not in named[0]:
                yield below, "new"
            elif name not in named[1]:
                yield below, "gone"
            else:
                yield from _differences(named[0][name], named[1][name], below)
        if list(named[0]) != list(named[1]) and set(named[0]) == set(named[1]):
            yield path, "another order"
        return
    if _are_mappings(old) and _are_mappings(new) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]")
        return
    yield path, f"{_shown(new)}, before {_shown(old)}"


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def _by_name(value: Any) -> dict[str, Any] | None:
    """Return the items of a list by their names, or by the paths of files; None where they have none, or one twice."""
    if not isinstance(value, list):
        return None
    found: dict[str, Any] = {}
    for item in value:
        name = item.get("name") or item.get("path") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = item
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and _are_mappings(value):
        return f"{len(value)} of them"
    if isinstance(value, list):
        return f"[{', '.join(map(safe, value))}]"[:LONGEST] if value else "nothing"
    return safe(value)
