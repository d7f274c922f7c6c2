"""What a user sees on stderr while something works: bars on a terminal, lines elsewhere."""
