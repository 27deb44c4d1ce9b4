"""How scores are read from what cases add up to: one kind of tally per file."""
