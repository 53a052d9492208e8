"""The exit status of every command: of its result, of a fault, and of output that could not be written."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from anchorwatch.cli.terminal import lost_output, prepare_streams, wants_colour
from schemas.faults import AnchorwatchError, ConfigError

MONITORING = frozenset({"validate", "check"})
# The console is a receiver of these: a notification that can't be written there is lost, so the write is an error.
SERVICES = frozenset({"run", "collector", "analyzer", "alerts", "demo"})
USAGE_UNKNOWN = 3
USAGE = 2


def run_and_exit(cli: click.Group) -> NoReturn:
    """Run the command line and exit; usage errors of monitoring commands are 3, since 2 would read as critical."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    prepare_streams(strict_output=command in SERVICES)
    try:
        status = _run_command(cli, command)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    if why := lost_output():
        click.echo(f"anchorwatch: {why}", err=True)
        status = status if command in MONITORING else status or 1
    sys.exit(status)


def _run_command(cli: click.Group, command: str) -> int:
    usage_code = USAGE_UNKNOWN if command in MONITORING else USAGE
    try:
        cli.main(standalone_mode=False, color=wants_colour(os.environ))
    except click.UsageError as error:
        error.show()
        return usage_code
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return usage_code if command in MONITORING else 1
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return usage_code
    except (AnchorwatchError, OSError) as error:
        click.echo(f"anchorwatch: {error}", err=True)
        return usage_code if command in MONITORING else 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if command not in MONITORING:
            raise
        click.echo(f"anchorwatch: a fault of its own: {type(error).__name__}: {error}", err=True)
        return usage_code
    return 0


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """Have SIGTERM and Ctrl-C end a command so that what it made for itself alone is removed; main thread only.

    Whatever the exception becomes on its way: dnspython makes an error of its own of any that passes through it.
    """
    status = 0

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal status
        status = 128 + number
        sys.exit(status)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Exception:
        if not status:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status:
        sys.exit(status)
