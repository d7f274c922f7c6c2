"""Prompts, protocols and judges. Nothing here knows of methods."""
