"""A responder that replays answers which BIND's dnssec-signzone has signed: as many names as memory holds.

It stands in for a validating resolver where two cores can't hold one beside all that is measured. Each answer may have
several signings, given out by turns, as zones that sign on the fly have them. From a SIGUSR1 on, one host after the
other answers with another signed address, ``CHANGES_A_SECOND`` of them. Also run as a process of its own.
"""

import base64
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.world import Served, which
from collector.dnssec import names, records
from tests.support.daemons import free_port

ZONES = 50
SIGNINGS = 4
CHANGES_A_SECOND = 100
CHANGED = 9
"""Instead of the number of a signing: the zone as it changes to."""
TTL_S = 3600
TYPES = {"A": 1, "NS": 2, "SOA": 6, "DS": 43, "RRSIG": 46, "DNSKEY": 48}
AD = 0x20


@contextlib.contextmanager
def replaying(folder: Path, count: int, resigned: int, changes: int = 0) -> Iterator[tuple[Served, int]]:
    """Serve a signed world of so many hosts; of a hundred answers so many carry another signature each time.

    ``changes`` is how many hosts, the first ones, have another address to change to.
    """
    hosts = tuple(f"h{number // ZONES}.p{number % ZONES}.measure" for number in range(count))
    _sign(folder, hosts, SIGNINGS if resigned else 1, changes)
    port = free_port()
    words = [sys.executable, "-m", "bench.responder", str(folder), str(port), str(resigned)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has read everything
        yield Served(folder, ("127.0.0.1", port), "a replaying responder", hosts, ZONES), process.pid
    finally:
        process.terminate()
        process.wait()


def _sign(folder: Path, hosts: Sequence[str], signings: int, changes: int) -> None:
    """Write the zones and have them signed, the hosts' so many times with other times."""
    if not (which("dnssec-signzone") and which("dnssec-keygen")):
        sys.exit("signing needs BIND's tools: apt-get install bind9-utils")
    below: dict[str, list[str]] = {f"p{number}.measure": [] for number in range(ZONES)}
    for number, host in enumerate(hosts):
        below[host.split(".", 1)[1]].append(f"{host}. {TTL_S} IN A 192.0.2.{number % 250}")
    jobs = []
    for zone, rows in below.items():
        for signing in range(signings):
            jobs.append(_sign_zone(folder, zone, rows, signing))
        changed = [
            f"{host}. {TTL_S} IN A 198.51.100.{n % 250}"
            for n, host in enumerate(hosts[:changes])
            if host.endswith(f".{zone}")
        ]
        if changed:
            jobs.append(_sign_zone(folder, zone, changed, CHANGED))
        _wait(jobs, 2)
    _wait(jobs, 0)
    (folder / "changes").write_text("\n".join(hosts[:changes]))
    delegations = [f"{zone}. {TTL_S} IN NS ns.measure." for zone in below]
    dses = [line for zone in below for line in (folder / f"dsset-{zone}.").read_text().splitlines()]
    _wait([_sign_zone(folder, "measure", [*delegations, *dses], 0)], 0)
    top = (folder / "dsset-measure.").read_text().splitlines()
    _wait([_sign_zone(folder, ".", [f"measure. {TTL_S} IN NS ns.measure.", *top], 0)], 0)
    anchors = (folder / "dsset-.").read_text().splitlines()
    (folder / "root.ds").write_text("\n".join(". IN DS " + line.split("DS", 1)[1].strip() for line in anchors) + "\n")


def _sign_zone(folder: Path, zone: str, rows: Iterable[str], signing: int) -> "subprocess.Popen[bytes]":
    name = zone.rstrip(".") + "."
    keys = folder / f"keys-{zone}"
    if not keys.exists():
        keys.mkdir()
        for flags in ([], ["-f", "KSK"]):
            words = [which("dnssec-keygen") or "", "-q", "-K", str(keys), "-a", "13", *flags, name]
            subprocess.run(words, check=True, capture_output=True)
    text = [
        f"{name} {TTL_S} IN SOA ns.measure. host.measure. 1 3600 600 86400 {TTL_S}",
        f"{name} {TTL_S} IN NS ns.measure.",
    ]
    path = folder / f"{zone}-{signing}.zone"
    path.write_text("\n".join([*text, *rows]) + "\n")
    begins = datetime.now(UTC) - timedelta(hours=2) + timedelta(minutes=signing)
    ends = begins + timedelta(days=20)
    words = [
        which("dnssec-signzone") or "",
        "-S",
        "-P",
        "-Q",
        "-O",
        "full",
        "-o",
        name,
        "-K",
        str(keys),
        "-d",
        str(folder),
    ]
    words += [
        "-s",
        f"{begins:%Y%m%d%H%M%S}",
        "-e",
        f"{ends:%Y%m%d%H%M%S}",
        "-f",
        str(path.with_suffix(".signed")),
        str(path),
    ]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(jobs: "list[subprocess.Popen[bytes]]", most: int) -> None:
    while len(jobs) > most:
        if jobs.pop(0).wait():
            sys.exit("dnssec-signzone failed")


def _answers(path: Path, answers: dict[bytes, list[bytes]]) -> None:
    """Add the answers of a signed zone, by question in wire format."""
    gathered: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) < 5 or words[3] not in TYPES:
            continue
        kind = words[4] if words[3] == "RRSIG" else words[3]
        if kind in ("A", "DS", "DNSKEY", "SOA"):
            gathered.setdefault((words[0].lower(), kind), []).append((TYPES[words[3]], _data(words[3], words[4:])))
    for (owner, kind), found in gathered.items():
        question = names.to_wire(names.from_text(owner)) + TYPES[kind].to_bytes(2, "big") + b"\0\1"
        rows = [
            b"\xc0\x0c"
            + rdtype.to_bytes(2, "big")
            + b"\0\1"
            + TTL_S.to_bytes(4, "big")
            + len(data).to_bytes(2, "big")
            + data
            for rdtype, data in found
        ]
        answers.setdefault(question, []).append(b"\0\1" + len(rows).to_bytes(2, "big") + b"\0\0\0\1|" + b"".join(rows))


def _data(kind: str, words: list[str]) -> bytes:
    match kind:
        case "A":
            return bytes(map(int, words[0].split(".")))
        case "DS":
            head = int(words[0]).to_bytes(2, "big") + bytes((int(words[1]), int(words[2])))
            return head + bytes.fromhex("".join(words[3:]))
        case "DNSKEY":
            flags = int(words[0]).to_bytes(2, "big")
            return flags + bytes((int(words[1]), int(words[2]))) + base64.b64decode("".join(words[3:]))
        case "SOA":
            first, second = (names.to_wire(names.from_text(word)) for word in words[:2])
            return first + second + b"".join(int(word).to_bytes(4, "big") for word in words[2:7])
        case _:
            return _signature(words)


def _signature(words: list[str]) -> bytes:
    times = [int(datetime.strptime(word, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()) for word in words[4:6]]
    covers = TYPES.get(words[0]) or records.type_from_text(words[0])
    head = covers.to_bytes(2, "big") + bytes((int(words[1]), int(words[2]))) + int(words[3]).to_bytes(4, "big")
    tail = b"".join(time_.to_bytes(4, "big") for time_ in times) + int(words[6]).to_bytes(2, "big")
    return head + tail + names.to_wire(names.from_text(words[7])) + base64.b64decode("".join(words[8:]))


def serve(folder: Path, port: int, resigned: int) -> None:
    """Answer for ever."""
    answers: dict[bytes, list[bytes]] = {}
    altered: dict[bytes, list[bytes]] = {}
    for path in sorted(folder.glob("*.signed")):
        _answers(path, altered if path.stem.endswith(f"-{CHANGED}") else answers)
    hosts = (folder / "changes").read_text().splitlines()
    places = {names.to_wire(names.from_text(host)) + b"\0\1\0\1": place for place, host in enumerate(hosts)}
    began = float("inf")

    def begin(*_: object) -> None:
        nonlocal began
        began = time.monotonic()

    signal.signal(signal.SIGUSR1, begin)
    connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    connection.bind(("127.0.0.1", port))
    print("ready", flush=True)
    opt = b"\0\0\x29\4\xd0\0\0\x80\0\0\0"
    turn = 0
    while True:
        wire, sender = connection.recvfrom(1024)
        end = wire.index(b"\0", 12) + 5
        question = wire[12:end]
        asked = question.lower()
        some = answers.get(asked)
        place = places.get(asked)
        if place is not None and time.monotonic() - began >= place / CHANGES_A_SECOND:
            some = altered[asked]
        flags = b"\x81" + bytes((0x80 | wire[3] & 0x10 | (0 if wire[3] & 0x10 else AD),))
        if some is None:
            connection.sendto(wire[:2] + b"\x81\x85\0\1\0\0\0\0\0\0" + question, sender)
            continue
        turn += 1
        chosen = some[turn // 100 % len(some)] if turn % 100 < resigned else some[0]
        counts, rows = chosen[:8], chosen[9:]
        if wire[11]:
            connection.sendto(wire[:2] + flags + counts + question + rows + opt, sender)
        else:
            connection.sendto(wire[:2] + flags + counts[:6] + b"\0\0" + question + rows, sender)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
