"""Whether intervals and forecasts from a pilot hold the truth, where the truth is known."""
