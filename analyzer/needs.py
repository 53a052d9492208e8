"""What must be known of the time before a batch, so that the history can be asked for all of it at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from analyzer.batch import Needs, polls_of
from analyzer.estate import Estate
from analyzer.zones.sweeps import swept_subject
from schemas.judgement import Judgement, Verdict
from schemas.messages import Act, Message, Observation, PollBatch, Subject, ZoneObservation, ZoneSweep


def needs_of(batch: Sequence[Message], estate: Estate) -> Needs:
    """Return what must be known of the time before a batch, and of observations that its polls speak of."""
    needs = Needs()
    for message in batch:
        match message:
            case ZoneObservation():
                state = estate.zones.get(message.subject)
                if state is None:
                    needs.zones.add((message.zone, message.vantage))
                if state is None or message.observed_at <= state.observation.observed_at:
                    needs.late_zones.append(message.id)
            case ZoneSweep():
                needs.sweeps[message.id] = message.zone
                if swept_subject(message) not in estate.swept:
                    needs.swept.add((message.zone, message.vantage))
            case Observation():
                vantage = message.judgement.vantage
                chain = [link.zone for link in message.judgement.chain]
                needs.zones.update((zone, vantage) for zone in chain if (zone, "", vantage) not in estate.zones)
                current = estate.current.get(message.subject)
                if current is None:
                    continue
                needs.until.setdefault(message.subject, message.observed_at)
                if message.observed_at <= current.newest_at:
                    needs.late.append(message.id)
            case PollBatch():
                for subject, observation, *_ in polls_of(message):
                    current = estate.current.get(subject)
                    if (current is None or current.observation != observation) and estate.is_watched(subject):
                        needs.spoken_of[observation] = subject[0]
            case Act(kind="accept"):
                needs.accepted.append(message.subject)
    return needs


def sightings_needed(
    batch: Sequence[Message],
    until: Mapping[Subject, datetime],
    baselines: Mapping[Subject, Judgement],
    vantages: Iterable[str],
) -> dict[Subject, datetime]:
    """Return whose earlier answers a batch must be held against, and before when."""
    return {
        other: until[message.subject]
        for message in batch
        if isinstance(message, Observation) and message.subject in baselines
        if _is_compared(baselines[message.subject], message.judgement)
        for other in seen_as(message, vantages)
    }


def seen_as(message: Observation, vantages: Iterable[str]) -> list[Subject]:
    """Return the subjects whose earlier answers count as known for a name: its own, and all where it is not signed."""
    name, rdtype, vantage = message.subject
    if message.judgement.verdict is not Verdict.INSECURE:
        return [message.subject]
    return [(name, rdtype, other) for other in sorted({*vantages, vantage})]


def _is_compared(baseline: Judgement, judgement: Judgement) -> bool:
    """Return whether a judgement must be held against what was seen earlier: it, or a claim, has other answers."""
    claims = (claim for claim in (judgement.resolver, judgement.plain) if claim is not None)
    return baseline.answers != judgement.answers or any(claim.answers != judgement.answers for claim in claims)
