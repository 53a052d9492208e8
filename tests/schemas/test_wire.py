import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from schemas.export import json_schemas
from schemas.faults import Rejected
from schemas.messages import Finding, Observation, PollBatch, utc
from schemas.wire import TYPES, decode, digest_of, encode, key_of

HERE = Path(__file__).parent
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GOLDEN = sorted((HERE / "golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_released_message_is_decoded_for_ever(path: Path) -> None:
    content = path.read_bytes()

    message = decode(content)

    golden, now = msgspec.json.decode(content), msgspec.json.decode(encode(message))
    assert is_within(golden, now), "a field that came later may stand beside, with its default"
    assert key_of(message)


def is_within(golden: object, now: object) -> bool:
    if isinstance(golden, dict) and isinstance(now, dict):
        return all(key in now and is_within(value, now[key]) for key, value in golden.items())
    if isinstance(golden, list) and isinstance(now, list):
        return len(golden) == len(now) and all(map(is_within, golden, now))
    return golden == now


def test_every_message_version_has_a_golden_file() -> None:
    tags = {str(one.__struct_config__.tag) for one in TYPES}

    assert tags <= {path.stem for path in GOLDEN}


def test_the_json_schemas_in_the_repository_are_those_of_the_types() -> None:
    folder = Path(__file__).parents[2] / "schemas" / "json"

    for name, content in json_schemas().items():
        assert (folder / name).read_bytes() == content, "run: make schemas"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"type":"unknown.v1"}', b'{"type":"polls.v1"}', b"\xff\xfe", b'{"type":"finding.v1","id":1}'],
)
def test_what_is_no_message_of_ours_is_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        decode(data)


NESTED = (
    b'{"type":"self.v1","code":"x","subject":"y","at":"2026-11-24T00:00:00Z","more":' + b"[" * 5000 + b"]" * 5000 + b"}"
)


def test_what_is_nested_five_thousand_deep_is_rejected() -> None:
    with pytest.raises(Rejected, match="nested too deep"):
        decode(NESTED)


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        ("finding.v1", "version", 2**70),
        ("finding.v1", "version", -1),
        ("finding.v1", "version", 0),
        ("finding.v1", "endpoint_count", 2**40),
        ("finding.v1", "identity_count", -1),
        ("finding.v1", "opened_at", "9999-12-31T23:59:59+00:00"),
        ("finding.v1", "updated_at", "0001-01-01T00:00:00Z"),
        ("finding.v1", "updated_at", "9999-12-31T23:59:59-14:00"),
        ("notification.v1", "attempts", 2**63),
        ("self.v1", "at", "0001-01-01T00:00:00+14:00"),
        ("observation.v1", "judgement.ttl_s", 2**33),
        ("observation.v1", "judgement.expires_at", "9999-01-01T00:00:00Z"),
        ("observation.v1", "evidence.policy", {"skew_s": 2**70}),
        ("inventory.v1", "identity.endpoints", [{"host": "a.example", "port": 2**70}]),
        ("inventory.v1", "identity.endpoints", [{"host": "a.example", "port": 0}]),
        ("inventory.v1", "seen_at", "9999-01-01T00:00:00Z"),
    ],
)
def test_a_number_or_an_instant_that_no_store_can_hold_is_rejected(message: str, field: str, value: object) -> None:
    content = msgspec.json.decode((HERE / "golden" / f"{message}.json").read_bytes())
    place, _, last = field.rpartition(".")
    (content[place] if place else content)[last] = value

    with pytest.raises(Rejected):
        decode(json.dumps(content).encode())


def test_whatever_a_zone_writes_into_a_signature_can_be_observed() -> None:
    golden = decode((HERE / "golden" / "observation.v1.json").read_bytes())
    assert isinstance(golden, Observation)

    for seconds in (-(2**31), 0, 2**32 + 2**31):
        judgement = msgspec.structs.replace(golden.judgement, expires_at=EPOCH + timedelta(seconds=seconds))
        assert decode(encode(msgspec.structs.replace(golden, judgement=judgement)))


def test_unknown_fields_are_ignored() -> None:
    content = (HERE / "golden" / "self.v1.json").read_bytes().replace(b"{", b'{"from_the_future": 1, ', 1)

    assert decode(content) == decode((HERE / "golden" / "self.v1.json").read_bytes())


def test_naive_instants_are_refused_on_construction(now: datetime) -> None:
    with pytest.raises(ValueError, match="time zone"):
        PollBatch(
            id="x", vantage="v", names=("a.",), types=("A",), observations=("o",), polled_at=(now.replace(tzinfo=None),)
        )


def test_columns_of_unequal_length_are_refused(now: datetime) -> None:
    with pytest.raises(ValueError, match="length"):
        PollBatch(id="x", vantage="v", names=("a.", "b."), types=("A",), observations=("o",), polled_at=(now,))


def test_digests_do_not_collide_by_shifting() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of(b"ab", b"c") != digest_of(b"abc")


def test_findings_of_one_cause_share_a_key() -> None:
    golden = decode((HERE / "golden" / "finding.v1.json").read_bytes())

    assert isinstance(golden, Finding)
    assert key_of(golden) == golden.cause_zone


def test_utc_is_aware() -> None:
    assert utc(0).utcoffset() is not None
