"""The demo: the real pipeline on the lab's world, one incident after another, shown on the terminal.

Nothing is simulated but the DNS itself: the collector polls over UDP, the analyzer writes to the embedded ClickHouse,
the notification is what arrived, signed, at a receiver that the demo runs.
"""

import asyncio
import base64
import contextlib
import secrets
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import click

from anchorwatch.assessment.page import in_words
from anchorwatch.cli.acts import ACTS as ACTS_PATH
from anchorwatch.cli.api import fetch, post
from anchorwatch.cli.assessment import make_report
from anchorwatch.cli.chain_view import COLOURS, paint
from anchorwatch.configuration.loading import load_config
from anchorwatch.lab.partners import PARTNERS, PartnerWorld
from anchorwatch.lab.receiver import Receiver
from anchorwatch.lab.server import LabResolver
from anchorwatch.pipeline.run import Instance
from anchorwatch.telemetry import set_up_logging
from anchorwatch.web.views import endpoint_views
from schemas.catalogue import sentence_of, source_of
from schemas.judgement import Verdict

PATIENCE_S = 25.0
LOOK_S = 0.1

CONFIG = """\
inventory: [{{path: inventory.yaml}}]
vantages: [{{name: lab, resolver: "udp://127.0.0.1:{port}"}}]
trust_anchors: {{path: root.ds}}
poll: {{interval: 1s, claim_every: 3}}
alerts: {{group_wait: 1s, group_interval: 1s, storm: 0}}
receivers: [{{name: soc, type: webhook, url: "{hook}", secret_file: webhook.key}}]
routes: [{{match: {{severity: [critical, high, medium, low]}}, receiver: soc}}]
http: {{listen: "{listen}"}}
log: {{level: error, format: text}}
"""


@dataclass(frozen=True)
class Act:
    """One incident of the demo: how it is staged, what must be found, how it ends.

    ``restore`` is None where nothing is put back; ``heals`` whether the incident then resolves by itself. ``taken``:
    somebody acknowledges it, and accepts it in the end. ``silenced``: it is silenced before it begins.
    """

    title: str
    zone: str
    code: str
    stage: Callable[[PartnerWorld], None]
    restore: Callable[[PartnerWorld], None] | None = None
    heals: bool = False
    taken: bool = False
    silenced: bool = False


ACTS = (
    Act(
        "The signer of a clearing house has stopped, its signatures have run out",
        "clearing.example.",
        "rrsig_expired",
        lambda world: world.stage_expired("clearing.example."),
        lambda world: world.restore("clearing.example."),
        heals=True,
    ),
    Act(
        "An identity provider publishes keys that its parent does not know",
        "idp.example.",
        "dnskey_missing",
        lambda world: world.stage_swapped_keys("idp.example."),
        lambda world: world.unstage_swapped_keys("idp.example."),
        heals=True,
    ),
    Act(
        "Somebody on the path changes one address of a parcel service",
        "parcel.example.",
        "rrsig_crypto_invalid",
        lambda world: world.stage_forged("parcel.example.", "track", "203.0.113.66"),
        lambda world: world.restore("parcel.example."),
        heals=True,
    ),
    Act(
        "A bank's DS is removed at the registry: from now on any answer will do",
        "bank.example.",
        "secure_to_insecure",
        lambda world: world.stage_ds_removed("bank.example."),
        lambda world: world.restore("bank.example."),
        taken=True,
    ),
    Act(
        "A model provider's keys and DS are replaced in one step, without overlap",
        "models.example.",
        "key_change_unexpected",
        lambda world: world.stage_replaced_without_overlap("models.example."),
    ),
    Act(
        "A signed name moves to a CDN that is not signed",
        "parcel.example.",
        "alias_exits_signed_space",
        lambda world: world.stage_alias_to_unsigned("parcel.example.", "label", "edge7.cdn.example."),
        lambda world: world.restore("parcel.example."),
        silenced=True,
    ),
)


class Failed(Exception):
    """Something did not come within the time it must."""


class Demo:
    """One run of the demo in a folder of its own."""

    def __init__(self, folder: Path, listen: str, exit_after: bool) -> None:
        self._folder, self._listen, self._exit_after = folder, listen, exit_after
        self._partners = PartnerWorld(time.time)
        self._resolver = LabResolver(self._partners.world, self._partners.anchors, time.time)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        (folder / "webhook.key").write_text(secret)
        self._receiver = Receiver(secret)
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Play all acts; return the exit status."""
        await self._resolver.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._over.set)
        instance = self._instance()
        running = asyncio.create_task(instance.run())
        story = asyncio.create_task(self._tell(instance))
        interrupted = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({running, story, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            if story.done():
                story.result()
        except Failed as failure:
            click.echo(click.style(f"\n{failure}", fg="red"))
            return 1
        finally:
            story.cancel()
            interrupted.cancel()
            instance.stop()
            with contextlib.suppress(Exception):
                await running
            await self._resolver.stop()
            self._receiver.close()
        return 0

    def _instance(self) -> Instance:
        folder = self._folder
        inventory = resources.files("anchorwatch.lab").joinpath("inventory.yaml").read_text(encoding="utf-8")
        (folder / "inventory.yaml").write_text(inventory, encoding="utf-8")
        (folder / "root.ds").write_text("\n".join(self._partners.anchors.texts) + "\n", encoding="utf-8")
        config = CONFIG.format(port=self._resolver.address[1], hook=self._receiver.url, listen=self._listen)
        (folder / "anchorwatch.yaml").write_text(config, encoding="utf-8")
        loaded = load_config(folder / "anchorwatch.yaml")
        set_up_logging(loaded.log.level, loaded.log.format)
        return Instance(loaded)

    async def _tell(self, instance: Instance) -> None:
        started = time.monotonic()
        await self._until(lambda: instance.ready, "the stages did not start")
        _headline("The inventory: who consumes what")
        await self._until(lambda: len(instance.analyzer.consumers.all()) >= 9, "the inventory was not read")
        for identity in instance.analyzer.consumers.all():
            hosts = ", ".join(endpoint.host for endpoint in identity.endpoints)
            click.echo(f"  {identity.id:18} {identity.kind:16} {identity.owner:12} {identity.criticality:9} {hosts}")
        await self._until(
            lambda: len(instance.analyzer.current) >= instance.collector.status().watched > 0,
            "not every name was observed",
        )
        _headline("The verdicts, validated here from the root down")
        views = endpoint_views(instance.analyzer.current, instance.analyzer.consumers, instance.analyzer.zones)
        for view in views:
            click.echo(f"  {paint(view.verdict):25} {view.name:28} {view.type:5} {view.cause_zone}")
        counts = Counter(view.verdict for view in views)
        click.echo("  " + ", ".join(f"{counts[v]} {click.style(v, fg=COLOURS[v])}" for v in Verdict if counts[v]))
        for number, act in enumerate(ACTS, 1):
            await self._play(number, act, instance)
        await self._report(instance)
        took = time.monotonic() - started
        click.echo(f"\n{len(ACTS)} incidents in {took:.0f} s; {len(self._receiver.arrived)} notifications arrived.")
        if self._exit_after:
            return
        click.echo(f"The page is at {click.style(instance.server.url, bold=True)} until Ctrl-C.")
        await self._over.wait()

    async def _report(self, instance: Instance) -> None:
        """Show in a few lines what a report of the last hour says."""
        made = await asyncio.to_thread(make_report, "csf", "1h", instance.server.url, None)
        _headline("The report")
        click.echo("  $ anchorwatch report --framework csf --period 1h --output report.html")
        counts = ", ".join(f"{count} {verdict}" for verdict, count in made.verdicts.items() if count)
        click.echo(f"  identities by the weakest name that they rest on: {counts}")
        said = made.response
        click.echo(
            f"  {said.incidents} incidents, {said.told} paged after {in_words(said.to_page_s)} (median),"
            f" {said.acknowledged} acknowledged, {said.ended} ended"
        )
        for control in made.controls:
            click.echo(f"  {control.control:10} {len(control.incidents)} incidents  {control.citation[:80]}")

    async def _play(self, number: int, act: Act, instance: Instance) -> None:
        _headline(f"Incident {number} of {len(ACTS)}: {act.title}")
        seen = len(self._receiver.arrived)
        silence = await self._silence(act, instance) if act.silenced else ""
        staged_at = time.monotonic()
        act.stage(self._partners)
        if silence:
            await self._show_silence(act, silence, instance)

        def arrived() -> dict[str, Any] | None:
            for message in self._receiver.arrived[seen:]:
                data = message["data"]
                codes = {finding["code"] for finding in data["findings"] if finding["status"] != "closed"}
                if message["type"] != "incident.resolved" and data["cause"] == act.zone and act.code in codes:
                    return message
            return None

        await self._until(lambda: arrived() is not None, f"no notification of {act.code} at {act.zone} arrived")
        message = arrived()
        assert message is not None
        self._show(act, message, time.monotonic() - staged_at)
        if act.taken:
            await self._take(message["data"]["incident"], instance)
        if act.restore is None:
            click.echo("  It is not undone: a drift is an event, and stays until somebody has looked at it.")
            return
        act.restore(self._partners)
        incident = message["data"]["incident"]
        if not act.heals:
            click.echo("  It is put right again; the drift stays on record, so that somebody looks at it.")
            await self._until(self._all_calm(instance, act.zone), f"{act.zone} did not become secure again")
            if act.taken:
                await self._accept(incident, instance)
            return
        await self._until(
            lambda: any(
                one["type"] == "incident.resolved" and one["data"]["incident"] == incident
                for one in self._receiver.arrived[seen:]
            ),
            f"the incident at {act.zone} was not resolved",
        )
        click.echo(click.style("  Put right again, and resolved at the receiver.", fg="green"))

    async def _post(self, instance: Instance, **body: Any) -> dict[str, Any]:
        """Do as somebody on call does, over the API."""
        done = await asyncio.to_thread(post, instance.server.url, None, ACTS_PATH, by="ana", **body)
        first: dict[str, Any] = done[0]
        return first

    async def _event(self, kind: str, incident: str) -> dict[str, Any]:
        """Return what arrived of one kind about an incident, once it does."""

        def arrived() -> list[dict[str, Any]]:
            return [
                one for one in self._receiver.arrived if one["type"] == kind and one["data"]["incident"] == incident
            ]

        await self._until(arrived, f"no {kind} arrived")
        return arrived()[-1]

    async def _take(self, incident: str, instance: Instance) -> None:
        """Acknowledge an incident, note something, and show it on one screen."""
        await self._post(instance, kind="acknowledge", subject=incident[:8], why="I call the registrar")
        await self._post(instance, kind="note", subject=incident[:8], why="the registrar puts the DS back")
        message = await self._event("incident.acknowledged", incident)
        click.echo(f"  $ anchorwatch ack {incident[:8]} --why 'I call the registrar'")
        click.echo(f"            {message['data']['summary']}")
        whole = await asyncio.to_thread(fetch, instance.server.url, None, f"/api/v1/incidents/{incident[:8]}")
        click.echo(f"  $ anchorwatch incident {incident[:8]}    # its timeline")
        for row in whole["timeline"]:
            who = f"{row['by']}: " if row["by"] else ""
            click.echo(f"            {row['at'][11:19]}  {row['what']:12} {who}{row['text'][:90]}")

    async def _accept(self, incident: str, instance: Instance) -> None:
        """Accept what changed, and wait for the word of it."""
        await self._post(instance, kind="accept", subject=incident[:8], why="a mistake at the registrar, put right")
        message = await self._event("incident.resolved", incident)
        click.echo(f"  $ anchorwatch accept {incident[:8]} --why 'a mistake at the registrar, put right'")
        click.echo(click.style(f"            {message['data']['summary']}", fg="green"))

    async def _silence(self, act: Act, instance: Instance) -> str:
        """Silence a zone before its incident; return the silence's id."""
        now = datetime.now(UTC)
        done = await self._post(
            instance,
            kind="silence",
            matchers=[f"zone={act.zone.rstrip('.')}"],
            begins_at=now.isoformat(),
            ends_at=(now + timedelta(hours=1)).isoformat(),
            why="they are moving",
        )
        click.echo(f"  $ anchorwatch silence add zone={act.zone.rstrip('.')} --for 1h --why 'they are moving'")
        return str(done["id"])

    async def _show_silence(self, act: Act, silence: str, instance: Instance) -> None:
        """Wait until a page is withheld, say so, and expire the silence."""

        def withheld() -> list[Any]:
            incidents = instance.ledger.open_incidents()
            return [one for one in incidents if one.cause == act.zone and one.withheld.startswith("silenced")]

        await self._until(withheld, f"nothing at {act.zone} was withheld")
        click.echo(f"  withheld  {withheld()[0].withheld}")
        await self._post(instance, kind="expire_silence", subject=silence)
        click.echo(f"  $ anchorwatch silence expire {silence[:8]}    # what is still the case is paged now")

    @staticmethod
    def _all_calm(instance: Instance, zone: str) -> Callable[[], bool]:
        def calm() -> bool:
            below = [c for (name, _, _), c in instance.analyzer.current.items() if name.endswith("." + zone)]
            return all(current.verdict is Verdict.SECURE for current in below)

        return calm

    def _show(self, act: Act, message: dict[str, Any], after_s: float) -> None:
        data = message["data"]
        finding = next(one for one in data["findings"] if one["code"] == act.code)
        click.echo(
            f"  finding   {click.style(finding['code'], bold=True)} ({finding['severity']}): {sentence_of(act.code)}"
        )
        click.echo(f"            {finding['detail']}")
        click.echo(f"  cause     {click.style(data['cause'], bold=True)}  ({source_of(act.code)})")
        for identity in data["identities"][:4]:
            click.echo(
                f"  affects   {identity['id']} ({identity['kind']}, {identity['owner']}, {identity['environment']},"
                f" {identity['criticality']})"
            )
        touched = ", ".join(f"{c['framework']} {c['control']} ({c['relation']})" for c in data["controls"][:4])
        click.echo(f"  touches   {touched}")
        arrived = f"{message['type']} {message['webhook-id'][:12]}…"
        click.echo(f"  arrived   {arrived} {after_s:.1f} s after it was staged, its signature checked:")
        click.echo(f"            {data['summary']}")

    async def _until(self, holds: Callable[[], object], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise Failed(f"{otherwise} within {PATIENCE_S:.0f} s")
            await asyncio.sleep(LOOK_S)


def _headline(text: str) -> None:
    click.echo("\n" + click.style(text, bold=True))


def run_demo(*, exit_after: bool, listen: str) -> int:
    """Run the demo in a temporary folder and return the exit status."""
    click.echo(f"A signed DNS on loopback: {len(PARTNERS)} partner zones below their own root. No network is used.")
    with tempfile.TemporaryDirectory(prefix="anchorwatch-demo-") as folder:
        return asyncio.run(_run(Path(folder), listen, exit_after))


async def _run(folder: Path, listen: str, exit_after: bool) -> int:
    return await Demo(folder, listen, exit_after).run()
