"""Scoring images that lie in a folder, wherever they come from, and writing a run's images in other projects' layouts."""
