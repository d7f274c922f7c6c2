"""Names: those that can be used, the defaults of each, and how a name becomes a loaded model."""
