"""Ways to choose the noise for a (prompt, sample). Nothing here knows of judges."""
