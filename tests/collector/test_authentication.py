"""Resolvers over TLS that are not who they should be, as real servers on loopback: never a query, always a reason."""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from collector.dnssec import names, records
from collector.dnssec.message import Response
from collector.dnssec.questions import FetchFailure, Reply
from collector.resolvers.address import Address
from collector.resolvers.identity import Identity, parse_pin, pin_text
from collector.resolvers.resolver import Resolver
from collector.resolvers.transport import Sockets
from schemas.egress import DIRECT, Egress
from tests.support.certificates import Authority
from tests.support.peers import echo, framed


class Server:
    """DNS over TLS on a port of 127.0.0.1: answers what is asked, and keeps it."""

    def __init__(self, certificate: tuple[str, str] | None) -> None:
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.renew(certificate)
        self.asked: list[bytes] = []
        self.connections = 0
        self.resets_first_after: int | None = None
        self.port = 0

    def renew(self, certificate: tuple[str, str]) -> None:
        """Show another certificate to those who connect from now on."""
        assert self.context is not None
        self.context.load_cert_chain(*certificate)

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                self.asked.append(query)
                if self.connections == 1 and len(self.asked) == self.resets_first_after:
                    writer.transport.abort()
                    return
                writer.write(framed(echo(query)))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def address(self, identity: Identity, host: str = "127.0.0.1") -> Address:
        return Address("tls", host, self.port, identity=identity)


async def ask(address: Address, egress: Egress | None = None, timeout_s: float = 5.0) -> Reply:
    resolver = Resolver(address, timeout_s=timeout_s, attempts=1, egress=egress)
    return await resolver.ask(names.from_text("www.example"), records.A)


def met(
    certificate: tuple[str, str] | None, story: Callable[[Server], Coroutine[Any, Any, Reply]]
) -> tuple[Reply, Server]:
    async def whole() -> tuple[Reply, Server]:
        async with Server(certificate) as server:
            return await story(server), server

    return asyncio.run(whole())


def pin_of(certificate: tuple[str, str]) -> bytes:
    key = x509.load_pem_x509_certificate(Path(certificate[0]).read_bytes()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    (tmp_path / "theirs").mkdir()
    return Authority(tmp_path / "theirs", "theirs")


def test_a_resolver_that_our_authority_vouches_for_is_asked(ours: Authority) -> None:
    reply, server = met(ours.certify("127.0.0.1"), lambda s: ask(s.address(Identity(ca_path=ours.path))))

    assert isinstance(reply, Response)
    assert len(server.asked) == 1


def test_the_rule_of_all_that_leaves_the_process_counts_where_the_vantage_has_no_authority(ours: Authority) -> None:
    reply, _ = met(ours.certify("127.0.0.1"), lambda s: ask(s.address(Identity()), Egress(ca_path=ours.path)))

    assert isinstance(reply, Response)


def test_the_authority_of_a_vantage_counts_instead_of_all_others(ours: Authority, theirs: Authority) -> None:
    reply, server = met(
        theirs.certify("127.0.0.1"),
        lambda s: ask(s.address(Identity(ca_path=ours.path)), Egress(ca_path=theirs.path)),
    )

    assert isinstance(reply, FetchFailure)
    assert server.asked == []


def test_a_server_name_is_what_must_be_in_the_certificate(ours: Authority) -> None:
    identity = Identity(ca_path=ours.path, server_name="dns.example")

    good, _ = met(ours.certify("dns.example"), lambda s: ask(s.address(identity)))
    bad, server = met(ours.certify("127.0.0.1"), lambda s: ask(s.address(identity)))

    assert isinstance(good, Response)
    assert isinstance(bad, FetchFailure)
    assert "its certificate is not for dns.example" in bad.detail
    assert server.asked == []


CERTIFIED = "not authenticated: its certificate"


@pytest.mark.parametrize(
    ("host", "days", "vouched", "said", "remedy"),
    [
        ("127.0.0.1", -2, True, f"{CERTIFIED}, or one that vouches for it, has expired", "Renew it at the resolver"),
        ("dns.example", 30, True, f"{CERTIFIED} is not for 127.0.0.1", "set server_name"),
        ("127.0.0.1", 30, False, f"{CERTIFIED} is signed by an authority that is not in", "in ca_file"),
    ],
    ids=["expired", "another name", "another authority"],
)
def test_a_certificate_that_does_not_fit_is_named_with_the_remedy(
    ours: Authority, theirs: Authority, host: str, days: int, vouched: bool, said: str, remedy: str
) -> None:
    certificate = (ours if vouched else theirs).certify(host, days)

    reply, server = met(certificate, lambda s: ask(s.address(Identity(ca_path=ours.path))))

    assert isinstance(reply, FetchFailure)
    assert reply.is_silence, "the vantage is lost, no name is to blame"
    assert reply.detail.startswith(f"tls://127.0.0.1:{server.port}: {said}")
    assert remedy in reply.detail
    assert server.asked == []


def test_the_system_s_authorities_are_named_where_they_are_what_is_trusted(ours: Authority) -> None:
    reply, _ = met(ours.certify("127.0.0.1"), lambda s: ask(s.address(Identity())))

    assert isinstance(reply, FetchFailure)
    assert "not in the system's authorities" in reply.detail


def test_no_tls_at_the_port_is_no_reason_to_ask_in_clear_text() -> None:
    reply, server = met(None, lambda s: ask(s.address(Identity()), timeout_s=0.3))

    assert isinstance(reply, FetchFailure)
    assert reply.is_silence
    assert b"www" not in b"".join(server.asked)


def test_a_resolver_over_tls_is_never_asked_over_udp(ours: Authority) -> None:
    async def story(server: Server) -> Reply:
        replies = Sockets(server.address(Identity()), DIRECT, patience_s=1.0).datagrams(b"")
        with pytest.raises(OSError, match="never asked over UDP"):
            await anext(replies)
        return await ask(server.address(Identity(ca_path=ours.path)))

    reply, _ = met(ours.certify("127.0.0.1"), story)

    assert isinstance(reply, Response)


# pins


def test_the_key_alone_is_enough_where_only_pins_are_given(ours: Authority) -> None:
    certificate = ours.certify("elsewhere.example", -2)
    spare, right = bytes(32), pin_of(certificate)

    reply, _ = met(certificate, lambda s: ask(s.address(Identity(pins=(spare, right)))))

    assert isinstance(reply, Response), "neither name, nor authority, nor date say anything about a key that is known"


def test_another_key_is_named_with_its_pin_and_asked_nothing(ours: Authority) -> None:
    certificate = ours.certify("127.0.0.1")

    reply, server = met(certificate, lambda s: ask(s.address(Identity(pins=(bytes(32),)))))

    assert isinstance(reply, FetchFailure)
    assert reply.is_silence
    assert "its key is none of those in pins" in reply.detail
    assert pin_text(pin_of(certificate)) in reply.detail
    assert server.asked == []


@pytest.mark.parametrize("wrong", ["key", "authority", "name"])
def test_beside_an_authority_and_a_name_all_must_hold(ours: Authority, theirs: Authority, wrong: str) -> None:
    certificate = (theirs if wrong == "authority" else ours).certify(
        "other.example" if wrong == "name" else "a.example"
    )
    pin = bytes(32) if wrong == "key" else pin_of(certificate)
    identity = Identity(ca_path=ours.path, server_name="a.example", pins=(pin,))

    reply, server = met(certificate, lambda s: ask(s.address(identity)))

    assert isinstance(reply, FetchFailure)
    assert "not authenticated" in reply.detail
    assert server.asked == []


def test_a_pin_is_the_digest_in_base64() -> None:
    assert parse_pin(base64.b64encode(bytes(range(32))).decode()) == bytes(range(32))
    for text in ("", "x", "c2hvcnQ=", "ä" * 44, base64.b64encode(bytes(33)).decode(), "sha256/" + "A" * 43 + "="):
        with pytest.raises(ValueError, match="a pin is the SHA-256 digest"):
            parse_pin(text)


# renewal


def test_a_certificate_that_expires_and_is_renewed_is_followed_without_a_restart(ours: Authority) -> None:
    async def story(server: Server) -> Reply:
        resolver = Resolver(server.address(Identity(ca_path=ours.path)), timeout_s=5.0, attempts=1)
        question = names.from_text("www.example"), records.A
        expired = await resolver.ask(*question)
        assert isinstance(expired, FetchFailure)
        assert "expired" in expired.detail
        server.renew(ours.certify("127.0.0.1", 20))
        return await resolver.ask(*question)

    reply, server = met(ours.certify("127.0.0.1", -2), story)

    assert isinstance(reply, Response)
    assert len(server.asked) == 1


def test_a_file_of_authorities_that_is_mended_counts_without_a_restart(
    ours: Authority, theirs: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Path(theirs.path).read_bytes())

    async def story(server: Server) -> Reply:
        resolver = Resolver(server.address(Identity(ca_path=str(trusted))), timeout_s=5.0, attempts=1)
        question = names.from_text("www.example"), records.A
        assert isinstance(await resolver.ask(*question), FetchFailure)
        trusted.unlink()
        gone = await resolver.ask(*question)
        assert isinstance(gone, FetchFailure)
        assert f"ca_file: {trusted} can't be used: No such file" in gone.detail
        trusted.write_bytes(Path(ours.path).read_bytes())
        return await resolver.ask(*question)

    reply, _ = met(ours.certify("127.0.0.1"), story)

    assert isinstance(reply, Response)


def test_many_questions_share_one_connection(ours: Authority) -> None:
    async def story(server: Server) -> Reply:
        resolver = Resolver(server.address(Identity(ca_path=ours.path)), timeout_s=5.0, attempts=1)
        replies = [await resolver.ask(names.from_text(f"h{n}.example"), records.A) for n in range(50)]
        assert all(isinstance(reply, Response) for reply in replies)
        return replies[0]

    _, server = met(ours.certify("127.0.0.1"), story)

    assert server.connections == 1
    assert len({query[:2] for query in server.asked}) > 40, "ids are random"


@pytest.mark.parametrize("after", [1, 30])
def test_a_connection_that_is_cut_within_a_burst_costs_no_answer(ours: Authority, after: int) -> None:
    async def story(server: Server) -> Reply:
        server.resets_first_after = after
        resolver = Resolver(server.address(Identity(ca_path=ours.path)), timeout_s=10.0, attempts=1)
        asked = [resolver.ask(names.from_text(f"h{number}.example"), records.A) for number in range(100)]
        replies = await asyncio.gather(*asked)
        assert [reply for reply in replies if isinstance(reply, FetchFailure)] == []
        return replies[0]

    _, server = met(ours.certify("127.0.0.1"), story)

    assert 1 < server.connections < 20
