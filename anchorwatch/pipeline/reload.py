"""The configuration file of a running process: read again when asked, compared with what runs, and told.

What can't be used changes nothing: the configuration that runs goes on, and the process says so until the file is
mended. What is different is logged and kept as an act; what takes a restart is named.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from anchorwatch.configuration.differences import Part, Reload, compare, sections_of
from anchorwatch.configuration.loading import Config, FileSections, read_config
from anchorwatch.telemetry import Meter
from schemas.codes import Code
from schemas.faults import ConfigError
from schemas.messages import Act, Message, SelfReport, utc
from schemas.wire import digest_of

log = logging.getLogger(__name__)

Tell = Callable[[Sequence[Message]], Awaitable[None]]
Apply = Callable[[Reload], Awaitable[None]]
MOST_SAID = 20
LAST_READING_S = 1.0
LONGEST_DETAIL = 2000


class ConfigurationFile:
    """The file at ``path``, of which ``sections`` and ``config`` were read at the start.

    ``live`` is what this process can make anew: ``apply`` does it, and raises ConfigError where it can't, before
    anything was changed. ``tell`` hands on what others should know.
    """

    def __init__(
        self,
        path: Path,
        sections: FileSections,
        config: Config,
        *,
        live: frozenset[Part] = frozenset(),
        apply: Apply | None = None,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._in_use, self._config = path.absolute(), sections_of(sections), config
        self._live, self._apply, self._tell, self._clock = live, apply, tell, clock
        self._asked_by = ""
        self._task: asyncio.Task[None] | None = None
        self.loaded_at = clock()
        self.problems: tuple[str, ...] = ()
        self.waiting: tuple[str, ...] = ()

    def read_soon(self, asked_by: str) -> None:
        """Read the file again; what is asked while it is read has it read once more afterwards."""
        self._asked_by = asked_by
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read_while_asked())

    async def settled(self) -> None:
        """Wait until nothing is being read."""
        if self._task is not None:
            await self._task

    async def stop(self) -> None:
        """Let what is being read come to its end; nothing is read afterwards."""
        self._asked_by = ""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=LAST_READING_S)
            self._task.cancel()

    async def clear(self) -> None:
        """Tell that the file can be used, for one that could not be when an earlier process ended."""
        await self._report("")

    async def _read_while_asked(self) -> None:
        while self._asked_by:
            asked_by, self._asked_by = self._asked_by, ""
            try:
                sections, wanted = await asyncio.to_thread(read_config, self._path)
                await self._take(sections, wanted, asked_by)
            except ConfigError as error:
                await self._keep(tuple(error.problems))
            except Exception:
                # A bug of the reader must not take what runs along; it is told as what can't be used is.
                log.exception("the configuration can't be read: a fault of its own")
                await self._keep(("a fault of its own, see the log",))

    async def _take(self, sections: FileSections, wanted: Config, asked_by: str) -> None:
        reload = compare(self._config, wanted, self._in_use, sections_of(sections), live=self._live)
        if self._apply is not None and reload.parts:
            await self._apply(reload)
        is_new = reload.config != self._config or reload.waiting != self.waiting
        self._config, self._in_use = reload.config, reload.in_use
        was_broken, self.problems = bool(self.problems), ()
        self.waiting, self.loaded_at = reload.waiting, self._clock()
        for line in reload.said:
            log.info("the configuration is different", extra={"difference": line})
        for key in reload.waiting:
            log.warning("the configuration needs a restart to count", extra={"key": key})
        if not reload.said:
            log.info("the configuration was read again: nothing is different")
        if was_broken:
            await self._report("")
        if is_new:
            await self._audit(reload, asked_by)

    async def _keep(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        for problem in problems:
            log.error("the configuration can't be used: the one in use stays", extra={"problem": problem})
        await self._report(
            f"in use is that of {utc(self.loaded_at):%Y-%m-%d %H:%M} UTC. "
            + "; ".join(problem.partition("; known here: ")[0] for problem in problems)
        )

    async def _report(self, detail: str) -> None:
        if self._tell is not None:
            code, at = Code.SELF_CONFIGURATION_INVALID, utc(self._clock())
            await self._tell([SelfReport(code=code, subject=str(self._path), at=at, detail=detail[:LONGEST_DETAIL])])

    async def _audit(self, reload: Reload, asked_by: str) -> None:
        """Keep as an act what is different from now on; who changed the file is not known here."""
        if self._tell is None:
            return
        at, said = utc(self._clock()), list(reload.said[:MOST_SAID])
        if len(reload.said) > MOST_SAID:
            said.append(f"and {len(reload.said) - MOST_SAID} more")
        said += [f"needs a restart: {', '.join(reload.waiting)}"] if reload.waiting else []
        why = "; ".join(said)
        identity = digest_of("reconfigure", str(self._path), at.isoformat(), why)[:32]
        act = Act(
            id=identity,
            kind="reconfigure",
            by=asked_by,
            at=at,
            subject=str(self._path),
            why=why[:LONGEST_DETAIL],
            source=asked_by,
        )
        await self._tell([act])


def add_configuration_metrics(meter: Meter, file: ConfigurationFile) -> None:
    """Show whether what is in use is what is in the file."""
    text = "Whether the configuration could be used when it was last read: 1, or 0."
    meter.gauge("anchorwatch_config_last_reload_successful", text, lambda: float(not file.problems))
    text = "When the configuration that is in use was read."
    meter.gauge("anchorwatch_config_last_reload_success_timestamp_seconds", text, lambda: file.loaded_at)
    text = "Keys of the configuration that need a restart to count."
    meter.gauge("anchorwatch_config_restart_pending", text, lambda: float(len(file.waiting)))
