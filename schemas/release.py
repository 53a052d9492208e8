"""Which release this is: the command line, the metrics and the events that we emit all name it."""

VERSION = "0.1.0"
