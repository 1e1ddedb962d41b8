"""Where data starves: rows to records, slices, and how far each one is from enough."""
