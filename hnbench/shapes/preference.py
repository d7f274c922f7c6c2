"""The mixture of rewards that is optimised in the embedded world."""

from __future__ import annotations

PREFERENCE = {"shapes-clip": 0.24, "shapes-resnet": 0.22, "shapes-byobnet": 0.29}
"""Reward -> weight. The weights bring every part to a standard deviation of about 1 among random
images of one caption (`python -m hnbench.shapes_training.mixture`).
"""
