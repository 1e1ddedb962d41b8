"""The demo study from raw rows to its page: how long, how much memory, what it claims, and whether a kill shows."""
