"""Folders of images, wherever they come from: found, checked, judged, measured, exported."""
