"""Generations of models on real text, and what collapses first."""
