"""The adversarial loop on twenty starved intents of banking77: what is accepted, what it is worth, and to whom."""
