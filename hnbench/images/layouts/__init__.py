"""The layouts that a folder of images can have."""
