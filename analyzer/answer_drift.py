"""What changed at an endpoint since its last validated answer, held against what was learnt, declared and accepted."""

from analyzer.batch import Knowledge
from analyzer.detected import Drift
from analyzer.endpoints.baseline import learn, shown_last
from analyzer.endpoints.drift import detect_drift, detect_forbidden
from analyzer.endpoints.vantages import Views
from analyzer.estate import Estate
from analyzer.findings.book import FindingBook
from analyzer.needs import seen_as
from schemas.codes import Code
from schemas.judgement import Judgement, Verdict, data_of
from schemas.messages import Observation


class AnswerDrift:
    """Reports the drifts of observations, and tells the views which answers a vantage shows alone."""

    def __init__(self, estate: Estate, book: FindingBook, views: Views) -> None:
        self._estate, self._book, self._views = estate, book, views

    def take(self, message: Observation, before: Judgement | None, knowledge: Knowledge) -> None:
        """Take in an observation; ``before`` is the last validated judgement of its subject, None for the first."""
        judgement, acts = message.judgement, self._estate.acts
        endpoints = self._estate.consumers.endpoints_at(judgement.name, judgement.type)
        accepted = acts.accepted_answers(*message.subject)
        # Each row's own set: one row must not permit a change at another one.
        allowed = [{*endpoint.answers, *accepted} for endpoint in endpoints if endpoint.answers]
        if before is None:
            for event in detect_forbidden(judgement, allowed):
                planned = acts.lower(event, message.observed_at, came=data_of(judgement.answers, judgement.type))
                self._book.drift(planned, message.subject, message.observed_at, judgement.evidence)
            return
        self._compare(message, before, knowledge, allowed, undeclared=len(allowed) < len(endpoints))

    def _compare(
        self,
        message: Observation,
        before: Judgement,
        knowledge: Knowledge,
        allowed: list[set[str]],
        *,
        undeclared: bool,
    ) -> None:
        subject, judgement, at = message.subject, message.judgement, message.observed_at
        acts, vantages = self._estate.acts, self._estate.vantages
        seen = {other: knowledge.sightings.get(other, []) for other in seen_as(message, vantages)}
        learnt = {
            other: learn(sightings, judgement.type, at).accepting(acts.accepted_answers(*other))
            for other, sightings in seen.items()
        }
        changed: Drift | None = None
        came = data_of(judgement.answers, judgement.type) - data_of(before.answers, judgement.type)
        for event in detect_drift(before, judgement, allowed=allowed, undeclared=undeclared, baseline=learnt[subject]):
            planned = acts.lower(event, at, lag_s=before.ttl_s, came=came)
            self._book.drift(planned, subject, at, judgement.evidence)
            changed = planned if event.code == Code.ANSWER_CHANGED else changed
        if judgement.verdict is Verdict.INSECURE and judgement.answers != before.answers:
            others = {
                other[2]: (learnt[other], shown_last(seen[other], judgement.type)) for other in seen if other != subject
            }
            self._views.take_answers(judgement, at, changed, learnt[subject], others)
        elif judgement.verdict is Verdict.SECURE and self._views:
            self._views.drop(subject, vantages)
