"""proofset: synthetic data that comes with proof."""

__version__ = "0.1.0"
__all__ = ["__version__"]
