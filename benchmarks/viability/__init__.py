"""The Synthetic Viability Quotient and Dimensional Mode Collapse against the peers: seconds, memory, growth."""
