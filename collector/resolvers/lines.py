"""How connections to a resolver are opened: over TCP, and over TLS with the other end authenticated.

Source: RFC 7766, RFC 7858.
"""

import asyncio
import secrets
import ssl

from collector.resolvers.address import Address
from collector.resolvers.authentication import Authentication
from collector.resolvers.connection import Connection, Exchange
from collector.resolvers.framing import LengthPrefixed

GOODBYE_S = 1.0


class TcpLine:
    """Plain TCP."""

    def __init__(self, address: Address, *, keepalive: bool) -> None:
        self._address, self._keepalive = address, keepalive

    async def open(self, connection: Connection) -> LengthPrefixed[Exchange]:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: connection, self._address.host, self._address.port)
        return LengthPrefixed(secrets.randbits, keepalive=self._keepalive)


class TlsLine:
    """TLS, authenticated before the first query."""

    def __init__(self, address: Address, authentication: Authentication) -> None:
        self._address, self._authentication = address, authentication

    async def open(self, connection: Connection) -> LengthPrefixed[Exchange]:
        """Connect and authenticate."""
        await open_tls(connection, self._address, self._authentication)
        return LengthPrefixed(secrets.randbits, keepalive=True)


async def open_tls(connection: Connection, address: Address, authentication: Authentication) -> ssl.SSLObject:
    """Connect and authenticate; return what is known of the TLS session.

    Raises:
        OSError: no connection, or the other end is not who it should be.
    """
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.host,
            address.port,
            ssl=authentication.context(),
            server_hostname=authentication.name,
            ssl_shutdown_timeout=GOODBYE_S,
        )
    except OSError as error:
        raise authentication.explain(error) from error
    session: ssl.SSLObject = transport.get_extra_info("ssl_object")
    authentication.check_key(session)
    return session
