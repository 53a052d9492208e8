"""The shell: command line, configuration, bus, pump, supervision, API and pages."""

__version__ = "0.1.0"
