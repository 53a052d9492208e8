"""Rule files, and the rules and the framework mapping that are shipped."""

from functools import cache
from importlib import resources
from pathlib import Path

from alerts.config import ControlMapping, Match, Rule
from alerts.decision.frameworks import check_mappings
from anchorwatch.configuration.documents import Document, decode_struct, read_document
from anchorwatch.configuration.values import Section
from schemas.catalogue import CATALOGUE
from schemas.faults import ConfigError
from schemas.redaction import safe


class RulesFile(Section, frozen=True, kw_only=True):
    """A rule file."""

    rules: tuple[Rule, ...]


class MappingsFile(Section, frozen=True, kw_only=True):
    """The framework mapping."""

    mappings: tuple[ControlMapping, ...]


def read_rules(path: Path, document: Document) -> tuple[Rule, ...]:
    """Return the rules of a file; what is wrong in it is a problem of ``document`` too."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        document.problem("alerts.rules", f"{path} can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        return ()
    rules, problems = parse_rules(text, str(path))
    document.problems.extend(problems)
    return rules


def parse_rules(text: str, source: str) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules in a file and every problem in it."""
    document = read_document(text, source)
    if document.problems:
        return (), document.problems
    parsed = decode_struct(document.value, RulesFile, "", document)
    if parsed is None:
        return (), document.problems
    for number, rule in enumerate(parsed.rules):
        check_match(rule.match, f"rules[{number}].match", document)
    return parsed.rules, document.problems


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """Return the rules that come with anchorwatch."""
    rules, problems = parse_rules(_shipped("rules.yaml"), "alerts/rules.yaml")
    if problems:
        raise ConfigError(problems)
    return rules


@cache
def shipped_mappings() -> tuple[ControlMapping, ...]:
    """Return the framework mapping that comes with anchorwatch."""
    document = read_document(_shipped("frameworks.yaml"), "alerts/frameworks.yaml")
    parsed = decode_struct(document.value, MappingsFile, "", document) if not document.problems else None
    problems = document.problems or check_mappings(parsed.mappings if parsed else (), CATALOGUE)
    if problems or parsed is None:
        raise ConfigError(problems)
    return parsed.mappings


def check_match(match: Match, path: str, document: Document) -> None:
    """Note each code of a match that the catalogue does not have."""
    for code in match.code:
        if code not in CATALOGUE:
            document.problem(f"{path}.code", f"there is no finding {safe(code)}")


def _shipped(name: str) -> str:
    return resources.files("alerts").joinpath(name).read_text(encoding="utf-8")
