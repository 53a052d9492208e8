"""What the configuration names beside the resolvers: receivers, history, brokers, and the instance that runs by it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from alerts.delivery.wording import printable
from anchorwatch.cli.online import why_no_connection, why_unreachable
from anchorwatch.diagnosis.checks import Check, State

if TYPE_CHECKING:
    from alerts.receivers.receiver import Receiver
    from anchorwatch.configuration.loading import Config

CONNECT_S = 2.5
MOST_SHOWN = 300
TRY_IT = "anchorwatch notify test sends it something"


def works_of(config: "Config") -> Iterator[tuple[str, str, Callable[[], Check]]]:
    """Yield what may take a while: part, what is asked, and the work."""
    for receiver in config.alerts.receivers:
        part = f"receiver {receiver.name}"
        yield part, "reachable", partial(_reach_receiver, part, receiver, config)
    if config.history.url.startswith("clickhouse:"):
        change = "start the server, or mend history.url; nothing is stored and nothing is judged without it"
        ask = partial(why_no_connection, config.history.url, CONNECT_S)
        yield "history", "reachable", partial(_reach, "history", ask, change)
    for broker in config.bus.brokers if config.bus is not None else ():
        part, change = f"broker {broker}", "look at the broker and at bus.url; stages wait until it answers"
        ask = partial(why_no_connection, f"kafka://{broker}", CONNECT_S)
        yield part, "reachable", partial(_reach, part, ask, change)
    yield "instance", "ready", partial(check_instance, *config.listen)


def _reach_receiver(part: str, receiver: "Receiver", config: "Config") -> Check:
    """Return whether a receiver is reached, as far as that can be asked without telling anybody anything."""
    if not receiver.where:
        detail = "it is this process, or has its address from a file of its own"
        return Check(part=part, what="reachable", state=State.NOTE, detail=detail)
    if receiver.where.startswith("udp:"):
        detail = "over UDP nobody would answer"
        return Check(part=part, what="reachable", state=State.UNKNOWN, detail=detail, change=TRY_IT)
    change = f"look at its address and the way there (outbound.proxy); {TRY_IT}"
    return _reach(part, partial(why_unreachable, receiver, config, CONNECT_S), change)


def _reach(part: str, ask: Callable[[], str], change: str) -> Check:
    why_not = ask()
    if why_not:
        return Check(part=part, what="reachable", state=State.CRITICAL, detail=why_not, change=change)
    return Check(part=part, what="reachable", state=State.OK, detail="it takes connections, or can be run")


def check_instance(host: str, port: int) -> Check:
    """Return what an instance that listens there says of itself; that none does is for information only."""
    import urllib3

    from anchorwatch.web.config import is_loopback

    shown = (
        "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    )
    where = f"{shown}:{port}"
    try:
        answer = urllib3.request("GET", f"http://{where}/-/ready", timeout=CONNECT_S, retries=False, redirect=False)
    except urllib3.exceptions.HTTPError:
        place = "here" if is_loopback(host) else "there"
        return Check(
            part="instance", what="ready", state=State.NOTE, detail=f"none answers at {where}: none runs {place}"
        )
    if answer.status == 200:
        return Check(part="instance", what="ready", state=State.OK, detail=f"it does all of its work ({where})")
    said = printable(answer.data.decode("utf-8", "replace").strip())[:MOST_SHOWN]
    change = "docs/operations.md has a section for each reason"
    return Check(part="instance", what="ready", state=State.WARNING, detail=f"{answer.status}: {said}", change=change)
