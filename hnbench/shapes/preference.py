"""The mixture of rewards that is optimised in the embedded world."""

from __future__ import annotations

PREFERENCE = {"shapes-clip": 1.0, "shapes-resnet": 1.0, "shapes-byobnet": 1.0}
"""Reward -> weight. The weights bring every part to a standard deviation of about 1 among random
images of one caption (`python -m hnbench.shapes_training.mixture`).
"""
