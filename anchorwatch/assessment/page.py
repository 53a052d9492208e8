"""A report as HTML of one file: nothing is loaded from anywhere, every value is escaped, and it prints well."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from alerts.delivery.wording import printable
from anchorwatch.assessment.assess import Report

_environment = Environment(
    loader=PackageLoader("anchorwatch.assessment", "pages"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def in_words(seconds: float | None) -> str:
    """Return a time as people say it."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


_environment.filters["printable"] = printable
_environment.filters["in_words"] = in_words


def render(report: Report, base: str = "") -> str:
    """Return the page; ``base`` is the URL of the instance, for links to incidents."""
    return _environment.get_template("report.html").render(report=report, base=base)
