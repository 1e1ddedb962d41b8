"""Is it viable? Synthetic text against organic text, always at equal size."""
