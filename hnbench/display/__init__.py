"""Progress and notes on stderr: bars on a terminal, lines elsewhere."""
