"""The pure analysis over a long time."""

import pickle
from datetime import datetime, timedelta

import msgspec

from analyzer.analysis import Analysis
from analyzer.batch import Knowledge
from schemas.messages import InventorySnapshot, Message
from tests.support.making import AT, judgement, link, observation, snapshot, with_zones

DAY = timedelta(days=1)


def test_an_estate_whose_names_and_zones_change_for_long_does_not_grow() -> None:
    """Each week a name in a zone of its own comes, its zone renews all signatures, and it goes."""
    analysis, size_by_week = Analysis(), {}
    for week in range(150):
        comes_at = AT + week * 7 * DAY
        _take(analysis, comes_at, snapshot(f"sa-{week}", f"api.z{week}.example"))
        for at in (comes_at, comes_at + 5 * DAY):
            _take(analysis, at, *_signed_at(at, f"z{week}.example."))
        goes_at = comes_at + 6 * DAY
        _take(analysis, goes_at, InventorySnapshot(id=f"sa-{week}", seen_at=goes_at, identity=None))
        size_by_week[week] = len(pickle.dumps(analysis))

    assert (len(analysis.current), len(analysis.zones)) == (0, 0)
    assert size_by_week[149] < size_by_week[50] * 1.02


def _signed_at(at: datetime, zone: str) -> list[Message]:
    ends_at = at + 14 * DAY
    chain = tuple(msgspec.structs.replace(link(one), inception_at=at, expires_at=ends_at) for one in (".", zone))
    judged = judgement(f"api.{zone}", zone=zone, chain=chain, inception_at=at, expires_at=ends_at)
    return with_zones([observation(judged, at)])


def _take(analysis: Analysis, at: datetime, *batch: Message) -> None:
    analysis.take(batch, Knowledge(), at.timestamp())
