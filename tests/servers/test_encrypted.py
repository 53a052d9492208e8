"""Many questions over kept-open connections to a real Unbound, over TCP, TLS and HTTPS."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.identity import Identity
from collector.resolvers.resolver import Resolver
from tests.support.certificates import Authority
from tests.support.encrypted import NEEDED, Encrypted, is_installed
from tests.support.running import COMMAND, environment

pytestmark = pytest.mark.servers
NAMES = 50


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def server(tmp_path: Path, ours: Authority) -> Iterator[Encrypted]:
    if not is_installed():
        pytest.skip(NEEDED)
    server = Encrypted(tmp_path, ours.certify("127.0.0.1"), names=NAMES)
    server.start()
    yield server
    server.stop()


async def ask_many(resolver: Resolver, count: int) -> list[Reply]:
    asked = [resolver.ask(names.from_text(f"h{number % NAMES}.served"), records.TXT) for number in range(count)]
    return await asyncio.gather(*asked)


def answered(replies: list[Reply]) -> bool:
    return all(
        isinstance(reply, Response) and names.to_text(reply.qname) == f"h{number % NAMES}.served." and reply.answer
        for number, reply in enumerate(replies)
    )


@pytest.mark.parametrize("scheme", ["tcp", "tls", "https"])
def test_thousands_of_questions_are_each_answered(server: Encrypted, ours: Authority, scheme: str) -> None:
    identity = Identity(ca_path=ours.path) if scheme != "tcp" else Identity()

    replies = asyncio.run(ask_many(Resolver(server.address(scheme, identity), timeout_s=20.0, attempts=1), 3000))

    assert [reply for reply in replies if isinstance(reply, FetchFailure)] == []
    assert answered(replies)


@pytest.mark.parametrize("scheme", ["tcp", "tls", "https"])
def test_a_resolver_that_was_restarted_is_asked_on(server: Encrypted, ours: Authority, scheme: str) -> None:
    identity = Identity(ca_path=ours.path) if scheme != "tcp" else Identity()

    async def story() -> list[Reply]:
        resolver = Resolver(server.address(scheme, identity), timeout_s=20.0, attempts=1)
        before = await ask_many(resolver, 200)
        await asyncio.to_thread(server.renew, ours.certify("127.0.0.1", 20))
        return before + await ask_many(resolver, 200)

    assert answered(asyncio.run(story()))


@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_a_certificate_that_has_expired_is_told_until_it_is_renewed(
    server: Encrypted, ours: Authority, scheme: str
) -> None:
    async def story() -> list[Reply]:
        resolver = Resolver(server.address(scheme, Identity(ca_path=ours.path)), timeout_s=20.0, attempts=2)
        good = await ask_many(resolver, 20)
        await asyncio.to_thread(server.renew, ours.certify("127.0.0.1", -1))
        bad = await ask_many(resolver, 20)
        await asyncio.to_thread(server.renew, ours.certify("127.0.0.1", 10))
        return good + bad + await ask_many(resolver, 20)

    replies = asyncio.run(story())

    assert [isinstance(reply, Response) for reply in replies] == [True] * 20 + [False] * 20 + [True] * 20
    bad = [reply for reply in replies if isinstance(reply, FetchFailure)]
    assert all("has expired. Renew it at the resolver" in reply.detail for reply in bad)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--ca-file", "ours.pem"], 1, "INSECURE"),
        (["--ca-file", "ours.pem", "--server-name", "dns.example"], 3, "its certificate is not for dns.example"),
        ([], 3, "not in the system's authorities"),
        (["--pin", "A" * 43 + "="], 3, "its key is none of those in pins"),
    ],
)
def test_the_command_line_says_how_a_resolver_proves_who_it_is(
    server: Encrypted, tmp_path: Path, more: list[str], status: int, said: str
) -> None:
    (tmp_path / "nothing.ds").write_text("")
    url = server.address("tls").to_url()
    words = [*COMMAND, "validate", "h1.served", "TXT", "--resolver", url, "--trust-anchor", "nothing.ds", *more]

    done = subprocess.run(
        words, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, said.lower() in done.stdout.lower()) == (status, True), done.stdout + done.stderr
