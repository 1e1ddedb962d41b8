"""The hot path, a model call and its answer kept: what it costs here, and in the tools a user would otherwise pick."""
