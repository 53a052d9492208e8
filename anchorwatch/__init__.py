"""The shell: command line, configuration, bus, pump, supervision, API and pages."""

from schemas.release import VERSION

__version__ = VERSION
