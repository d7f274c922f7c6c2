"""Folders of images from any program: found, checked, judged, measured, exported."""
