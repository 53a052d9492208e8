"""The configuration file: strict, every problem at once."""
