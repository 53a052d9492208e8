"""Syslog: one line a delivery with structured data, over UDP, TCP or TLS.

Source: RFC 5424; octets are counted over TCP and TLS (RFC 6587 §3.4.1, RFC 5425 §4.3).
"""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from alerts.delivery.delivery import Delivery, DeliveryOutcome
from alerts.delivery.notifier import DEADLINE_S, Notifier
from alerts.delivery.wording import describe
from alerts.receivers.receiver import HttpClient, Receiver

# Source: RFC 5424 §6.2.1. Facility 13 is "log audit".
FACILITY = 13
SEVERITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
MAX_UDP, MAX_TCP = 1_400, 8_000
ENTERPRISE = "anchorwatch@32473"
"""32473 is the enterprise number for documentation (RFC 5612): anchorwatch has none of its own."""


class Syslog(Receiver, frozen=True, kw_only=True, tag="syslog"):
    """A collector of logs: ``udp://host:514``, ``tcp://host:601`` or ``tls://host:6514``."""

    url: str = ""
    ca_file: str = ""

    @property
    def where(self) -> str:
        """Return what it is reached at."""
        return self.url

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what can't be right."""
        try:
            parts = urlsplit(self.url)
            is_usable = parts.scheme in PORTS and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_usable = False
        if not is_usable:
            yield "url", "a URL such as udp://host:514, tcp://host:601 or tls://host:6514 is expected"

    def make_notifier(self, http: HttpClient) -> Notifier:
        """Return what writes to it."""
        return SyslogNotifier(self.url, ca_file=self.ca_file)


PORTS = {"udp": 514, "tcp": 601, "tls": 6514}


class SyslogNotifier:
    """Writes one message a delivery; syslog answers nothing, so over UDP that it was sent is all that is known."""

    def __init__(self, url: str, *, ca_file: str = "", hostname: str = "", deadline_s: float = DEADLINE_S) -> None:
        parts = urlsplit(url)
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or PORTS[parts.scheme]
        self._deadline_s, self._hostname = deadline_s, hostname or socket.gethostname()
        self._tls = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "tls" else None

    def send(self, delivery: Delivery, now: float) -> DeliveryOutcome:
        """Write it."""
        most = MAX_UDP if self._scheme == "udp" else MAX_TCP
        line = make_line(delivery, now, self._hostname, most)
        try:
            if self._scheme == "udp":
                family, kind, proto, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
                with socket.socket(family, kind, proto) as udp:
                    udp.settimeout(self._deadline_s)
                    udp.sendto(line, address)
            else:
                self._write(b"%d %s" % (len(line), line))
        except ssl.SSLCertVerificationError as error:
            return DeliveryOutcome(False, f"TLS: {error.verify_message}", retry=False)
        except OSError as error:
            return DeliveryOutcome(False, f"not written: {error.strerror or type(error).__name__}")
        return DeliveryOutcome(True, "written")

    def _write(self, framed: bytes) -> None:
        with socket.create_connection((self._host, self._port), timeout=self._deadline_s) as plain:
            if self._tls is None:
                plain.sendall(framed)
                return
            with self._tls.wrap_socket(plain, server_hostname=self._host) as secured:
                secured.sendall(framed)


def make_line(delivery: Delivery, now: float, hostname: str, most: int) -> bytes:
    """Return the message, cut at ``most`` octets between two signs. Source: RFC 5424 §6."""
    described = describe(delivery)
    pri = FACILITY * 8 + SEVERITIES[described["severity"]]
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "incident": described["incident"],
        "event": described["event"],
        "severity": described["severity"],
        "code": delivery.incident.lead.code,
        "cause": described["cause"],
        "identities": str(described["identity_count"]),
        "url": described["links"].get("incident", ""),
    }
    data = " ".join(f'{name}="{_escaped(text)}"' for name, text in fields.items() if text)
    header = f"<{pri}>1 {at} {_word(hostname, 255)} anchorwatch - {delivery.event} [{ENTERPRISE} {data}]"
    whole = f"{header} \ufeff{described['summary']}".encode()
    return whole if len(whole) <= most else whole[:most].decode("utf-8", "ignore").encode()


def _escaped(text: str) -> str:
    """Return the value of a parameter. Source: RFC 5424 §6.3.3: quote, backslash and closing bracket are escaped."""
    for sign in '\\"]':
        text = text.replace(sign, "\\" + sign)
    return text


def _word(text: str, most: int) -> str:
    return "".join(sign for sign in text if 33 <= ord(sign) <= 126)[:most] or "-"
