"""Differentiable scores of (image, prompt) behind one contract."""
