"""The statistics of a paired comparison, clustered by prompt."""
