"""All checks of a machine and of a configuration, at the same time, within five seconds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from anchorwatch.configuration.loading import Config
from anchorwatch.diagnosis.checks import Check, State
from anchorwatch.diagnosis.clock import check_kernel, check_windows, kernel_clock
from anchorwatch.diagnosis.machine import check_descriptors, check_engine, check_folder
from anchorwatch.diagnosis.parts import works_of
from anchorwatch.diagnosis.patience import all_within
from anchorwatch.diagnosis.resolvers import BOGUS_NAME, look_at_all
from anchorwatch.diagnosis.sights import Sight, checks_of
from anchorwatch.judging import Settings
from collector.config import VantagePoint

PATIENCE_S = 4.5
Work = tuple[str, str, Callable[[], list[Check]]]


def examine(
    points: Sequence[VantagePoint],
    settings: Settings,
    bogus_name: str,
    config: Config | None,
    *,
    patience_s: float = PATIENCE_S,
) -> list[Check]:
    """Return what the checks say of resolvers, clock and machine, and, with a configuration, of what it names.

    Whatever does not end within ``patience_s`` is unknown.
    """
    works: list[Work] = [
        ("resolvers", "all questions", partial(_look, points, settings, bogus_name)),
        ("clock", "is kept by a time service", lambda: [check_kernel(kernel_clock())]),
        ("descriptors", "open files", lambda: [check_descriptors()]),
        *(_works_of(config) if config is not None else ()),
    ]
    results = all_within(patience_s, [work for _, _, work in works])
    checks: list[Check] = []
    for (part, what, _), result in zip(works, results, strict=True):
        if isinstance(result, list):
            checks += result
        else:
            why = f"it did not end within {patience_s:g} s" if result is None else f"{type(result).__name__}: {result}"
            checks.append(Check(part=part, what=what, state=State.UNKNOWN, detail=why))
    return checks


def look_within(
    points: Sequence[VantagePoint], settings: Settings, bogus_name: str = BOGUS_NAME, *, patience_s: float = PATIENCE_S
) -> list[Sight]:
    """Return what each resolver shows; one of which nothing came within ``patience_s`` has shown nothing.

    Raises:
        Exception: a fault of ours.
    """
    (result,) = all_within(patience_s, [lambda: asyncio.run(look_at_all(points, settings, bogus_name))])
    if isinstance(result, BaseException):
        raise result
    return result or [Sight(name=point.name, url=point.address.to_url()) for point in points]


def _look(points: Sequence[VantagePoint], settings: Settings, bogus_name: str) -> list[Check]:
    sights = asyncio.run(look_at_all(points, settings, bogus_name))
    checks = [check for sight in sights for check in checks_of(sight, bogus_name)]
    return [*checks, check_windows((one for sight in sights for one in sight.windows), time.time())]


def _works_of(config: Config) -> list[Work]:
    def one(work: Callable[[], Check]) -> list[Check]:
        return [work()]

    works: list[Work] = []
    if (engine := check_engine(config.history.url)) is not None:
        works.append(("history", "embedded engine", lambda: [engine]))
    folders = {"alerts.ledger": config.alerts.ledger.parent} if config.bus is None else {}
    if config.history.url.startswith("chdb:"):
        folders["history.url"] = config.base / config.history.url.removeprefix("chdb:")
    if config.collector.state is not None:
        folders["inventory_state"] = config.collector.state
    works += [("disk", what, partial(one, partial(check_folder, what, folder))) for what, folder in folders.items()]
    works += [(part, what, partial(one, work)) for part, what, work in works_of(config)]
    return works
