"""What an error of the database means: our configuration, a row that can never be stored, or something that passes.

The client's errors carry the server's code; those of the network hang below them, several causes deep.
Source: ClickHouse src/Common/ErrorCodes.cpp.
"""

import re
import socket
import ssl
import struct
from collections.abc import Iterator

from clickhouse_connect.driver.exceptions import ClickHouseError, DataError
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError

from analyzer.config import HistoryConfig, ServerAddress
from schemas.faults import ConfigError, DiskFull, Rejected, Transient

# What the client or the network below it raises, and what the client raises of a value it can't put into its column.
DATABASE_ERRORS = (ClickHouseError, HTTPError, OSError)
UNFIT_VALUES = (DataError, TypeError, ValueError, OverflowError, AttributeError, struct.error)

UNKNOWN_DATABASE, READONLY, ACCESS_DENIED, NO_MACRO, NO_CLUSTER = 81, 164, 497, 139, 701
NO_RIGHTS = frozenset({READONLY, ACCESS_DENIED})
WRONG_USER = frozenset({192, 193, 194, 516})  # unknown user, wrong or no password, authentication failed
UNFIT_ROWS = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    467: "CANNOT_PARSE_BOOL",
}
# What an operator can do about what passes only with his help.
REMEDIES = {
    READONLY: "the user is read-only: give it back the right to write",
    ACCESS_DENIED: "the user has lost a right: GRANT it again",
    UNKNOWN_DATABASE: "the database was dropped: restore it",
    60: "a table was dropped: restore it, or restart the analyzer to hear which",
    202: "too many queries at once: raise max_concurrent_queries",
    241: "the server is short of memory",
    242: "the replica is read-only: has it lost ClickHouse Keeper?",
    243: "the disk of the history is full: make room",
    252: "the server's merges do not keep up with the inserts",
    516: "was the password changed? it is in history.password_file",
}
NOT_ENOUGH_SPACE = 243
NO_ROOM = ("No space left on device", "Disk quota exceeded", "NOT_ENOUGH_SPACE")
_SERVER_SENTENCE = re.compile(r"DB::Exception: (.*?)\s*(?:\([A-Z][A-Z0-9_]+\))?\s*$", re.DOTALL)
HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH, EXPIRED = 62, 64, 10  # OpenSSL's X509_V_ERR_…
NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})


def classify_fault(error: Exception, doing: str) -> Transient | Rejected:
    """Return what the pump must know of an error of an open history; ``doing`` is ``read`` or ``written``.

    Rejected only when it is the rows' own fault. What we do not know may pass by itself or with the operator's help:
    nothing is lost by trying again, a row put aside is.
    """
    code = getattr(error, "code", None)
    if doing == "written" and (isinstance(error, UNFIT_VALUES) or code in UNFIT_ROWS):
        return Rejected(f"the history can't take this: {sentence_of(error)}")
    remedy = f" ({REMEDIES[code]})" if code in REMEDIES else ""
    if code == NOT_ENOUGH_SPACE or any(words in str(error) for words in NO_ROOM):
        return DiskFull(f"the history can't be {doing}: {sentence_of(error)}{remedy}")
    return Transient(f"the history can't be {doing}: {sentence_of(error)}{remedy}")


def unusable(key: str, what: str, remedy: str) -> ConfigError:
    """Return the fault of one key of the history's configuration: what happened, and what to do."""
    return ConfigError([f"history.{key}: {what}: {remedy}"])


def explain_refusal(error: Exception, server: ServerAddress, config: HistoryConfig) -> ConfigError | Transient:
    """Return why a server could not be opened: ConfigError for what the operator must change, else Transient."""
    where, user, database, sentence = server.place, server.user, server.database, sentence_of(error)
    code = getattr(error, "code", None)
    if code is None:
        return _explain_unreachable(error, server, config)
    if code in WRONG_USER:
        return unusable(
            "password_file",
            f"{where} does not let the user {user!r} in ({sentence})",
            "correct the password in that file, or the user in history.url",
        )
    if code in NO_RIGHTS:
        return unusable(
            "url",
            f"the user {user!r} lacks a right at {where} ({sentence})",
            f"GRANT ALL ON {database}.* TO {user}, or name another user",
        )
    if code == UNKNOWN_DATABASE:
        return unusable("url", f"{where} has no such database ({sentence})", f"CREATE DATABASE {database}")
    if code in (NO_CLUSTER, NO_MACRO) and config.cluster:
        return unusable(
            "cluster",
            f"{where} can't make tables on {config.cluster!r} ({sentence})",
            "put it into remote_servers of every replica, and 'shard' and 'replica' into its macros",
        )
    return Transient(f"the history at {where} can't be opened: {sentence}")


def _explain_unreachable(error: Exception, server: ServerAddress, config: HistoryConfig) -> ConfigError | Transient:
    """Return what keeps us from talking to the server, below HTTP or at its edge."""
    where = server.place
    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause, where, config)
        if isinstance(cause, ssl.SSLError):
            return _explain_tls(cause, where)
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return unusable("url", f"there is no host {server.host!r} ({cause.strerror})", "correct the name")
    if "HTTP status 4" in str(error):
        return unusable(
            "url",
            f"what answers at {where} is not ClickHouse's HTTP interface ({sentence_of(error)})",
            "give its HTTP port, 8123 (HTTPS: 8443), not that of the native protocol",
        )
    return Transient(f"the history at {where} does not answer: {sentence_of(error)}")


def _explain_certificate(error: ssl.SSLCertVerificationError, where: str, config: HistoryConfig) -> ConfigError:
    why = error.verify_message
    if error.verify_code in (HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH):
        return unusable(
            "tls",
            f"the certificate of {where} is not for that name ({why})",
            "write the name that it holds into history.url, or renew it with this one",
        )
    if error.verify_code == EXPIRED:
        return unusable("tls", f"the certificate of {where} has expired ({why})", "renew it")
    authorities = config.tls.ca_path if config.tls and config.tls.ca_path else "the system's authorities"
    return unusable(
        "tls",
        f"the certificate of {where} is not vouched for by {authorities} ({why})",
        "put the certificate of its authority into history.tls.ca_file",
    )


def _explain_tls(error: ssl.SSLError, where: str) -> ConfigError | Transient:
    reason = str(error.reason or error)
    if reason in NOT_TLS:
        return unusable(
            "tls", f"{where} does not speak TLS", "give the HTTPS port (8443) in history.url, or leave out history.tls"
        )
    if "CERTIFICATE" in reason or "KEY" in reason:
        return unusable(
            "tls", f"{where} refuses our certificate ({reason})", "see history.tls.cert_file and history.tls.key_file"
        )
    return Transient(f"the history at {where} does not answer: TLS failed ({reason})")


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies below it, each once; urllib3 keeps some causes as an attribute or an argument."""
    waiting, seen = [error], {id(error)}
    while waiting:
        current = waiting.pop(0)
        yield current
        below = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        for one in below:
            if isinstance(one, BaseException) and id(one) not in seen:
                seen.add(id(one))
                waiting.append(one)


def sentence_of(error: BaseException) -> str:
    """Return what happened as one line: the server's own sentence, or the last cause of the network."""
    if (match := _SERVER_SENTENCE.search(str(error))) is not None:
        return _one_line(match[1])
    causes = list(causes_of(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    if any(isinstance(cause, ConnectTimeoutError) for cause in causes):
        return "no connection within the time limit"
    if any(isinstance(cause, ReadTimeoutError | TimeoutError) for cause in causes):
        return "no answer within the time limit"
    deepest = causes[-1] if str(error).startswith("Error executing HTTP request") else error
    return _one_line(str(deepest) or type(deepest).__name__)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
