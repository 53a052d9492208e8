"""Clients of Kafka, and why it can't be reached, in a sentence, within five seconds.

kafka-python keeps trying for long and then says "timeout", whatever the reason was; so the brokers are tried first.
"""

import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from anchorwatch.kafka.config import KafkaConfig
from schemas.faults import AnchorwatchError, ConfigError, Transient

MAX_MESSAGE_BYTES = 10 * 1024 * 1024
MAX_FETCH_BYTES = 16 * 1024 * 1024
FIRST_CONTACT_S = 4.0
REQUEST_S = 10.0
SAID_AFTER_S = 4.0
"""So long Kafka may take for messages before it is said that it does not take them."""
DELIVERY_S = 30.0
HANDLING_S = 600.0
"""How long one batch may take, an unavailable history included, before the group goes on without us."""


def client_options(config: KafkaConfig, client_id: str) -> dict[str, Any]:
    """Return the options of every client of the library."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.brokers),
        "client_id": client_id,
        "bootstrap_timeout_ms": int(FIRST_CONTACT_S * 1000),
        "request_timeout_ms": int(REQUEST_S * 1000),
        "reconnect_backoff_max_ms": 1000,
        "security_protocol": ("SASL_" if config.mechanism else "") + ("SSL" if config.tls else "PLAINTEXT"),
    }
    if config.tls is not None:
        options["ssl_context"] = tls_context(config)
    if config.mechanism:
        options["sasl_mechanism"] = config.mechanism
        options["sasl_plain_username"] = config.user
        options["sasl_plain_password"] = config.password
    return options


def tls_context(config: KafkaConfig) -> ssl.SSLContext:
    """Return the context of ``bus.tls``.

    Raises:
        ConfigError: a file in it is no certificate or key.
    """
    assert config.tls is not None
    try:
        context = ssl.create_default_context(cafile=config.tls.ca_path or None)
        if config.tls.cert_path:
            context.load_cert_chain(config.tls.cert_path, config.tls.key_path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([f"bus.tls: a file can't be used as PEM: {error}"]) from error
    return context


def reach_brokers(config: KafkaConfig) -> None:
    """Return once one broker can be connected to, as ``bus.tls`` says.

    Raises:
        ConfigError: one answers, but not with the TLS that is configured.
        Transient: none answers.
    """
    context = tls_context(config) if config.tls is not None else None
    silent, wrong = [], []
    for broker in config.brokers:
        host, _, port = broker.rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), FIRST_CONTACT_S / len(config.brokers)) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=host).close()
                return
        except ssl.SSLCertVerificationError as error:
            wrong.append(f"bus.tls: the certificate of {broker} is refused: {error.verify_message}")
        except ssl.SSLError as error:
            wrong.append(f"bus.tls: {broker} does not speak TLS as we do ({error.reason}): is that its TLS port?")
        except OSError as error:
            silent.append(f"{broker} ({error.strerror or error})")
    if wrong:
        raise ConfigError(wrong)
    raise Transient(f"bus.url: no Kafka broker answers: {', '.join(silent)}")


def explain(error: KafkaError, config: KafkaConfig) -> AnchorwatchError:
    """Return what a fault of the library at the first contact means to an operator."""
    if isinstance(error, SaslAuthenticationFailedError | UnsupportedSaslMechanismError):
        return ConfigError(
            [f"bus.sasl: Kafka refuses user {config.user!r} by {config.mechanism or 'no login'}: {error}"]
        )
    if isinstance(error, AuthorizationError):
        return ConfigError([f"bus: Kafka does not allow user {config.user or 'anonymous'!r} to do this: {error}"])
    advice = [] if config.tls else ["bus.tls, if it is its TLS port"]
    advice += [] if config.mechanism else ["bus.sasl, if it wants a login"]
    hint = f"; try {' and '.join(advice)}" if advice else ""
    return Transient(
        f"bus.url: {', '.join(config.brokers)} can be connected to, but gave no answer within {FIRST_CONTACT_S:g} s"
        f"{hint} ({type(error).__name__}: {error})"
    )


def open_admin(config: KafkaConfig, client_id: str) -> Any:
    """Return an administrative client.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """
    return _open(KafkaAdminClient, config, client_id)


def open_producer(config: KafkaConfig, client_id: str, *, transactional_id: str | None = None) -> Any:
    """Return a producer that counts a message as sent once every replica in sync has it, and sends none twice.

    With a ``transactional_id`` it writes in transactions, and nobody else by that id any more.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """
    options: dict[str, Any] = {}
    if transactional_id is not None:
        # A transaction is begun while the markers of the last are still being written: ask again soon.
        options = {"transactional_id": transactional_id, "retry_backoff_ms": 10}
    return _open(
        KafkaProducer,
        config,
        client_id,
        **options,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=5,
        batch_size=256 * 1024,
        max_request_size=MAX_MESSAGE_BYTES,
        delivery_timeout_ms=int(DELIVERY_S * 1000),
        max_block_ms=int(REQUEST_S * 1000),
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def open_consumer(config: KafkaConfig, client_id: str, *, group: str | None, assignor: Any = None) -> Any:
    """Return a consumer from the oldest message on that commits only on demand.

    Raises:
        ConfigError: TLS or login do not fit.
        Transient: no broker answers.
    """
    session_ms = int(config.session_timeout_s * 1000)
    options: dict[str, Any] = {}
    if group is not None:
        options |= {"group_id": group, "session_timeout_ms": session_ms, "heartbeat_interval_ms": session_ms // 4}
    if assignor is not None:
        options["partition_assignment_strategy"] = [assignor]
    return _open(
        KafkaConsumer,
        config,
        client_id,
        **options,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        # A fetch is always taken whole: of a partition that is paused half read, the library forgets the other half.
        max_poll_records=1_000_000,
        max_poll_interval_ms=int(HANDLING_S * 1000),
        fetch_max_bytes=MAX_FETCH_BYTES,
        fetch_max_wait_ms=200,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def open_again(opener: Callable[[], Any]) -> Any:
    """Open a client once more where one was open before: what does not fit now did, and may fit again.

    Raises:
        Transient: whatever is wrong.
    """
    try:
        return opener()
    except ConfigError as error:
        raise Transient("; ".join(error.problems)) from error


def flush_reporting(producer: Any, timeout_s: float, tell: Callable[[str], None]) -> None:
    """Wait until Kafka has taken or refused everything; ``tell`` hears why it takes long, and nothing once it is over.

    Raises:
        KafkaError: it took longer than ``timeout_s``.
    """
    try:
        producer.flush(timeout=SAID_AFTER_S)
    except KafkaTimeoutError:
        tell(_why_not_taken())
        producer.flush(timeout=timeout_s - SAID_AFTER_S)
    tell("")


def _why_not_taken() -> str:
    heard = next((one for one in logging.getLogger("kafka").handlers if isinstance(one, _Overheard)), None)
    is_fresh = heard is not None and time.monotonic() - heard.produce_error_at < DELIVERY_S
    error = heard.produce_error if heard is not None and is_fresh else ""
    if error.startswith("NotEnoughReplicas"):
        return "Kafka takes no messages: fewer replicas are in sync than min.insync.replicas wants; look at the brokers"
    return f"Kafka has taken no messages for {SAID_AFTER_S:g} s{': ' + error if error else ''}; look at the brokers"


def _open(client: Callable[..., Any], config: KafkaConfig, client_id: str, **options: Any) -> Any:
    overheard = _overhear()
    reach_brokers(config)
    try:
        return client(**client_options(config, client_id), **options)
    except KafkaError as error:
        if overheard.refused_login:
            raise explain(SaslAuthenticationFailedError("the user or the password is wrong"), config) from error
        raise explain(error, config) from error


class _Overheard(logging.Handler):
    """What the library logs instead of raising: a refused login, why messages are not taken. Nothing is handed on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.refused_login = False
        self.produce_error = ""
        self.produce_error_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Note a refused login; each attempt of each connection is logged, and said by us, once."""
        text = record.getMessage()
        self.refused_login = self.refused_login or "SaslAuthenticationFailed" in text
        if "Got error produce response" in text and (error := re.search(r": (\w+Error)\b", text)):
            self.produce_error, self.produce_error_at = error[1], time.monotonic()


def _overhear() -> _Overheard:
    """Take the library's log over, and return what hears it."""
    logger = logging.getLogger("kafka")
    overheard = _Overheard()
    logger.handlers[:] = [overheard]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    return overheard
