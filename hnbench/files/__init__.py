"""Files and text that enter or leave the program: written whole, read with a schema, escaped."""
