"""What may be shown of a text that somebody else wrote."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.redaction import holds_secret, is_secret_name, redact, safe, secrets_of_url, without_quoted

SECRETS = st.text(alphabet="abcdefXYZ0189/#?@%;:&=+$! \"'<>\\é", min_size=6, max_size=20).filter(
    lambda text: text.strip() == text and len(set(text)) > 3
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(SECRETS)
def test_a_known_secret_goes_in_whatever_encoding_it_is_echoed(secret: str) -> None:
    forms = [
        secret,
        quote(secret, safe=""),
        json.dumps(secret),
        base64.b64encode(secret.encode()).decode(),
    ]

    for form in forms:
        assert form.strip('"') not in redact(f'400: bad routing key "{form}" in the request', [secret])


@pytest.mark.parametrize(
    "text",
    [
        "no such hook: https://hooks.example/services/T00/B00/hunter2hunter2",
        "https://user:hunter2@hooks.example/",
        '{"routing_key": "hunter2"}',
        "password=hunter2;",
        "Authorization: Bearer hunter2hunter2",
        "Server=db;Pwd=hunter2",
        "svc:hunter2@db.example",
        "AccountKey=hunter2==;EndpointSuffix=x",
        "?sig=hunter2&x=1",
        "invalid token 4f0hunter2a1b2c3d4e5f60718",
    ],
)
def test_credentials_of_the_usual_shapes_go_though_nobody_named_them(text: str) -> None:
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text", ["HTTP 404: not found", "no answer: MaxRetryError", "Invalid dedup_key", "certificate verify failed"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_the_host_of_a_url_stays() -> None:
    assert redact("POST https://hooks.example:8443/services/T00/x failed") == "POST https://hooks.example:8443/… failed"


def test_what_may_be_secret_in_a_url_is_found() -> None:
    found = secrets_of_url("https://user:pw12@hooks.example/services/TOKENTOKEN?key=abcd1234")

    assert {"user", "pw12", "TOKENTOKEN", "abcd1234"} <= set(found)
    assert "services" in found or "/services/TOKENTOKEN?key=abcd1234" in found


@pytest.mark.parametrize("name", ["password", "API-Key", "client_secret", "ConnectionPassword", "access token", "pwd"])
def test_columns_that_hold_secrets_are_known_by_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["owner", "team", "keyboard", "cost center", "sys_id", "passenger", "sigma"])
def test_other_columns_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_only_plain_words_are_shown() -> None:
    assert safe("robot") == "'robot'"
    assert safe(99999) == "99999"
    for text in ("a=b", "x@y", "a/b", "a:b", "a;b", "a?b", "a#b", "a%b", "a&b"):
        assert text not in safe(text)


def test_a_parser_does_not_quote_the_document() -> None:
    assert "hunter2" not in without_quoted("found undefined alias 'hunter2'")
    assert "mapping" in without_quoted("expected 'mapping'")


@pytest.mark.parametrize("text", ["password=x1", "Pwd = y", "amqp://svc:p/w@host", "SharedAccessKey=z"])
def test_credentials_are_recognised(text: str) -> None:
    assert holds_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "payments",
        "team: blue",
        "cost center 4711",
        "https://wiki.example/a",
        "serviceAccount:ci@project.iam.example",
        "token: refresh",
    ],
)
def test_ordinary_fields_are_no_credentials(text: str) -> None:
    assert not holds_secret(text)
