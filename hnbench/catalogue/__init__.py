"""Names: what can be asked for, the defaults of each, and how a name becomes a loaded model."""
