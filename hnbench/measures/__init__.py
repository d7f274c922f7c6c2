"""Held-out measures of images that are there already: of each image, of all images of a prompt, and
of a whole set.
"""
