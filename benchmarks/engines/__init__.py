"""Engines in this process, side by side: how fast, on how much memory, and whether each is still its model."""
