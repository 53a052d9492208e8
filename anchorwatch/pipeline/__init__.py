"""Messages between stages inside one process: bus, pump, dead letters, supervision, and whether all make progress."""
