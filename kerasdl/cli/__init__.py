"""One file per command: arguments -> Config -> one call -> output."""
