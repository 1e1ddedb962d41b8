"""Who speaks: the only doors to networks and weights."""
