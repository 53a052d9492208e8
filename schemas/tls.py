"""How a connection to a server is secured, as the stages and the shell are told."""

import msgspec


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of PEM files; no ``ca_path`` means the system's authorities, no ``cert_path`` no name of our own."""

    ca_path: str = ""
    cert_path: str = ""
    key_path: str = ""
