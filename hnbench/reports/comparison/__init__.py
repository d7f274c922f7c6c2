"""Runs that differ in more than the base seed, compared row by row (`hnbench compare`)."""
