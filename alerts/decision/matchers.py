"""Matchers as Alertmanager writes them: ``owner=payments``, ``severity!=low``, ``host=~".*\\.bank\\.example"``. Pure.

A finding has several values of most labels. *Covers* is for what mutes: every value must fit, and a list that is cut
short is never covered. *Concerns* is for where something goes: one value is enough. So in doubt somebody is paged.
Regular expressions are anchored, and matched by RE2, which takes time linear in the text whatever the pattern.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import re2

from schemas.catalogue import CATALOGUE, Severity
from schemas.cause import bare
from schemas.messages import CRITICALITY_ORDER, Finding

LABELS = ("code", "severity", "zone", "host", "owner", "environment", "identity", "criticality", "vantage")
OPERATORS = ("=~", "!~", "!=", "=")
MOST_MATCHERS = 20
MOST_SIGNS = 500
_FORM = re.compile(r"\s*([a-z]+)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_NAMES = frozenset({"zone", "host"})
_MEMORY_BYTES = 1 << 20
_ODD = ("a", "zz9-plural", "api.bank.example", "Ünïcode 7", "x" * 40)
_PROBES: Mapping[str, tuple[str, ...]] = {
    "code": tuple(str(code) for code in CATALOGUE),
    "severity": tuple(Severity),
    "criticality": tuple(CRITICALITY_ORDER),
}


class BadMatcher(ValueError):
    """A text that is no matcher."""


class Pattern(Protocol):
    """A compiled regular expression."""

    def fullmatch(self, text: str) -> object:
        """Return something true if the whole text fits."""
        ...


class Matcher(msgspec.Struct, frozen=True):
    """One matcher: ``label`` is one of LABELS, ``operator`` one of OPERATORS."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


class Values(msgspec.Struct, frozen=True):
    """The values that a finding has of one label; not ``whole`` where the finding lists only the first of them."""

    values: tuple[str, ...]
    whole: bool = True


def parse_matcher(text: str) -> Matcher:
    """Return the matcher in ``label OPERATOR value``; the value may be in double quotes.

    Raises:
        BadMatcher: it is none, or its regular expression needs more than a linear engine has.
    """
    form = _FORM.fullmatch(text) if len(text) <= MOST_SIGNS else None
    if form is None or not text.isprintable():
        raise BadMatcher("a matcher is a label, one of = != =~ !~, and a value, as owner=payments")
    label, operator, value = form.groups()
    if label not in LABELS:
        raise BadMatcher(f"there is no label {label}; known are {', '.join(LABELS)}")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if "~" in operator:
        compile_pattern(value)
    elif label == "code" and value and value not in CATALOGUE:
        raise BadMatcher(f"there is no code {value}")
    elif label == "severity" and value not in set(Severity):
        raise BadMatcher(f"severity is one of {', '.join(Severity)}")
    elif label in _NAMES:
        value = bare(value.lower())
    return Matcher(label, operator, value)


def parse_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Return all matchers, each once.

    Raises:
        BadMatcher: there is none, there are too many, or one of them is none.
    """
    if not 1 <= len(texts) <= MOST_MATCHERS:
        raise BadMatcher(f"1 to {MOST_MATCHERS} matchers are expected")
    return tuple(dict.fromkeys(parse_matcher(text) for text in texts))


def compile_pattern(pattern: str) -> Pattern:
    """Return a compiled pattern.

    Raises:
        BadMatcher: it is no regular expression, or one that takes more than a linear engine has (back references,
            look-around) or more memory than is sensible.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        compiled: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise BadMatcher(f"the regular expression can't be used (RE2 syntax): {reason}") from error
    return compiled


class MatcherSet:
    """Matchers that must all fit, compiled."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self._tests: list[tuple[str, Callable[[str], bool]]] = [(one.label, _test_of(one)) for one in self.matchers]

    def covers(self, finding: Finding, severity: Severity) -> bool:
        """Return whether every value of every label fits; for what mutes."""
        for label, fits in self._tests:
            found = values_of(finding, severity, label)
            if not found.whole or not all(map(fits, found.values)):
                return False
        return True

    def concerns(self, finding: Finding, severity: Severity) -> bool:
        """Return whether of every label some value fits; for where something goes."""
        return all(any(map(fits, values_of(finding, severity, label).values)) for label, fits in self._tests)

    def fits(self, label: str, value: str) -> bool:
        """Return whether a value of one label fits the matchers on that label."""
        return all(test(value) for one, test in self._tests if one == label)

    @property
    def is_broad(self) -> bool:
        """Return whether they let pass nearly everything there may be: people mean less when they write that."""
        return all(all(map(fits, _PROBES.get(label, _ODD))) or _is_negative(one) for one, (label, fits) in self._pairs)

    @property
    def _pairs(self) -> list[tuple[Matcher, tuple[str, Callable[[str], bool]]]]:
        return list(zip(self.matchers, self._tests, strict=True))


def values_of(finding: Finding, severity: Severity, label: str) -> Values:
    """Return the values of a label, sorted, each once; an empty text where there is none."""
    match label:
        case "code":
            return Values((finding.code,))
        case "severity":
            return Values((str(severity),))
        case "zone":
            return Values((bare(finding.cause_zone),))
        case "vantage":
            return Values(tuple(sorted(finding.vantages)) or ("",))
        case "host":
            hosts = sorted({bare(endpoint.partition(" ")[0]) for endpoint in finding.endpoints})
            return Values(tuple(hosts) or ("",), finding.endpoint_count <= len(finding.endpoints))
    name = "id" if label == "identity" else label
    found = tuple(sorted({str(getattr(identity, name)) for identity in finding.identities}))
    return Values(found or ("",), finding.identity_count <= len(finding.identities))


def _test_of(matcher: Matcher) -> Callable[[str], bool]:
    value = matcher.value
    match matcher.operator:
        case "=":
            return lambda text: text == value
        case "!=":
            return lambda text: text != value
    pattern = compile_pattern(value)
    wanted = matcher.operator == "=~"
    return lambda text: bool(pattern.fullmatch(text)) is wanted


def _is_negative(matcher: Matcher) -> bool:
    return matcher.operator.startswith("!")
