"""One file per command; each is words -> Config -> one call -> words."""
