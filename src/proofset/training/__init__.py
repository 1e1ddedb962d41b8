"""Does it help? Arms, trainers and the paired comparison on held-out organic data."""
