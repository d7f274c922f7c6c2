"""Held-out measures of existing images: of each image, of all images of a prompt, or of a whole
set.
"""
