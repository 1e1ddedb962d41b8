"""What there is: the nouns of proofset, as frozen dataclasses over the standard library alone."""
