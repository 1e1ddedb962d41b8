"""What it costs: prices, the ledger, and the statement a finance reader can sign."""
