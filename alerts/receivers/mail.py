"""Mail by SMTP: one message a delivery, threaded by incident, as plain text and HTML.

The Message-ID is the delivery's own, so that a copy that was sent twice is one to most servers; In-Reply-To is that of
the incident's thread. Source: RFC 5321, RFC 5322 §3.6.4, RFC 3834 (Auto-Submitted), RFC 3207 (STARTTLS).
"""

import contextlib
import html
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any, Literal

import msgspec

from alerts.delivery.advice import EVIDENCE, INCIDENT, RUNBOOK
from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import MOST_SHOWN, describe, member_line, screen
from alerts.receivers.receiver import HttpClient, Receiver, Secret, read_lines

MAX_SUBJECT = 240
PORTS = {"tls": 465, "starttls": 587, "none": 25}
TITLES = {INCIDENT: "Incident", RUNBOOK: "What to do", EVIDENCE: "Evidence"}
COLOURS = {"critical": "#b3261e", "high": "#b35c00", "medium": "#8a6d00"}


class Mail(Receiver, frozen=True, kw_only=True, tag="mail"):
    """A mail server, and who gets the mail. ``security`` is starttls, tls (from the start) or none."""

    host: str = ""
    port: int = 0
    sender: str = msgspec.field(default="", name="from")
    to: tuple[str, ...] = ()
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret = msgspec.field(default="", name="password_file")
    ca_file: str = ""

    @property
    def takes_letters(self) -> bool:
        """Return that it can say words that are about no incident."""
        return True

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return f"smtp://{self.host}:{self.port or PORTS[self.security]}"

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        if not self.host:
            yield "", "mail needs a 'host'"
        if not 0 <= self.port <= 65_535:
            yield "port", "a port is between 1 and 65535"
        if not self.to:
            yield "", "mail needs 'to', a list of addresses"
        for key, addresses in (("from", (self.sender,)), ("to", self.to)):
            for address in addresses:
                if not _is_address(address):
                    yield key, "an address such as soc@corp.example is expected"
        if bool(self.user) != bool(self.password):
            yield "", "'user' and 'password_file' go together"
        if self.user and self.security == "none":
            yield "security", "a password is not sent in the clear: say starttls or tls"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what sends mail."""
        return MailNotifier(self)


def _is_address(text: str) -> bool:
    address = parseaddr(text)[1]
    name, at, domain = address.rpartition("@")
    return bool(at and name and domain) and text.isprintable()


class MailNotifier:
    """Sends mail over a connection of its own each time."""

    def __init__(self, config: Mail, *, deadline_s: float = DEADLINE_S) -> None:
        self._config, self._deadline_s = config, deadline_s
        self._tls = ssl.create_default_context(cafile=config.ca_file or None)

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Hand one message to the server."""
        make = make_mail if delivery.letter is None else make_letter
        message = make(delivery, self._config.sender, self._config.to)
        try:
            with contextlib.closing(self._connect()) as server:
                refused = server.send_message(message)
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            return DeliveryOutcome(
                False, f"no recipient is accepted: {_first(error.recipients)}", retry=min(codes) < 500
            )
        except smtplib.SMTPResponseException as error:
            said = _text(error.smtp_error)
            return DeliveryOutcome(False, f"SMTP {error.smtp_code}: {said}", retry=error.smtp_code < 500)
        except smtplib.SMTPNotSupportedError as error:
            return DeliveryOutcome(False, f"the server does not support it: {error}", retry=False)
        except ssl.SSLCertVerificationError as error:
            return DeliveryOutcome(False, f"TLS: {error.verify_message}", retry=False)
        except (smtplib.SMTPException, OSError) as error:
            return DeliveryOutcome(False, f"no answer: {type(error).__name__}")
        if refused:
            return DeliveryOutcome(True, f"accepted, but not for {_first(refused)}")
        return DeliveryOutcome(True, "accepted")

    def _connect(self) -> smtplib.SMTP:
        config = self._config
        port = config.port or PORTS[config.security]
        if config.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(config.host, port, timeout=self._deadline_s, context=self._tls)
        else:
            server = smtplib.SMTP(config.host, port, timeout=self._deadline_s)
        try:
            if config.security == "starttls":
                server.starttls(context=self._tls)  # refuses to go on in the clear
            if config.user:
                server.login(config.user, next(iter(read_lines(config.password)), ""))
        except BaseException:
            server.close()
            raise
        return server


def make_mail(delivery: Delivery, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the message; those of one incident refer to one thread, and nothing in it is a header but what is ours."""
    described, incident = describe(delivery), delivery.incident
    thread = f"<incident.{incident.id}@{_domain(sender)}>"
    message = _begin(delivery, sender, to, described["summary"])
    message["In-Reply-To"] = message["References"] = thread
    message["X-Anchorwatch-Incident"] = incident.id
    if delivery.event != "resolve" and described["severity"] in ("critical", "high"):
        message["Importance"] = "high"
    message.set_content(screen(delivery) + "\n")
    message.add_alternative(make_html(delivery), subtype="html")
    return message


def make_letter(delivery: Delivery, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return a digest as a mail of its own, in plain text."""
    letter = delivery.letter
    assert letter is not None
    message = _begin(delivery, sender, to, letter.subject)
    message.set_content(letter.text + "\n")
    return message


def _begin(delivery: Delivery, sender: str, to: tuple[str, ...], subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = formataddr(parseaddr(sender))
    message["To"] = ", ".join(formataddr(parseaddr(one)) for one in to)
    message["Date"] = format_datetime(delivery.decided_at)
    message["Subject"] = " ".join(subject.split())[:MAX_SUBJECT]
    message["Message-ID"] = f"<{delivery.id}@{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "anchorwatch.invalid"


def make_html(delivery: Delivery) -> str:
    """Return the same as HTML; every value is escaped, nothing is loaded from anywhere."""
    described = describe(delivery)
    colour = COLOURS.get(described["severity"], "#44546a")
    links = " · ".join(f'<a href="{_h(url)}">{_h(TITLES[name])}</a>' for name, url in described["links"].items())
    commands = "<br>".join(f"<code>{_h(one)}</code>" for one in described["commands"])
    parts = [
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        '<body style="font: 15px/1.5 sans-serif; color: #1c1c1e; max-width: 44em">',
        f'<p style="border-left: 6px solid {colour}; padding-left: .8em"><b>{_h(described["summary"])}</b></p>',
        f"<p>{links}</p>" if links else "",
        *(_advice(described) if delivery.event != "resolve" else ()),
        *_what(described),
    ]
    people = [
        f"{_h(one['id'])} ({_h(', '.join(filter(None, (one['owner'], one['environment'], one['criticality']))))})"
        for one in described["identities"][:MOST_SHOWN]
    ]
    parts += ["<p><b>Affects</b></p>", _list(people, described["identity_count"])] if people else []
    return "\n".join([*parts, f"<p>Why now: {_h(described['reason'])}</p>", f"<p>{commands}</p>", "</body></html>"])


def _advice(described: Mapping[str, Any]) -> Iterator[str]:
    if described["advice_for"]:
        yield f"<p><i>For {_h(described['advice_for'])}:</i></p>"
    if described["means"]:
        yield f"<p><b>It means:</b> {_prose(described['means'])}</p>"
    yield _list([f"<b>{_h(one['who'])}</b>: {_prose(one['what'])}" for one in described["who_does_what"]], 0)
    if described["over_when"]:
        yield f"<p><b>It is over:</b> {_prose(described['over_when'])}</p>"


def _what(described: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was found, or the incidents of a storm."""
    if described["members"]:
        yield "<p><b>Incidents</b></p>"
        shown = described["members"][:MOST_SHOWN]
        yield _list([_h(member_line(one, described["shared_code"])) for one in shown], described["member_count"])
        return
    yield "<p><b>Found</b></p>"
    rows = [
        f"<code>{_h(one['code'])}</code> ({_h(one['severity'])}, {_h(one['status'])}): {_h(one['detail'])}"
        + (f" <i>{_h(one['silenced'])}</i>" if one["silenced"] else "")
        for one in described["findings"][:MOST_SHOWN]
    ]
    yield _list(rows, described["finding_count"])


def _prose(text: str) -> str:
    """Return a runbook's sentence: its backticks are commands."""
    parts = _h(text).split("`")
    if not len(parts) % 2:
        return _h(text)
    return "".join(f"<code>{one}</code>" if number % 2 else one for number, one in enumerate(parts))


def _list(rows: list[str], count: int) -> str:
    more = f"<li>and {count - MOST_SHOWN} more</li>" if count > MOST_SHOWN else ""
    return f"<ul>{''.join(f'<li>{row}</li>' for row in rows)}{more}</ul>" if rows else ""


def _h(text: object) -> str:
    return html.escape(str(text))


def _first(refused: dict[str, tuple[int, bytes]]) -> str:
    address, (code, said) = next(iter(refused.items()))
    return f"{address}: {code} {_text(said)}"


def _text(said: bytes | str) -> str:
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else said)[:200]
