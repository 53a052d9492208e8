"""An Unbound that answers from its memory over UDP, TCP, TLS and HTTPS on loopback."""

from pathlib import Path

import dns.exception
import dns.message
import dns.query

from collector.resolvers.address import Address
from collector.resolvers.identity import ANYBODY_VOUCHED_FOR, Identity
from tests.support.daemons import Daemon, find_tool, free_ports

NEEDED = "needs Unbound: apt-get install unbound"


def is_installed() -> bool:
    """Return whether there is an Unbound to run."""
    return find_tool("unbound") is not None


class Encrypted:
    """The server, with a certificate (paths of it and of its key) and TXT records of ``h0.served.`` and so on."""

    def __init__(self, folder: Path, certificate: tuple[str, str], *, names: int, filling: str = "here") -> None:
        self._folder, self._names, self._filling = folder, names, filling
        self.plain, self._tls, self._https = free_ports(3)
        self._daemon = Daemon("unbound", ["unbound", "-d", "-c", folder / "unbound.conf"], folder)
        self._configure(certificate)

    def address(self, scheme: str, identity: Identity = ANYBODY_VOUCHED_FOR, host: str = "127.0.0.1") -> Address:
        """Return where it answers over udp, tcp, tls or https."""
        port = {"tls": self._tls, "https": self._https}.get(scheme, self.plain)
        return Address(scheme, host, port, "/dns-query" if scheme == "https" else "", identity)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._daemon.start()
        self._daemon.until_up(self._answers)

    def stop(self) -> None:
        """End it."""
        self._daemon.stop()

    def renew(self, certificate: tuple[str, str]) -> None:
        """Start it again with another certificate."""
        self.stop()
        self._configure(certificate)
        self.start()

    def _configure(self, certificate: tuple[str, str]) -> None:
        pem, key = certificate
        data = "".join(
            f" local-data: 'h{number}.served. 300 IN TXT \"{self._filling}\"'\n" for number in range(self._names)
        )
        interfaces = "".join(f" interface: 127.0.0.1@{port}\n" for port in (self.plain, self._tls, self._https))
        (self._folder / "unbound.conf").write_text(
            f"server:\n{interfaces} port: {self.plain}\n tls-port: {self._tls}\n https-port: {self._https}\n"
            f' tls-service-pem: "{pem}"\n tls-service-key: "{key}"\n edns-tcp-keepalive: yes\n'
            f' num-threads: 1\n chroot: ""\n username: ""\n pidfile: ""\n directory: "{self._folder}"\n'
            " use-syslog: no\n do-ip6: no\n access-control: 127.0.0.0/8 allow\n num-queries-per-thread: 4096\n"
            f" so-rcvbuf: 4m\n local-zone: served. static\n{data}"
        )

    def _answers(self) -> bool:
        question = dns.message.make_query("h0.served.", "TXT")
        try:
            return bool(dns.query.tcp(question, "127.0.0.1", port=self.plain, timeout=1).answer)
        except (OSError, EOFError, dns.exception.DNSException):
            return False
