"""How fast, and in how much memory, a large ledger is added up."""
