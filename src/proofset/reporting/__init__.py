"""What we show: a run as one self-contained page, and as a terminal summary."""
