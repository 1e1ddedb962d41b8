"""Where it is kept: one folder a run, one append-only log."""
